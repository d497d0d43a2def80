//! Counting established flows by the host that opened them.

use std::collections::HashMap;

use cordon_verdict::abi::{FlowPath, fdb_key, path_mac};

use crate::dataplane::Dataplane;
use crate::flow_entry::FlowEntry;
use crate::flow_table::FlowSlot;
use crate::idle_timeout::{HIGH_WATER_MARK, IdleTimeout, SweepLimits};

/// The established flows, counted.
#[derive(Default)]
pub(crate) struct Census {
    /// Flows whose idle timeout has expired.
    pub expired: Vec<(FlowSlot, FlowEntry)>,
    /// The number of other flows, by table.
    pub open: [usize; 2],
    /// The number of other flows that each host opened, by table.
    pub opened: HashMap<Opener, [u32; 2]>,
}

impl Dataplane {
    /// Counts all established flows. The shorter timeouts apply to the tables that are `above_high_water`.
    pub(crate) fn census(
        &self,
        limits: &SweepLimits,
        now: u16,
        idle_timeout: &dyn Fn(&FlowEntry) -> IdleTimeout,
        above_high_water: [bool; 2],
    ) -> Census {
        let mut census = Census::default();
        self.established(|slot, entry| {
            let table = table_of(&entry);
            if limits.is_expired(&entry, now, idle_timeout, above_high_water[table]) {
                census.expired.push((slot, entry));
                return;
            }
            census.open[table] += 1;
            census.opened.entry(opener(&entry)).or_default()[table] += 1;
        });
        census
    }

    /// Which of the two flow tables are above the high-water mark, with so many flows.
    pub(crate) fn above_high_water(&self, open: [usize; 2]) -> [bool; 2] {
        let (part, of) = HIGH_WATER_MARK;
        let capacity = [self.maps.flows4.capacity(), self.maps.flows6.capacity()];
        [0, 1].map(|table| open[table] * of > capacity[table] * part)
    }
}

/// The table that a flow is in: 0 for IPv4, 1 for IPv6.
pub(crate) fn table_of(entry: &FlowEntry) -> usize {
    usize::from(!entry.address[0].is_v4())
}

/// The host that opened a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Opener {
    pub fdb_key: u64,
    /// Whether a packet of this host was judged under the policy in force. Otherwise only the other end's packets say so.
    pub certain: bool,
}

/// The host that opened a flow. If the initiator's direction has not been judged by the policy in force yet, the answers'
/// destination MAC address names it. If that is unknown too, one opener with MAC address 0 stands for all such flows of a
/// segment, so that every flow counts for some opener.
pub(crate) fn opener(entry: &FlowEntry) -> Opener {
    let initiator = usize::from(entry.flow.initiator & 1);
    let own = entry.flow.path[initiator].from;
    let word = match entry.flow.path[initiator ^ 1].to {
        _ if own != 0 => own,
        FlowPath::UNKNOWN => 0,
        back => back,
    };
    Opener {
        fdb_key: fdb_key(entry.segment, path_mac(word)),
        certain: own != 0,
    }
}
