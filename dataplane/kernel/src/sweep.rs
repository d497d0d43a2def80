//! Sweeping out flows that are idle, and holding devices to their share of the table.

use std::collections::{HashMap, HashSet};

use cordon_verdict::abi::{
    AGE_SECONDS, Admission, Limit, NO_ATTACHMENT, admission_index, attachment, member, place_inner,
    place_outer, place_port, stack_key, way_attachment, way_mac,
};

use crate::barrier;
use crate::error::Error;
use crate::flows::{At, FlowEntry, Keys};
use crate::maps::of;
use crate::program::Dataplane;
use crate::raw::Raw;

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
        let mut opened: HashMap<u64, Opened> = HashMap::new();
        self.established(|at, entry| {
            if idle.is_over(&entry, now) {
                over.push((at, entry));
                return;
            }
            swept.open += 1;
            if let Some((opener, attachment)) = opener(&entry) {
                let opened = opened.entry(opener).or_default();
                opened.flows += 1;
                opened.attachment = attachment;
            }
        });
        let mut half_over = Vec::new();
        self.half_open(|entry| {
            if idle.is_over(&entry, now) {
                half_over.push(entry);
            } else {
                swept.half_open += u64::from(!entry.asks_group());
            }
        })?;
        self.hold(&opened, idle.quota)?;
        self.follow()?;
        // Nothing is settled by these: no packet minds if one is gone.
        swept.forgotten = half_over.iter().filter(|entry| self.delete(entry)).count() as u64;
        over.retain(|(at, _)| self.withdraw(*at));
        if over.is_empty() {
            return Ok(swept);
        }
        // Until now a packet may have found them, and be using them still.
        barrier::wait()?;
        for (at, entry) in &over {
            if self.free(*at, entry)? {
                swept.forgotten += 1;
            } else {
                swept.open += 1;
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
        self.established(|at, entry| {
            let leads_astray = entry.flow.way.iter().any(|way| {
                let station = stations.get(&member(entry.segment, way_mac(way.to)));
                station.is_some_and(|attachment| *attachment != way_attachment(way.to))
            });
            if leads_astray {
                match at {
                    At::V4(place) => self.maps.flows4.retire(place),
                    At::V6(place) => self.maps.flows6.retire(place),
                }
            }
        });
        self.moves = moves;
        Ok(())
    }

    fn withdraw(&self, at: At) -> bool {
        match at {
            At::V4(place) => self.maps.flows4.withdraw(place),
            At::V6(place) => self.maps.flows6.withdraw(place),
        }
    }

    fn free(&mut self, at: At, entry: &FlowEntry) -> Result<bool, Error> {
        match at {
            At::V4(place) => self.maps.flows4.free(place, entry.flow.seen),
            At::V6(place) => self.maps.flows6.free(place, entry.flow.seen),
        }
    }

    /// Forgets a half-open flow.
    fn delete(&mut self, entry: &FlowEntry) -> bool {
        match entry.keys() {
            Keys::V4(key) => self.maps.half4.remove(&Raw(key)).is_ok(),
            Keys::V6(key) => self.maps.half6.remove(&Raw(key)).is_ok(),
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
