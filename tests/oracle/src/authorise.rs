//! Whether policy allows a packet: by a rule of its forward direction, or as the reverse within a flow.

use cordon_verdict::Reason;

use crate::flow::{self, End, FlowKey};
use crate::identity::Identity;
use crate::packet::Packet;
use crate::ruling::{self, Conditions, RequestedService, Ruling};
use crate::transport::Content;
use crate::{MatchedRule, Oracle, Refusal};

/// Why a packet may pass.
pub(crate) struct Permit {
    pub rule: MatchedRule,
    /// Only to device-facing ports.
    pub inside: bool,
    /// The endpoint that opened its flow: the sender, or the receiver if the packet is an answer.
    pub opener: Option<End>,
}

impl Oracle {
    pub(crate) fn authorise(
        &self,
        packet: &Packet,
        flow: Option<FlowKey>,
        source: &Identity,
        destination: &Identity,
    ) -> Result<Permit, Refusal> {
        let (from, to) = flow::ends(packet);
        let service = |port| match packet.content {
            Content::Tcp(_) => RequestedService::Tcp(port),
            Content::Udp(_) => RequestedService::Udp(port),
            Content::Sctp(_) => RequestedService::Sctp(port),
            _ => RequestedService::Echo,
        };
        let known = flow.and_then(|key| self.flows.get(&key));
        let other_opened = known.is_some_and(|flow| flow.opened.contains(&to));

        let conditions = Conditions {
            today: self.today,
            posture: self.posture,
        };
        let forward =
            || ruling::evaluate(&self.policy, conditions, source, destination, service(to.1));
        let reverse = || {
            ruling::evaluate(
                &self.policy,
                conditions,
                destination,
                source,
                service(from.1),
            )
        };
        let pass = |rule: usize, inside: bool, opener: End| {
            Ok(Permit {
                rule: MatchedRule::Rule(rule),
                inside,
                opener: Some(opener),
            })
        };
        let refuse = |reason: Reason, rule: Option<usize>| {
            Err((reason, rule.map_or(MatchedRule::None, MatchedRule::Rule)))
        };

        if let Content::EchoReply { .. } = packet.content {
            if !other_opened {
                return refuse(Reason::Unsolicited, None);
            }
            return match reverse() {
                Ruling::Allow { rule, inside } => pass(rule, inside, to),
                Ruling::Refuse { reason, rule } => refuse(reason, rule),
            };
        }
        let (reason, rule) = match forward() {
            Ruling::Allow { rule, inside } => return pass(rule, inside, from),
            Ruling::Refuse { reason, rule } => (reason, rule),
        };
        // A packet to a group has no flow, so it answers none.
        let connected =
            flow.is_some() && matches!(packet.content, Content::Tcp(_) | Content::Sctp(_));
        if !packet.content.opens() && (other_opened || connected) {
            match reverse() {
                Ruling::Allow { rule, inside } => return pass(rule, inside, to),
                Ruling::Refuse { reason, rule } if other_opened => return refuse(reason, rule),
                Ruling::Refuse { .. } => {}
            }
        }
        refuse(reason, rule)
    }
}
