//! Reading flows and stations.

use cordon_verdict::abi::{FlowKey4, FlowKey6, Station};

use crate::dataplane::Dataplane;
use crate::evicting_table::EntryRef;
use crate::flow_entry::FlowEntry;
use crate::flow_table::FlowSlot;

impl Dataplane {
    /// Calls `each` with every flow, and with all traffic to groups.
    pub fn flows(&self, mut each: impl FnMut(FlowEntry)) {
        self.established(|_, entry| each(entry));
        self.half_open(|_, entry| each(entry));
    }

    /// Calls `each` with every established flow and its slot.
    pub(crate) fn established(&self, mut each: impl FnMut(FlowSlot, FlowEntry)) {
        self.maps.flows4.each(|slot, words, flow| {
            let entry = FlowEntry::v4(&FlowKey4::from_words(words), flow, false);
            each(FlowSlot::V4(slot), entry);
        });
        self.maps.flows6.each(|slot, words, flow| {
            let entry = FlowEntry::v6(&FlowKey6::from_words(words), flow, false);
            each(FlowSlot::V6(slot), entry);
        });
    }

    /// Calls `each` with every half-open flow and all traffic to groups, and a reference to the entry.
    pub(crate) fn half_open(&self, mut each: impl FnMut(HalfOpenRef, FlowEntry)) {
        self.maps.half4.each(|at, words, flow| {
            let entry = FlowEntry::v4(&FlowKey4::from_words(words), flow, true);
            each(HalfOpenRef::V4(at), entry);
        });
        self.maps.half6.each(|at, words, flow| {
            let entry = FlowEntry::v6(&FlowKey6::from_words(words), flow, true);
            each(HalfOpenRef::V6(at), entry);
        });
    }

    /// Calls `each` with the FDB key and the FDB entry of every station.
    pub fn stations(&self, mut each: impl FnMut(u64, Station)) {
        self.maps
            .hosts
            .each(|_, [fdb_key], host| each(fdb_key, host.station));
    }
}

/// The entry of a half-open flow.
#[derive(Clone, Copy)]
pub(crate) enum HalfOpenRef {
    V4(EntryRef),
    V6(EntryRef),
}
