//! Keeps state across policies: a segment is the same as before if it has the same name.

use std::mem;

use cordon_policy::Policy;

use crate::Oracle;

impl Oracle {
    /// Renumbers the segment in all state that outlasts a policy. Names that the new policy does not have keep an index
    /// after its own, so that their state is there when a later policy has them again.
    pub(crate) fn renumber_segments(&mut self, policy: &Policy) {
        let mut names: Vec<String> = Vec::new();
        names.extend(policy.segments.iter().map(|segment| segment.name.clone()));
        for name in &self.names {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let new_index: Vec<usize> = (self.names.iter())
            .map(|name| names.iter().position(|other| other == name))
            .map(|at| at.expect("every name is kept"))
            .collect();
        self.names = names;

        let stations = mem::take(&mut self.stations).into_iter();
        self.stations = stations
            .map(|((segment, mac), station)| ((new_index[segment], mac), station))
            .collect();
        let flows = mem::take(&mut self.flows).into_iter();
        self.flows = flows
            .map(|(key, flow)| (key.in_segment(new_index[key.segment]), flow))
            .collect();
        let at_flow_limit = mem::take(&mut self.at_flow_limit).into_iter();
        self.at_flow_limit = at_flow_limit
            .map(|(segment, mac)| (new_index[segment], mac))
            .collect();
        let crossings = mem::take(&mut self.crossings).into_iter();
        self.crossings = crossings
            .map(|((segment, mac), tick)| ((new_index[segment], mac), tick))
            .collect();
        for counts in [
            &mut self.new_flows,
            &mut self.group_frames_by_host,
            &mut self.copies_by_host,
        ] {
            counts.map_keys(|(segment, mac)| (new_index[segment], mac));
        }
    }
}
