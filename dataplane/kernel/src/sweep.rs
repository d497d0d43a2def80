//! Sweeping out flows that are idle, and holding devices to their share of the table.

use std::collections::{HashMap, HashSet};

use aya::programs::{TestRun, TestRunOptions};
use cordon_verdict::abi::{
    AGE_SECONDS, Admission, Limit, NO_ATTACHMENT, RETIRE_KEY, admission_index, attachment, member,
    place_inner, place_outer, place_port, stack_key, way_attachment, way_mac,
};

use crate::barrier;
use crate::error::Error;
use crate::flows::{FlowEntry, Keys};
use crate::maps::of;
use crate::program::Dataplane;
use crate::raw::{Raw, bytes};

/// After how many ticks of [`Control::tick`](cordon_verdict::abi::Control::tick) without a packet a flow is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// TCP, both ends heard: HL7 sessions are silent for hours.
    pub tcp: u16,
    /// UDP and ICMP, both ends heard.
    pub datagram: u16,
    /// Only one end heard.
    pub unanswered: u16,
    /// TCP, closed or reset.
    pub closed: u16,
    /// How many flows a device may have, both ends heard. A router, which speaks for many, may have any number.
    pub quota: u32,
}

const fn ticks(seconds: u64) -> u16 {
    seconds.div_ceil(AGE_SECONDS) as u16
}

impl Default for Idle {
    /// A day and a half; five minutes; one minute; ten seconds.
    fn default() -> Idle {
        Idle {
            tcp: ticks(36 * 3600),
            datagram: ticks(300),
            unanswered: ticks(60),
            closed: ticks(10),
            quota: 16_384,
        }
    }
}

impl Idle {
    fn is_over(&self, entry: &FlowEntry, now: u16) -> bool {
        let limit = match entry.protocol {
            6 if entry.closed() => self.closed,
            _ if entry.half_open => self.unanswered,
            6 => self.tcp,
            _ => self.datagram,
        };
        entry.idle(now) > limit
    }
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Flows both ends of which were heard, still there.
    pub open: u64,
    /// Flows only one end of which was heard, still there.
    pub half_open: u64,
    /// Flows forgotten.
    pub forgotten: u64,
}

impl Dataplane {
    /// Forgets flows that are idle.
    ///
    /// # Errors
    /// [`Error::Batch`], [`Error::Barrier`].
    pub fn sweep(&mut self, idle: &Idle) -> Result<Swept, Error> {
        let now = self.control()?.tick;
        let mut swept = Swept::default();
        let mut over = Vec::new();
        let mut half_over = Vec::new();
        let mut opened: HashMap<u64, Opened> = HashMap::new();
        self.entries(|entry| {
            if idle.is_over(&entry, now) {
                if entry.half_open {
                    &mut half_over
                } else {
                    &mut over
                }
                .push(entry);
            } else if entry.half_open {
                swept.half_open += u64::from(!entry.asks_group());
            } else {
                swept.open += 1;
                if let Some((opener, attachment)) = opener(&entry) {
                    let opened = opened.entry(opener).or_default();
                    opened.flows += 1;
                    opened.attachment = attachment;
                }
            }
        })?;
        self.hold(&opened, idle.quota)?;
        self.follow()?;
        // Nothing is settled by these: no packet minds if one is gone.
        swept.forgotten = half_over.iter().filter(|entry| self.delete(entry)).count() as u64;
        if over.is_empty() {
            return Ok(swept);
        }
        // In two steps: an element of a kernel hash table is given to another flow as soon as it is deleted, while
        // a packet may still be reading it. So first take away its ruling, which makes every packet judge
        // for itself; then wait until all have; then delete.
        over.retain(|entry| self.retire(entry));
        barrier::wait()?;
        for entry in &over {
            if self.still_retired(entry) && self.delete(entry) {
                swept.forgotten += 1;
            }
        }
        Ok(swept)
    }

    /// Has flows judged again that lead to where a station was before it moved. One that speaks is followed at once; one
    /// that only listens would be missed.
    fn follow(&mut self) -> Result<(), Error> {
        let moves = self.maps.moves.get(&0, 0).map_err(of("MOVES"))?;
        if moves == self.moves {
            return Ok(());
        }
        let slot = self.control()?.slot;
        let mut numbers = HashMap::new();
        for entry in self.maps.stacks.iter() {
            let (key, number) = entry.map_err(of("STACKS"))?;
            numbers.insert(key, number as u16);
        }
        let mut stations = HashMap::new();
        self.stations(|member, station| {
            let place = station.at();
            let number = match place_inner(place) {
                0 => attachment(place_port(place), place_outer(place)),
                _ => {
                    let number = numbers.get(&stack_key(slot, place));
                    number.copied().unwrap_or(NO_ATTACHMENT)
                }
            };
            stations.insert(member, number);
        })?;
        let mut astray = Vec::new();
        self.flows(|entry| {
            let leads_astray = entry.flow.way.iter().any(|way| {
                let station = stations.get(&member(entry.segment, way_mac(way.to)));
                station.is_some_and(|attachment| *attachment != way_attachment(way.to))
            });
            if leads_astray && !entry.half_open {
                astray.push(entry);
            }
        })?;
        for entry in &astray {
            self.retire(entry);
        }
        self.moves = moves;
        Ok(())
    }

    fn retire(&mut self, entry: &FlowEntry) -> bool {
        let mut frame = match entry.keys() {
            Keys::V4(key) => [bytes(&[4u64]), bytes(&[key])].concat(),
            Keys::V6(key) => [bytes(&[6u64]), bytes(&[key])].concat(),
        };
        debug_assert!(frame.len() > RETIRE_KEY);
        // No shorter than the kernel takes.
        frame.resize(64, 0);
        let options = TestRunOptions {
            data_in: Some(&frame),
            ..TestRunOptions::new()
        };
        self.retire.test_run(options).is_ok()
    }

    /// A packet in between has brought it back to life.
    fn still_retired(&self, entry: &FlowEntry) -> bool {
        let flow = match entry.keys() {
            Keys::V4(key) => self.maps.flows4.get(&Raw(key), 0),
            Keys::V6(key) => self.maps.flows6.get(&Raw(key), 0),
        };
        matches!(flow, Ok(Raw(flow)) if flow.judged == 0)
    }

    fn delete(&mut self, entry: &FlowEntry) -> bool {
        let maps = &mut self.maps;
        match (entry.keys(), entry.half_open) {
            (Keys::V4(key), false) => maps.flows4.remove(&Raw(key)).is_ok(),
            (Keys::V4(key), true) => maps.half4.remove(&Raw(key)).is_ok(),
            (Keys::V6(key), false) => maps.flows6.remove(&Raw(key)).is_ok(),
            (Keys::V6(key), true) => maps.half6.remove(&Raw(key)).is_ok(),
        }
    }

    /// Lets devices that have `quota` flows open no more, and the others again.
    fn hold(&mut self, opened: &HashMap<u64, Opened>, quota: u32) -> Result<(), Error> {
        let slot = self.control()?.slot;
        let mut full = HashSet::new();
        for (member, opened) in opened.iter().filter(|(_, opened)| opened.flows >= quota) {
            let index = admission_index(slot, opened.attachment);
            let Raw(admission) = self
                .maps
                .admissions
                .get(&index, 0)
                .map_err(of("ADMISSIONS"))?;
            if !admission.is(Admission::UPLINK) {
                full.insert(*member);
            }
        }
        // Those that still are, too: the table may have forgotten them.
        for member in full.union(&self.held) {
            let limit = Limit {
                over: u32::from(full.contains(member)),
                ..Limit::default()
            };
            self.maps
                .limits
                .insert(member, Raw(limit), 0)
                .map_err(of("LIMITS"))?;
        }
        self.held = full;
        Ok(())
    }
}

/// What a member opened, and where it is.
#[derive(Default)]
struct Opened {
    flows: u32,
    attachment: u16,
}

/// The member that opened a flow, and the attachment it is at.
fn opener(entry: &FlowEntry) -> Option<(u64, u16)> {
    let way = entry.flow.way.get(usize::from(entry.flow.initiator))?;
    let member = member(entry.segment, way_mac(way.from));
    (way.from != 0).then(|| (member, way_attachment(way.from)))
}
