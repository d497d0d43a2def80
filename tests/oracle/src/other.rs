//! What is neither IP nor ARP: who sends it, and no more.

use cordon_policy::{Posture, Unknown};
use cordon_verdict::Reason;

use crate::authorise::Passed;
use crate::frame::Link;
use crate::who;
use crate::{Decided, Ingress, Oracle, Refused};

impl Oracle {
    pub(crate) fn other(&self, at: Ingress, link: &Link) -> Result<Passed, Refused> {
        let early = |reason| Err((reason, Decided::Nothing));
        let segment = &self.policy.segments[at.segment];
        if !segment.ether_types.contains(&link.ether_type) {
            return early(Reason::EtherType);
        }
        match who::listed(&self.policy, at.segment, link.source) {
            Some(_) if at.uplink => return early(Reason::DeviceOnUplink),
            Some(device) if self.is_misplaced(at, device) => return early(Reason::PortBinding),
            None if !at.uplink && segment.unknown != Unknown::Admit => {
                return early(Reason::UnknownDevice);
            }
            _ => {}
        }
        let (closed, inside) = match self.posture {
            Posture::Normal | Posture::Watch => (false, false),
            Posture::Contain | Posture::Isolate => (at.uplink, true),
            Posture::Lockdown | Posture::Sever => (true, true),
        };
        match closed {
            true => Err((Reason::Posture, Decided::EtherType)),
            false => Ok(Passed {
                rule: Decided::EtherType,
                inside,
                opener: None,
            }),
        }
    }
}
