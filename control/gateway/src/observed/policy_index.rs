//! The devices and rules of a policy by name, to evaluate recorded conversations by it.

use std::collections::HashMap;

use cordon_policy::Rule;
use cordon_protocol::Party;

use crate::active_policy::ActivePolicy;
use crate::probe::endpoints::{End, Ends, end_of_address};
use crate::probe::{ProbeOutcome, probe};

use super::ledger::{Conversation, Host};

/// The devices and rules of a policy by name.
pub struct PolicyIndex<'a> {
    /// The policy.
    pub active: &'a ActivePolicy,
    devices: HashMap<&'a str, usize>,
    rules: HashMap<&'a str, &'a Rule>,
}

impl<'a> PolicyIndex<'a> {
    /// Indexes a policy.
    pub fn new(active: &'a ActivePolicy) -> PolicyIndex<'a> {
        let devices = active.policy.devices.iter().enumerate();
        let rules = active.policy.rules.iter();
        PolicyIndex {
            active,
            devices: devices
                .map(|(index, device)| (device.name.as_str(), index))
                .collect(),
            rules: rules.map(|rule| (rule.name.as_str(), rule)).collect(),
        }
    }

    /// Where a rule is written, as `file:line`.
    pub fn rule_position(&self, name: &str) -> Option<String> {
        self.rules.get(name).map(|rule| rule.position.to_string())
    }

    fn end(&self, conversation: &Conversation, host: &Host) -> End {
        let device = host
            .device
            .as_deref()
            .and_then(|name| self.devices.get(name));
        match device {
            Some(index) => End::Device(*index, host.ip),
            // A DHCP client without an address: it is in the segment that it sends in.
            None if host.ip.is_unspecified() => {
                let mut segments = self.active.policy.segments.iter();
                let index = segments.position(|segment| segment.name == conversation.segment);
                index.map_or(End::Outside(host.ip), |index| End::Member(index, host.ip))
            }
            None => end_of_address(self.active, host.ip),
        }
    }

    /// What the policy does to the first packet of a conversation, judged by names and addresses alone.
    pub fn probe(&self, conversation: &Conversation) -> ProbeOutcome {
        let ends = Ends {
            from: self.end(conversation, &conversation.from),
            to: self.end(conversation, &conversation.to),
        };
        match conversation.packet() {
            Some(packet) => probe(self.active, &ends, packet),
            None => ProbeOutcome::Unknown,
        }
    }

    /// A host of a conversation, as the API reports it.
    pub fn party(&self, conversation: &Conversation, host: &Host) -> Party {
        let end = self.end(conversation, host);
        // A group has no zone: its packets stay in the segment of their sender.
        let zone = end.zone(self.active).filter(|_| !end.is_group());
        Party {
            device: host.device.clone(),
            ip: host.ip.to_string(),
            zone: zone.map(|zone| self.active.policy.zones[zone].name.clone()),
        }
    }
}
