//! Sweeping out flows that are idle, and holding hosts to their share of the table.

use std::collections::{HashMap, HashSet};

use cordon_verdict::abi::{
    NO_ATTACHMENT, FlowPath, attachment, fdb_key, location_inner, location_outer, location_port, stack_key,
    path_attachment, path_mac,
};

use crate::barrier;
use crate::error::Error;
use crate::flows::{At, FlowEntry, HalfAt};
use crate::idle::{Idle, PRESSED, Silence};
use crate::maps::of;
use crate::program::Dataplane;

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Flows both ends of which were heard, still there.
    pub open: u64,
    /// Flows only one end of which was heard, still there.
    pub half_open: u64,
    /// Flows forgotten.
    pub forgotten: u64,
    /// Of these, flows that were not idle: of unlisted hosts that had more than their share, where little room was left.
    pub surplus: u64,
}

impl Dataplane {
    /// Forgets flows that are idle.
    ///
    /// # Errors
    /// [`Error::Batch`], [`Error::Barrier`], [`Error::Map`].
    pub fn sweep(&mut self, idle: &Idle) -> Result<Swept, Error> {
        let swept = self.sweep_as_told(idle, &|_| Silence::Usual, &|_| true)?;
        self.tidy(usize::MAX)?;
        Ok(swept)
    }

    /// The same, where a policy may say of a flow for how long it may be silent, and of a `member` whether it is listed.
    /// Where little room is left, flows of hosts that are not have to give way, down to a half of it: their next packet is
    /// judged, as that of a new one. The places of all that is forgotten are free once they are [tidied](Dataplane::tidy).
    ///
    /// # Errors
    /// As [`Dataplane::sweep`].
    pub fn sweep_as_told(
        &mut self,
        idle: &Idle,
        silence: &dyn Fn(&FlowEntry) -> Silence,
        listed: &dyn Fn(u64) -> bool,
    ) -> Result<Swept, Error> {
        let now = self.control()?.tick;
        let mut look = self.look(idle, now, silence, [false; 2]);
        let is_over = |entry: &FlowEntry| idle.is_over(entry, now, silence, false);
        let [surplus4, surplus6] = self.surplus(&look, now, listed, &is_over);
        // Nobody's flow is cut short for a crowd that is to give way.
        let pressed = self.pressed([
            look.open[0].saturating_sub(surplus4.len()),
            look.open[1].saturating_sub(surplus6.len()),
        ]);
        if pressed != [false; 2] {
            look = self.look(idle, now, silence, pressed);
        }
        let mut surplus = [surplus4, surplus6].concat();
        let Look {
            mut over,
            open,
            opened,
        } = look;
        let mut swept = Swept {
            open: open.iter().sum::<usize>() as u64,
            ..Swept::default()
        };
        let mut half_over = Vec::new();
        self.half_open(|at, entry| {
            if idle.is_over(&entry, now, silence, false) {
                half_over.push((at, entry));
            } else {
                swept.half_open += u64::from(!entry.is_to_group());
            }
        });
        self.hold(&opened, idle.quota)?;
        self.follow()?;
        for (at, entry) in half_over {
            match self.forget(at, entry.flow.seen) {
                true => swept.forgotten += 1,
                // It has been heard again since.
                false => swept.half_open += u64::from(!entry.is_to_group()),
            }
        }
        over.retain(|(at, _)| self.withdraw(*at));
        // Those that are idle as well are withdrawn already.
        surplus.retain(|at| self.withdraw(*at));
        if over.is_empty() && surplus.is_empty() {
            return Ok(swept);
        }
        // Until now a packet may have found them, and be using them still.
        barrier::wait()?;
        for (at, entry) in &over {
            if self.is_taken_back(*at, entry) {
                swept.open += 1;
            } else {
                swept.forgotten += 1;
                self.leaving.push(*at);
            }
        }
        swept.surplus = surplus.len() as u64;
        self.leaving.append(&mut surplus);
        // The lowest is made spare last, and used first: what is used should lie close together.
        self.leaving.sort_unstable_by_key(|at| at.number());
        swept.forgotten += swept.surplus;
        // Some may have been established since they were counted.
        swept.open = swept.open.saturating_sub(swept.surplus);
        Ok(swept)
    }

    /// Makes places of flows that sweeps have forgotten free for others: `most` of them, because each is a call of the
    /// kernel's, two microseconds or so. Says whether there are more.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn tidy(&mut self, most: usize) -> Result<bool, Error> {
        for _ in 0..most {
            match self.leaving.pop() {
                None => break,
                Some(At::V4(place)) => self.maps.flows4.discard(place)?,
                Some(At::V6(place)) => self.maps.flows6.discard(place)?,
            }
        }
        Ok(!self.leaving.is_empty())
    }

    /// Looks at every established flow.
    fn look(
        &self,
        idle: &Idle,
        now: u16,
        silence: &dyn Fn(&FlowEntry) -> Silence,
        pressed: [bool; 2],
    ) -> Look {
        let mut look = Look::default();
        self.established(|at, entry| {
            let table = table_of(&entry);
            if idle.is_over(&entry, now, silence, pressed[table]) {
                look.over.push((at, entry));
                return;
            }
            look.open[table] += 1;
            look.opened.entry(opener(&entry)).or_default()[table] += 1;
        });
        look
    }

    /// Which of the two tables of flows have little room left.
    pub(crate) fn pressed(&self, open: [usize; 2]) -> [bool; 2] {
        let (part, of) = PRESSED;
        let room = [self.maps.flows4.room(), self.maps.flows6.room()];
        [0, 1].map(|table| open[table] * of > room[table] * part)
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
            let number = match location_inner(place) {
                0 => attachment(location_port(place), location_outer(place)),
                _ => {
                    let number = numbers.get(&stack_key(slot, place));
                    number.copied().unwrap_or(NO_ATTACHMENT)
                }
            };
            // Should there be two, packets go by the first.
            stations.entry(member).or_insert(number);
        });
        self.established(|at, entry| {
            let leads_astray = entry.flow.path.iter().any(|way| {
                let station = stations.get(&fdb_key(entry.segment, path_mac(way.to)));
                station.is_some_and(|attachment| *attachment != path_attachment(way.to))
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

    /// Whether a flow that was withdrawn has been heard since it was looked at, and is there again.
    fn is_taken_back(&self, at: At, entry: &FlowEntry) -> bool {
        match at {
            At::V4(place) => self.maps.flows4.take_back(place, entry.flow.seen),
            At::V6(place) => self.maps.flows6.take_back(place, entry.flow.seen),
        }
    }

    /// Forgets a half-open flow.
    fn forget(&self, at: HalfAt, seen: u16) -> bool {
        match at {
            HalfAt::V4(seat) => self.maps.half4.forget(seat, |flow| flow.seen == seen),
            HalfAt::V6(seat) => self.maps.half6.forget(seat, |flow| flow.seen == seen),
        }
    }

    /// Lets devices that have `quota` flows open no more, and the others again.
    fn hold(&mut self, opened: &HashMap<Opener, [u32; 2]>, quota: u32) -> Result<(), Error> {
        // By the other end's word alone nobody is held.
        let opened = opened.iter().filter(|(opener, _)| opener.certain);
        let full: HashSet<u64> = opened
            .filter(|(_, flows)| flows.iter().sum::<u32>() >= quota)
            .map(|(opener, _)| opener.member)
            .collect();
        if full.is_empty() && !self.holds {
            return Ok(());
        }
        // Every host: the table may have forgotten one and learned it again since.
        self.maps.hosts.each(|seat, [member], host| {
            // Who is at an uplink speaks for many.
            let over = u32::from(full.contains(&member) && !host.station.is_uplink());
            if host.limit.over != over {
                self.maps.hold(seat, over);
            }
        });
        self.holds = !full.is_empty();
        Ok(())
    }
}

/// What is to be seen of the established flows.
#[derive(Default)]
pub(crate) struct Look {
    over: Vec<(At, FlowEntry)>,
    /// By table: those that are not over.
    pub open: [usize; 2],
    /// Who opened how many, by table.
    pub opened: HashMap<Opener, [u32; 2]>,
}

/// Which of the two tables a flow is in.
pub(crate) fn table_of(entry: &FlowEntry) -> usize {
    usize::from(!entry.address[0].is_v4())
}

/// Who opened a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Opener {
    pub member: u64,
    /// Whether it has said so itself under the policy in force, rather than the other end by answering.
    pub certain: bool,
}

/// Who opened a flow. Where its own direction was not judged by the policy in force yet, the other end's says to whom it
/// answers; where that is not known either, it is one nobody for a segment: there are no flows that do not count.
pub(crate) fn opener(entry: &FlowEntry) -> Opener {
    let initiator = usize::from(entry.flow.initiator & 1);
    let own = entry.flow.path[initiator].from;
    let word = match entry.flow.path[initiator ^ 1].to {
        _ if own != 0 => own,
        FlowPath::UNKNOWN => 0,
        back => back,
    };
    Opener {
        member: fdb_key(entry.segment, path_mac(word)),
        certain: own != 0,
    }
}
