//! What is counted in a tick of the clock, and how much of it is too much.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use cordon_policy::Mac;
use cordon_verdict::Reason;

use crate::frame::{self, Link};
use crate::{Ingress, Leaves, Oracle};

/// Nanoseconds of a tick: a power of two, a little more than a second.
const TICK: u64 = 1 << 30;
const SECOND: u64 = 1_000_000_000;

/// Copies that the frames of a port cause, where they are made one by one.
const COPIES: u64 = 65536;
/// What one host of a device-facing port may take of what is the port's, in parts.
const SHARES: u64 = 4;
/// New hosts at a device-facing port.
const STATIONS: u64 = 64;
/// New flows of a host at a device-facing port, and behind an uplink.
const FLOWS: u64 = 4096;
const FLOWS_BEHIND: u64 = 65536;

/// How often something occurred in the tick in which it occurred last.
#[derive(Clone, Debug)]
pub(crate) struct Counts<K>(HashMap<K, (u64, u64)>);

impl<K> Default for Counts<K> {
    fn default() -> Counts<K> {
        Counts(HashMap::new())
    }
}

impl<K: Eq + Hash> Counts<K> {
    /// It occurs once more, unless it has occurred this often in this tick.
    fn one_more(&mut self, what: K, tick: u64, most: u64) -> bool {
        self.more(what, 1, tick, most)
    }

    /// It occurs so many times more, unless that makes it more often in this tick than it may.
    fn more(&mut self, what: K, times: u64, tick: u64, most: u64) -> bool {
        let (last, count) = self.0.entry(what).or_insert((tick, 0));
        if *last != tick {
            (*last, *count) = (tick, 0);
        }
        let may = *count + times <= most;
        if may {
            *count += times;
        }
        may
    }

    /// What was counted of one thing was another's.
    pub(crate) fn rename(&mut self, name: impl Fn(K) -> K) {
        let counts = std::mem::take(&mut self.0).into_iter();
        self.0 = counts.map(|(what, count)| (name(what), count)).collect();
    }
}

impl Oracle {
    /// Counts frames to groups that come in at a port that may only let so many in, and at most a quarter of it from one of
    /// its hosts.
    pub(crate) fn storm(&mut self, at: Ingress, link: &Link) -> Result<(), Reason> {
        if !frame::is_group_mac(link.destination) {
            return Ok(());
        }
        let most = self.group_frames_of(at.attachment.port);
        if most != 0 && !at.uplink {
            let share = (most / SHARES).clamp(1, 65535);
            let host = (at.segment, link.source);
            if !self.group_frames_by.one_more(host, self.tick, share) {
                return Err(Reason::Storm);
            }
        }
        self.storm_at(at.attachment.port)
    }

    fn group_frames_of(&self, port: usize) -> u64 {
        u64::from(self.policy.ports[port].storm) * TICK / SECOND
    }

    /// The same, whoever sends them.
    pub(crate) fn storm_at(&mut self, port: usize) -> Result<(), Reason> {
        let most = self.group_frames_of(port);
        if most == 0 {
            return Ok(());
        }
        match self.group_frames.one_more(port, self.tick, most) {
            true => Ok(()),
            false => Err(Reason::Storm),
        }
    }

    /// Counts what a flood comes to where its copies are made one by one.
    pub(crate) fn copied(
        &mut self,
        at: Ingress,
        link: &Link,
        leaves: Leaves,
    ) -> Result<(), Reason> {
        let Leaves::Flood { segment, .. } = leaves else {
            return Ok(());
        };
        let segment = &self.policy.segments[segment];
        let ports: HashSet<usize> = segment.attachments.iter().map(|one| one.port).collect();
        let attachments = segment.attachments.len();
        let host = (at.segment, link.source);
        if !segment.proxy && ports.len() == attachments {
            return Ok(());
        }
        let share = COPIES / SHARES;
        let tick = self.tick;
        if !at.uplink && !self.copies_by.more(host, attachments as u64, tick, share) {
            return Err(Reason::FloodLimit);
        }
        match self
            .copies
            .more(at.attachment.port, attachments as u64, self.tick, COPIES)
        {
            true => Ok(()),
            false => Err(Reason::FloodLimit),
        }
    }

    /// Counts hosts that turn up at a device-facing port without being listed.
    pub(crate) fn new_station(&mut self, port: usize) -> Result<(), Reason> {
        match self.new_stations.one_more(port, self.tick, STATIONS) {
            true => Ok(()),
            false => Err(Reason::StationLimit),
        }
    }

    /// Counts flows that a host opens.
    pub(crate) fn new_flow(&mut self, at: Ingress, mac: Mac) -> Result<(), Reason> {
        let most = if at.uplink { FLOWS_BEHIND } else { FLOWS };
        let host = (at.segment, mac);
        let may = self.new_flows.one_more(host, self.tick, most);
        match may && !self.replete.contains(&host) {
            true => Ok(()),
            false => Err(Reason::FlowLimit),
        }
    }
}
