//! Removing idle flows, and enforcing the quotas of hosts.

use std::collections::{HashMap, HashSet};

use cordon_verdict::abi::{
    NO_ATTACHMENT, attachment, fdb_key, location_inner, location_outer, location_port,
    path_attachment, path_mac, stack_key,
};

use crate::barrier;
use crate::census::{Census, Opener};
use crate::dataplane::Dataplane;
use crate::error::Error;
use crate::flow_entry::FlowEntry;
use crate::flow_table::FlowSlot;
use crate::flows::HalfOpenRef;
use crate::idle_timeout::{IdleTimeout, SweepLimits};
use crate::pins::of;

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Established flows that remain.
    pub open: u64,
    /// Half-open flows that remain.
    pub half_open: u64,
    /// Removed flows.
    pub forgotten: u64,
    /// Of these, flows that were not idle: those of unlisted hosts over their quota, in a table above its high-water mark.
    pub excess: u64,
}

impl Dataplane {
    /// Removes idle flows by the default timeouts, and frees their entries.
    ///
    /// # Errors
    /// [`Error::Batch`], [`Error::Barrier`], [`Error::Map`].
    pub fn sweep(&mut self, limits: &SweepLimits) -> Result<Swept, Error> {
        let swept = self.sweep_with(limits, &|_| IdleTimeout::Default, &|_| true)?;
        self.reclaim(usize::MAX)?;
        Ok(swept)
    }

    /// Removes idle flows. `idle_timeout` gives the policy's timeout of a flow; `listed` says whether an FDB key belongs to
    /// a listed device. In a table above its high-water mark, unlisted hosts lose flows until they fill half of it; the next
    /// packet of such a flow is judged like that of a new one. The entries of removed flows become free by
    /// [`Dataplane::reclaim`].
    ///
    /// # Errors
    /// As [`Dataplane::sweep`].
    pub fn sweep_with(
        &mut self,
        limits: &SweepLimits,
        idle_timeout: &dyn Fn(&FlowEntry) -> IdleTimeout,
        listed: &dyn Fn(u64) -> bool,
    ) -> Result<Swept, Error> {
        let now = self.control()?.tick;
        let mut census = self.census(limits, now, idle_timeout, [false; 2]);
        let is_expired = |entry: &FlowEntry| limits.is_expired(entry, now, idle_timeout, false);
        let [excess4, excess6] = self.excess(&census, now, listed, &is_expired);
        // The shorter timeouts apply only if the table stays above the mark without the excess flows: a flood by unlisted
        // hosts must not shorten the timeouts of listed devices.
        let above_high_water = self.above_high_water([
            census.open[0].saturating_sub(excess4.len()),
            census.open[1].saturating_sub(excess6.len()),
        ]);
        if above_high_water != [false; 2] {
            census = self.census(limits, now, idle_timeout, above_high_water);
        }
        let mut excess = [excess4, excess6].concat();
        let Census {
            mut expired,
            open,
            opened,
        } = census;
        let mut swept = Swept {
            open: open.iter().sum::<usize>() as u64,
            ..Swept::default()
        };
        let mut half_expired = Vec::new();
        self.half_open(|at, entry| {
            if limits.is_expired(&entry, now, idle_timeout, false) {
                half_expired.push((at, entry));
            } else {
                swept.half_open += u64::from(!entry.is_to_group());
            }
        });
        self.throttle(&opened, limits.quota)?;
        self.follow_moves()?;
        for (at, entry) in half_expired {
            match self.remove_half_open(at, entry.flow.seen) {
                true => swept.forgotten += 1,
                // It has seen a packet since.
                false => swept.half_open += u64::from(!entry.is_to_group()),
            }
        }
        expired.retain(|(slot, _)| self.unlink(*slot));
        // Flows that are idle as well are unlinked already.
        excess.retain(|slot| self.unlink(*slot));
        if expired.is_empty() && excess.is_empty() {
            return Ok(swept);
        }
        // A packet that found an entry before it was unlinked may still be using it.
        barrier::wait()?;
        for (slot, entry) in &expired {
            if self.relink_if_used(*slot, entry) {
                swept.open += 1;
            } else {
                swept.forgotten += 1;
                self.removed.push(*slot);
            }
        }
        swept.excess = excess.len() as u64;
        self.removed.append(&mut excess);
        // `reclaim` frees from the end, so that the lowest entry is freed last and reused first: used entries should lie
        // close together.
        self.removed.sort_unstable_by_key(|slot| slot.number());
        swept.forgotten += swept.excess;
        // Some of the excess flows may have been established after the census.
        swept.open = swept.open.saturating_sub(swept.excess);
        Ok(swept)
    }

    /// Frees the entries of removed flows for new ones, `limit` at most: each costs a system call of about two
    /// microseconds. Returns whether there are more.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn reclaim(&mut self, limit: usize) -> Result<bool, Error> {
        for _ in 0..limit {
            match self.removed.pop() {
                None => break,
                Some(FlowSlot::V4(slot)) => self.maps.flows4.free(slot)?,
                Some(FlowSlot::V6(slot)) => self.maps.flows6.free(slot)?,
            }
        }
        Ok(!self.removed.is_empty())
    }

    /// Invalidates flows whose path leads to where a station was before it moved. A station that sends corrects its flows
    /// itself; one that only receives would lose packets.
    fn follow_moves(&mut self) -> Result<(), Error> {
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
        self.stations(|fdb_key, station| {
            let location = station.at();
            let number = match location_inner(location) {
                0 => attachment(location_port(location), location_outer(location)),
                _ => {
                    let number = numbers.get(&stack_key(slot, location));
                    number.copied().unwrap_or(NO_ATTACHMENT)
                }
            };
            // If the table has a key twice, packets find the first entry.
            stations.entry(fdb_key).or_insert(number);
        });
        self.established(|slot, entry| {
            let is_outdated = entry.flow.path.iter().any(|path| {
                let station = stations.get(&fdb_key(entry.segment, path_mac(path.to)));
                station.is_some_and(|attachment| *attachment != path_attachment(path.to))
            });
            if is_outdated {
                match slot {
                    FlowSlot::V4(slot) => self.maps.flows4.invalidate(slot),
                    FlowSlot::V6(slot) => self.maps.flows6.invalidate(slot),
                }
            }
        });
        self.moves = moves;
        Ok(())
    }

    fn unlink(&self, slot: FlowSlot) -> bool {
        match slot {
            FlowSlot::V4(slot) => self.maps.flows4.unlink(slot),
            FlowSlot::V6(slot) => self.maps.flows6.unlink(slot),
        }
    }

    /// Puts an unlinked flow back if it has seen a packet since it was counted.
    fn relink_if_used(&self, slot: FlowSlot, entry: &FlowEntry) -> bool {
        match slot {
            FlowSlot::V4(slot) => self.maps.flows4.relink_if_used(slot, entry.flow.seen),
            FlowSlot::V6(slot) => self.maps.flows6.relink_if_used(slot, entry.flow.seen),
        }
    }

    fn remove_half_open(&self, at: HalfOpenRef, seen: u16) -> bool {
        match at {
            HalfOpenRef::V4(at) => self.maps.half4.remove(at, |flow| flow.seen == seen),
            HalfOpenRef::V6(at) => self.maps.half6.remove(at, |flow| flow.seen == seen),
        }
    }

    /// Stops hosts that have `quota` established flows from opening more, and allows the others to.
    fn throttle(&mut self, opened: &HashMap<Opener, [u32; 2]>, quota: u32) -> Result<(), Error> {
        // A flow that only the other end's packets attribute to a host does not count against it.
        let opened = opened.iter().filter(|(opener, _)| opener.certain);
        let over_quota: HashSet<u64> = opened
            .filter(|(_, flows)| flows.iter().sum::<u32>() >= quota)
            .map(|(opener, _)| opener.fdb_key)
            .collect();
        if over_quota.is_empty() && !self.throttled {
            return Ok(());
        }
        // All hosts: the table may have evicted one and learned it again since the last sweep.
        self.maps.hosts.each(|at, [fdb_key], host| {
            // A MAC address at an uplink is a router's, with many hosts behind it.
            let over = u16::from(over_quota.contains(&fdb_key) && !host.station.is_uplink());
            if host.limit.over != over {
                self.maps.hosts.throttle(at, over);
            }
        });
        self.throttled = !over_quota.is_empty();
        Ok(())
    }
}
