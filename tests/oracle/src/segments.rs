//! Segments across policies: one is the same as before if it has the same name.

use std::mem;

use cordon_policy::Policy;

use crate::Oracle;

impl Oracle {
    /// What is remembered of a segment goes along with its name, and waits for it if the policy has no such segment.
    /// Nothing need be done about what is forgotten with every policy anyway.
    pub(crate) fn follow_names(&mut self, policy: &Policy) {
        let mut names: Vec<String> = Vec::new();
        names.extend(policy.segments.iter().map(|segment| segment.name.clone()));
        for name in &self.names {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let now_at: Vec<usize> = (self.names.iter())
            .map(|name| names.iter().position(|other| other == name))
            .map(|at| at.expect("every name is kept"))
            .collect();
        self.names = names;

        let stations = mem::take(&mut self.stations).into_iter();
        self.stations = stations
            .map(|((segment, mac), station)| ((now_at[segment], mac), station))
            .collect();
        let flows = mem::take(&mut self.flows).into_iter();
        self.flows = flows
            .map(|(key, flow)| (key.in_segment(now_at[key.segment]), flow))
            .collect();
        let replete = mem::take(&mut self.replete).into_iter();
        self.replete = replete
            .map(|(segment, mac)| (now_at[segment], mac))
            .collect();
        for counts in [
            &mut self.new_flows,
            &mut self.group_frames_by,
            &mut self.copies_by,
        ] {
            counts.rename(|(segment, mac)| (now_at[segment], mac));
        }
    }
}
