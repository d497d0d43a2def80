//! EtherTypes other than IP and ARP: judged by sender, segment and posture alone.

use cordon_policy::{Posture, Unknown};
use cordon_verdict::Reason;

use crate::authorise::Permit;
use crate::frame::Link;
use crate::identity;
use crate::{Ingress, MatchedRule, Oracle, Refusal};

impl Oracle {
    pub(crate) fn listed_ether_type(&self, at: Ingress, link: &Link) -> Result<Permit, Refusal> {
        let unmatched = |reason| Err((reason, MatchedRule::None));
        let segment = &self.policy.segments[at.segment];
        if !segment.ether_types.contains(&link.ether_type) {
            return unmatched(Reason::EtherType);
        }
        match identity::listed(&self.policy, at.segment, link.source) {
            Some(_) if at.uplink => return unmatched(Reason::DeviceOnUplink),
            Some(device) if self.violates_binding(at, device) => {
                return unmatched(Reason::PortBinding);
            }
            None if !at.uplink && segment.unknown != Unknown::Admit => {
                return unmatched(Reason::UnknownDevice);
            }
            _ => {}
        }
        let (closed, inside) = match self.posture {
            Posture::Normal | Posture::Watch => (false, false),
            Posture::Contain | Posture::Isolate => (at.uplink, true),
            Posture::Lockdown | Posture::Sever => (true, true),
        };
        match closed {
            true => Err((Reason::Posture, MatchedRule::EtherType)),
            false => Ok(Permit {
                rule: MatchedRule::EtherType,
                inside,
                opener: None,
            }),
        }
    }
}
