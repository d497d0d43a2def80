//! Sweeping out flows that are idle, and holding hosts to their share of the table.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use cordon_verdict::abi::{
    NO_ATTACHMENT, attachment, member, place_inner, place_outer, place_port, stack_key,
    way_attachment, way_mac,
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
    /// [`Error::Batch`], [`Error::Barrier`].
    pub fn sweep(&mut self, idle: &Idle) -> Result<Swept, Error> {
        self.sweep_as_told(idle, &|_| Silence::Usual, &|_| true)
    }

    /// The same, where a policy may say of a flow for how long it may be silent, and of a `member` whether it is listed.
    /// Where little room is left, flows of hosts that are not have to give way, down to a half of it. A flow that is gone
    /// is not cut off: its next packet is judged, as that of a new one.
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
        let pressed = self.pressed(look.open);
        if pressed != [false; 2] {
            look = self.look(idle, now, silence, pressed);
        }
        let mut surplus = self.surplus(&look, now, listed)?;
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
        // The lowest is made spare last, and used first: what is used should lie close together.
        over.sort_unstable_by_key(|(at, _)| Reverse(at.number()));
        surplus.sort_unstable_by_key(|at| Reverse(at.number()));
        if over.is_empty() && surplus.is_empty() {
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
        for at in &surplus {
            self.discard(*at)?;
        }
        swept.surplus = surplus.len() as u64;
        swept.forgotten += swept.surplus;
        // Some may have been established since they were counted.
        swept.open = swept.open.saturating_sub(swept.surplus);
        Ok(swept)
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
            if let Some((opener, attachment)) = opener(&entry) {
                let opened = look.opened.entry(opener).or_default();
                opened.flows[table] += 1;
                opened.attachment = attachment;
            }
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
            let number = match place_inner(place) {
                0 => attachment(place_port(place), place_outer(place)),
                _ => {
                    let number = numbers.get(&stack_key(slot, place));
                    number.copied().unwrap_or(NO_ATTACHMENT)
                }
            };
            // Should there be two, packets go by the first.
            stations.entry(member).or_insert(number);
        });
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

    fn discard(&mut self, at: At) -> Result<(), Error> {
        match at {
            At::V4(place) => self.maps.flows4.discard(place),
            At::V6(place) => self.maps.flows6.discard(place),
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
    fn hold(&mut self, opened: &HashMap<u64, Opened>, quota: u32) -> Result<(), Error> {
        let slot = self.control()?.slot;
        let mut full = HashSet::new();
        let many = |opened: &Opened| opened.flows.iter().sum::<u32>() >= quota;
        for (member, opened) in opened.iter().filter(|(_, opened)| many(opened)) {
            if !self.is_uplink(slot, opened.attachment)? {
                full.insert(*member);
            }
        }
        if full.is_empty() && !self.holds {
            return Ok(());
        }
        // Every host: the table may have forgotten one and learned it again since.
        self.maps.hosts.each(|seat, [member], host| {
            let over = u32::from(full.contains(&member));
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
    /// By member that opened them.
    pub opened: HashMap<u64, Opened>,
}

/// Which of the two tables a flow is in.
pub(crate) fn table_of(entry: &FlowEntry) -> usize {
    usize::from(!entry.address[0].is_v4())
}

/// What a member opened, and where it is.
#[derive(Default)]
pub(crate) struct Opened {
    /// By table.
    pub flows: [u32; 2],
    pub attachment: u16,
}

/// The member that opened a flow, and the attachment it is at.
pub(crate) fn opener(entry: &FlowEntry) -> Option<(u64, u16)> {
    let way = entry.flow.way.get(usize::from(entry.flow.initiator))?;
    let member = member(entry.segment, way_mac(way.from));
    (way.from != 0).then(|| (member, way_attachment(way.from)))
}
