//! The names of the policy, the rule and the ends of a flow.

use std::sync::Arc;

use cordon_kernel::FlowEntry;
use cordon_protocol::{Endpoint, Flow, WouldDrop};
use cordon_verdict::abi::{self, Control, path_mac};

use super::top::RankedFlow;
use crate::active_policy::ActivePolicy;
use crate::convert::{protocol_name, unnamed_endpoint};
use crate::observed::{FlowOpening, ShadowPolicy, ShadowVerdict};

/// What it takes to name the policy, the rule and the ends of a flow.
pub struct FlowNames {
    /// The policies in the slots of the kernel's tables.
    pub slots: [Option<Arc<ActivePolicy>>; 2],
    /// By slot, the first epoch that its policy was in force.
    pub first_epochs: [u32; 2],
    /// The control word.
    pub control: Control,
    /// The shadow of the policy in force.
    pub shadow: Option<Arc<ShadowPolicy>>,
}

impl FlowNames {
    fn current(&self) -> Option<&ActivePolicy> {
        self.slots[usize::from(self.control.slot)].as_deref()
    }

    /// The policy that a flow was judged by: the one in force, or the one before if that is still known.
    fn judged_by(&self, entry: &FlowEntry) -> Option<&ActivePolicy> {
        let epoch = entry.epoch();
        let this = usize::from(self.control.slot);
        let slot = if epoch >= self.first_epochs[this] {
            this
        } else {
            this ^ 1
        };
        (epoch >= self.first_epochs[slot])
            .then_some(self.slots[slot].as_deref())
            .flatten()
    }

    /// The rule that a flow was allowed by.
    pub fn rule(&self, entry: &FlowEntry) -> Option<&str> {
        self.judged_by(entry)?.rule(entry.flow.ruling().rule())
    }

    /// Whether a flow passes only by an observe rule of the policy in force.
    pub fn passes_by_observe_rule(&self, entry: &FlowEntry) -> bool {
        let (Some(shadow), Some(active)) = (&self.shadow, self.judged_by(entry)) else {
            return false;
        };
        std::ptr::eq(&*shadow.base, active) && active.is_observe_rule(entry.flow.ruling().rule())
    }

    /// The verdict of the shadow policy on a flow.
    pub fn enforced(&self, entry: &FlowEntry) -> Option<ShadowVerdict> {
        let shadow = self.shadow.as_ref()?;
        let opening = FlowOpening::of_flow(entry, &shadow.base)?;
        Some(shadow.judge(&opening))
    }

    /// The rule to report. Observe rules also match replies of flows that another rule allows: then it is that other
    /// rule.
    pub fn reported_rule(&self, ranked: &RankedFlow) -> Option<&str> {
        match (ranked.enforced, &self.shadow) {
            (Some(ShadowVerdict::Allows(rule)), Some(shadow)) => shadow.enforced.rule(rule),
            _ => self.rule(&ranked.entry),
        }
    }

    /// A flow, as the API reports it.
    pub fn flow(&self, ranked: &RankedFlow) -> Flow {
        let RankedFlow { entry, enforced } = ranked;
        let from = usize::from(entry.flow.initiator & 1);
        let to = from ^ 1;
        let unknown = || "unknown".to_owned();
        let segment = self
            .current()
            .and_then(|active| active.segment(entry.segment));
        Flow {
            from: self.end(entry, from),
            to: self.end(entry, to),
            protocol: protocol_name(entry.protocol),
            segment: segment.map_or_else(unknown, str::to_owned),
            rule: self
                .reported_rule(ranked)
                .map_or_else(unknown, str::to_owned),
            would_drop: enforced.and_then(|enforced| self.would_drop(enforced)),
            current: entry.epoch() == self.control.epoch,
            answered: entry.answered(),
            bytes_sent: entry.bytes(from),
            bytes_received: entry.bytes(to),
            idle_seconds: u64::from(entry.idle(self.control.tick)) * abi::AGE_SECONDS,
        }
    }

    fn would_drop(&self, enforced: ShadowVerdict) -> Option<WouldDrop> {
        match (enforced, &self.shadow) {
            (ShadowVerdict::Drops(rule), Some(shadow)) => Some(shadow.would_drop(rule)),
            _ => None,
        }
    }

    /// One end by its IP address or, if no device is bound to that, by its source MAC address.
    fn end(&self, entry: &FlowEntry, end: usize) -> Endpoint {
        let (ip, port) = (entry.address[end], entry.port[end]);
        let Some(active) = self.current() else {
            return unnamed_endpoint(ip, port, entry.protocol);
        };
        let by_ip = active.endpoint(ip, port, entry.protocol);
        let mac = path_mac(entry.flow.path[end].from);
        match active.device_by_mac(entry.segment, mac) {
            Some(device) if by_ip.device.is_none() => Endpoint {
                device: Some(device.name.clone()),
                ..by_ip
            },
            _ => by_ip,
        }
    }
}
