//! Rate limits, counted per tick of the clock.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use cordon_policy::Mac;
use cordon_verdict::Reason;

use crate::frame::{self, Link};
use crate::{Forwarded, Ingress, Oracle, identity};

/// Nanoseconds of a tick: a power of two, a little more than a second.
const TICK: u64 = 1 << 30;
const SECOND: u64 = 1_000_000_000;

/// Copies per port, in segments whose floods are copied one by one.
const COPIES: u64 = 65536;
/// One host of a device-facing port allowed use this fraction (a quarter) of the port's limit.
const HOST_FRACTION: u64 = 4;
/// All unlisted hosts of a device-facing port together may use this fraction (a half) of the port's limit.
const UNLISTED_FRACTION: u64 = 2;
/// New unlisted hosts per device-facing port.
const STATIONS: u64 = 64;
/// New flows of a host at a device-facing port, and of one reached through an uplink.
const FLOWS: u64 = 4096;
const FLOWS_VIA_UPLINK: u64 = 65536;

/// Counts per key, each with the tick in which the key was counted last.
#[derive(Clone, Debug)]
pub(crate) struct Counts<K>(HashMap<K, (u64, u64)>);

impl<K> Default for Counts<K> {
    fn default() -> Counts<K> {
        Counts(HashMap::new())
    }
}

impl<K: Eq + Hash> Counts<K> {
    /// Adds one, unless the count of this tick would exceed `most`.
    fn increment(&mut self, key: K, tick: u64, most: u64) -> bool {
        self.add(key, 1, tick, most)
    }

    /// Adds `times`, unless the count of this tick would exceed `most`.
    fn add(&mut self, key: K, times: u64, tick: u64, most: u64) -> bool {
        let (last, count) = self.0.entry(key).or_insert((tick, 0));
        if *last != tick {
            (*last, *count) = (tick, 0);
        }
        let allowed = *count + times <= most;
        if allowed {
            *count += times;
        }
        allowed
    }

    /// Replaces the keys.
    pub(crate) fn map_keys(&mut self, new_key: impl Fn(K) -> K) {
        let counts = std::mem::take(&mut self.0).into_iter();
        self.0 = counts.map(|(key, count)| (new_key(key), count)).collect();
    }
}

impl Oracle {
    /// Storm control: counts a frame to a group address, first for its host, then for all unlisted hosts if that is
    /// one, then for its port.
    pub(crate) fn storm_control(&mut self, at: Ingress, link: &Link) -> Result<(), Reason> {
        if !frame::is_group_mac(link.destination) {
            return Ok(());
        }
        let most = self.group_frames_of(at.attachment.port);
        if most != 0 && !at.uplink {
            let share = (most / HOST_FRACTION).clamp(1, 65535);
            let host = (at.segment, link.source);
            if !self.group_frames_by_host.increment(host, self.tick, share) {
                return Err(Reason::Storm);
            }
            let (port, half) = (at.attachment.port, (most / UNLISTED_FRACTION).max(1));
            if self.is_unlisted(host)
                && !self
                    .group_frames_of_unlisted
                    .increment(port, self.tick, half)
            {
                return Err(Reason::Storm);
            }
        }
        self.port_storm_control(at.attachment.port)
    }

    fn is_unlisted(&self, (segment, mac): (usize, Mac)) -> bool {
        identity::listed(&self.policy, segment, mac).is_none()
    }

    fn group_frames_of(&self, port: usize) -> u64 {
        u64::from(self.policy.ports[port].storm) * TICK / SECOND
    }

    /// Storm control of the port alone.
    pub(crate) fn port_storm_control(&mut self, port: usize) -> Result<(), Reason> {
        let most = self.group_frames_of(port);
        if most == 0 {
            return Ok(());
        }
        match self.group_frames.increment(port, self.tick, most) {
            true => Ok(()),
            false => Err(Reason::Storm),
        }
    }

    /// Counts the copies of a flood, in a segment whose floods are copied one by one.
    pub(crate) fn count_copies(
        &mut self,
        at: Ingress,
        link: &Link,
        forwarded: Forwarded,
    ) -> Result<(), Reason> {
        let Forwarded::Flood { segment, .. } = forwarded else {
            return Ok(());
        };
        let segment = &self.policy.segments[segment];
        let ports: HashSet<usize> = segment.attachments.iter().map(|one| one.port).collect();
        let attachments = segment.attachments.len();
        let host = (at.segment, link.source);
        if !segment.proxy && ports.len() == attachments {
            return Ok(());
        }
        let share = COPIES / HOST_FRACTION;
        let tick = self.tick;
        if !at.uplink
            && !self
                .copies_by_host
                .add(host, attachments as u64, tick, share)
        {
            return Err(Reason::FloodLimit);
        }
        let half = COPIES / UNLISTED_FRACTION;
        if !at.uplink
            && self.is_unlisted(host)
            && !self
                .copies_of_unlisted
                .add(at.attachment.port, attachments as u64, tick, half)
        {
            return Err(Reason::FloodLimit);
        }
        match self
            .copies
            .add(at.attachment.port, attachments as u64, self.tick, COPIES)
        {
            true => Ok(()),
            false => Err(Reason::FloodLimit),
        }
    }

    /// Counts a new unlisted host at a device-facing port.
    pub(crate) fn count_new_station(&mut self, port: usize) -> Result<(), Reason> {
        match self.new_stations.increment(port, self.tick, STATIONS) {
            true => Ok(()),
            false => Err(Reason::StationLimit),
        }
    }

    /// Counts a flow that a host opens.
    pub(crate) fn count_new_flow(&mut self, at: Ingress, mac: Mac) -> Result<(), Reason> {
        let most = if at.uplink { FLOWS_VIA_UPLINK } else { FLOWS };
        let host = (at.segment, mac);
        let allowed = self.new_flows.increment(host, self.tick, most);
        match allowed && !self.at_flow_limit.contains(&host) {
            true => Ok(()),
            false => Err(Reason::FlowLimit),
        }
    }
}
