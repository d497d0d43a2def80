//! Whether it may: in its own right, or as an answer.

use std::net::IpAddr;

use cordon_verdict::Reason;

use crate::frame::{self, Content, Link, Packet};
use crate::ruling::{self, Asks, Ruling, When};
use crate::who::Who;
use crate::{Decided, Ingress, Oracle, Refused};

/// One end of a flow: address and port, or address and echo identifier.
pub(crate) type End = (IpAddr, u16);

/// What makes two packets parts of one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlowKey {
    segment: usize,
    protocol: u8,
    /// The lesser end first.
    ends: [End; 2],
    /// Of echo: who asks.
    asks: Option<End>,
}

/// What passed, and by what.
pub(crate) struct Passed {
    pub rule: Decided,
    /// Only to device-facing ports.
    pub inside: bool,
    /// The flow it is part of, and who opened that if it is new.
    pub flow: Option<(FlowKey, End)>,
}

impl Oracle {
    pub(crate) fn authorise(
        &self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
        source: &Who,
        destination: &Who,
    ) -> Result<Passed, Refused> {
        let (protocol, from_port, to_port) = match packet.content {
            Content::Tcp {
                source,
                destination,
                ..
            } => (6, source, destination),
            Content::Udp {
                source,
                destination,
            } => (17, source, destination),
            Content::EchoRequest { identifier } | Content::EchoReply { identifier } => {
                (1, identifier, identifier)
            }
            Content::Discovery(_) => unreachable!("discovery is not for rules to decide"),
        };
        let asks = |port| match protocol {
            6 => Asks::Tcp(port),
            17 => Asks::Udp(port),
            _ => Asks::Echo,
        };
        let from: End = (packet.source, from_port);
        let to: End = (packet.destination, to_port);
        let key = FlowKey {
            segment: at.segment,
            protocol,
            ends: if from < to { [from, to] } else { [to, from] },
            asks: match packet.content {
                Content::EchoRequest { .. } => Some(from),
                Content::EchoReply { .. } => Some(to),
                _ => None,
            },
        };
        let single = !frame::is_group_mac(link.destination);
        let opener = single.then(|| self.flows.get(&key)).flatten().copied();
        let other_opened = opener == Some(to);

        let when = When {
            today: self.today,
            posture: self.posture,
        };
        let own = || ruling::rule_on(&self.policy, when, source, destination, asks(to_port));
        let answer = || ruling::rule_on(&self.policy, when, destination, source, asks(from_port));
        let pass = |rule: usize, inside: bool, opener: End| {
            Ok(Passed {
                rule: Decided::Rule(rule),
                inside,
                flow: single.then_some((key, opener)),
            })
        };
        let refuse = |reason: Reason, rule: Option<usize>| {
            Err((reason, rule.map_or(Decided::Nothing, Decided::Rule)))
        };

        if let Content::EchoReply { .. } = packet.content {
            if !other_opened {
                return refuse(Reason::Unsolicited, None);
            }
            return match answer() {
                Ruling::Allow { rule, inside } => pass(rule, inside, to),
                Ruling::Refuse { reason, rule } => refuse(reason, rule),
            };
        }
        let (reason, rule) = match own() {
            Ruling::Allow { rule, inside } => return pass(rule, inside, from),
            Ruling::Refuse { reason, rule } => (reason, rule),
        };
        let opens = matches!(packet.content, Content::Tcp { opens: true, .. });
        if !opens && (other_opened || protocol == 6) {
            match answer() {
                Ruling::Allow { rule, inside } => return pass(rule, inside, to),
                Ruling::Refuse { reason, rule } if other_opened => return refuse(reason, rule),
                Ruling::Refuse { .. } => {}
            }
        }
        refuse(reason, rule)
    }
}
