//! Whether it may: in its own right, or as an answer.

use cordon_verdict::Reason;

use crate::flow::{self, End, FlowKey};
use crate::packet::Packet;
use crate::ruling::{self, Asks, Ruling, When};
use crate::transport::Content;
use crate::who::Who;
use crate::{Decided, Oracle, Refused};

/// What passed, and by what.
pub(crate) struct Passed {
    pub rule: Decided,
    /// Only to device-facing ports.
    pub inside: bool,
    /// Who opened the flow that it is part of: its sender, or who is answered.
    pub opener: Option<End>,
}

impl Oracle {
    pub(crate) fn authorise(
        &self,
        packet: &Packet,
        flow: Option<FlowKey>,
        source: &Who,
        destination: &Who,
    ) -> Result<Passed, Refused> {
        let (from, to) = flow::ends(packet);
        let asks = |port| match packet.content {
            Content::Tcp(_) => Asks::Tcp(port),
            Content::Udp(_) => Asks::Udp(port),
            Content::Sctp(_) => Asks::Sctp(port),
            _ => Asks::Echo,
        };
        let known = flow.and_then(|key| self.flows.get(&key));
        let other_opened = known.is_some_and(|flow| flow.opened.contains(&to));

        let when = When {
            today: self.today,
            posture: self.posture,
        };
        let own = || ruling::rule_on(&self.policy, when, source, destination, asks(to.1));
        let answer = || ruling::rule_on(&self.policy, when, destination, source, asks(from.1));
        let pass = |rule: usize, inside: bool, opener: End| {
            Ok(Passed {
                rule: Decided::Rule(rule),
                inside,
                opener: Some(opener),
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
        let connected = matches!(packet.content, Content::Tcp(_) | Content::Sctp(_));
        if !packet.content.opens() && (other_opened || connected) {
            match answer() {
                Ruling::Allow { rule, inside } => return pass(rule, inside, to),
                Ruling::Refuse { reason, rule } if other_opened => return refuse(reason, rule),
                Ruling::Refuse { .. } => {}
            }
        }
        refuse(reason, rule)
    }
}
