//! What is recorded of observed segments, in the names of the policy in force, as the API and the metrics report it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, UNIX_EPOCH};

use cordon_policy::Service;
use cordon_protocol as wire;
use cordon_protocol::{ObservedConversation, ObservedSegment, WouldDrop};
use cordon_verdict::Reason;

use crate::active_policy::ActivePolicy;
use crate::clock;
use crate::convert::protocol_name;
use crate::engine::Gateway;
use crate::probe::packet::Packet;

use super::ledger::{Conversation, Host, Record, Totals};
use super::observer::Observed;
use super::policy_index::PolicyIndex;

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can express: a wall clock may be wrong by any amount.
const MAX_TIMESTAMP: u64 = 253_402_300_799;

impl Observed {
    /// For each observed segment, by name: what enforcement would have dropped.
    pub fn segments(&self, active: &ActivePolicy) -> Vec<ObservedSegment> {
        let ledger = self.ledger();
        let mut totals: BTreeMap<&str, (HashSet<&Host>, Totals)> = active
            .observed_segments()
            .map(|segment| (segment.name.as_str(), Default::default()))
            .collect();
        for (conversation, record) in ledger.conversations() {
            if let Some((hosts, total)) = totals.get_mut(conversation.segment.as_str()) {
                hosts.insert(conversation.host());
                total.flows += record.flows;
                total.bytes += record.bytes;
            }
        }
        totals
            .into_iter()
            .map(|(segment, (hosts, total))| ObservedSegment {
                segment: segment.to_owned(),
                hosts: hosts.len() as u64,
                flows: total.flows,
                bytes: total.bytes,
            })
            .collect()
    }

    /// Totals since the daemon started, of each segment that is observed now, with its name.
    pub fn totals(&self, active: &ActivePolicy) -> Vec<(String, Totals)> {
        let ledger = self.ledger();
        active
            .observed_segments()
            .map(|segment| (segment.name.clone(), ledger.totals(&segment.name)))
            .collect()
    }

    /// By device name, the number of flows that enforcement would have dropped.
    pub fn by_device(&self) -> HashMap<String, u64> {
        let mut devices = HashMap::new();
        for (conversation, record) in self.ledger().conversations() {
            if let Some(device) = &conversation.host().device {
                *devices.entry(device.clone()).or_default() += record.flows;
            }
        }
        devices
    }

    /// Every recorded conversation, latest first.
    pub fn view(&self, gateway: &Gateway) -> wire::Observed {
        let Some(active) = gateway.engine().current() else {
            return wire::Observed {
                segments: Vec::new(),
                talks: Vec::new(),
                unnoted: 0,
            };
        };
        // The answer includes what the flow table holds now.
        self.scan_flows(gateway, &active);
        let segments = self.segments(&active);
        let index = PolicyIndex::new(&active);
        let ledger = self.ledger();
        let mut records: Vec<(&Conversation, &Record)> = ledger.conversations().collect();
        records.sort_by(|(one, a), (other, b)| {
            let order = b.last.cmp(&a.last).then(b.flows.cmp(&a.flows));
            order.then_with(|| {
                (&one.from.ip, &one.to.ip, one.port).cmp(&(
                    &other.from.ip,
                    &other.to.ip,
                    other.port,
                ))
            })
        });
        let records = records.into_iter();
        wire::Observed {
            segments,
            talks: records
                .map(|(conversation, record)| to_api(&index, conversation, record))
                .collect(),
            unnoted: ledger.unrecorded,
        }
    }
}

/// A conversation, as the API reports it.
fn to_api(
    index: &PolicyIndex,
    conversation: &Conversation,
    record: &Record,
) -> ObservedConversation {
    let time =
        |seconds: u64| clock::rfc3339(UNIX_EPOCH + Duration::from_secs(seconds.min(MAX_TIMESTAMP)));
    let rule = record.rule.as_deref();
    let reason = match rule {
        Some(_) => Reason::Rule,
        None => Reason::NoRule,
    };
    let packet = conversation.packet();
    ObservedConversation {
        segment: conversation.segment.clone(),
        inside: conversation.inside,
        from: index.party(conversation, &conversation.from),
        to: index.party(conversation, &conversation.to),
        service: packet.map_or_else(
            || protocol_name(conversation.protocol),
            |packet| packet.to_string(),
        ),
        service_name: packet.and_then(|packet| service_name(index.active, packet)),
        would_drop: WouldDrop {
            reason: reason.name().to_owned(),
            rule: record.rule.clone(),
            place: rule.and_then(|name| index.rule_position(name)),
        },
        flows: record.flows,
        bytes: record.bytes,
        first: time(record.first),
        last: time(record.last),
    }
}

/// The name of the service with the fewest ports that includes a packet; the first of several: `https`, not `dicomweb`.
fn service_name(active: &ActivePolicy, packet: Packet) -> Option<String> {
    let width = |service: &Service| match (*service, packet) {
        (Service::Tcp(first, last), Packet::Tcp(port))
        | (Service::Udp(first, last), Packet::Udp(port))
        | (Service::Sctp(first, last), Packet::Sctp(port))
            if (first..=last).contains(&port) =>
        {
            Some(u32::from(last - first))
        }
        _ => None,
    };
    let services = active.policy.services.iter().enumerate();
    let services = services.filter_map(|(index, service)| {
        let width = service.entries.iter().filter_map(width).min()?;
        Some((width, service.entries.len(), index, &service.name))
    });
    services.min().map(|(.., name)| name.clone())
}
