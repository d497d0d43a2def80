//! ARP and discovery of a closed site: a listed device resolves its routers, one message a tick; all else stays inside.

use std::net::IpAddr;

use cordon_policy::Posture;

use crate::authorise::Permit;
use crate::frame::{self, Link};
use crate::packet::Packet;
use crate::protocol::{NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION};
use crate::{Ingress, MatchedRule, Oracle, Refusal, identity};

impl Oracle {
    pub(crate) fn permit_arp(&mut self, at: Ingress, link: &Link) -> Result<Permit, Refusal> {
        let (sender, target) = (frame::ipv4(link.payload, 14), frame::ipv4(link.payload, 24));
        let target = IpAddr::from(target);
        let on_link = identity::is_on_link(&self.policy, at.segment, target);
        let device = self.device_here(at, target);
        let others = device.is_some_and(|device| device != link.source);
        let crosses = !sender.is_unspecified() && on_link && !others;
        self.permit_crossing(at, link, MatchedRule::Arp, crosses)
    }

    pub(crate) fn permit_discovery(
        &mut self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
        message: &[u8],
    ) -> Result<Permit, Refusal> {
        let target = || IpAddr::from(frame::ipv6(message, 8));
        let crosses = match message[0] {
            NEIGHBOUR_SOLICITATION => {
                !packet.source.is_unspecified() && self.device_here(at, target()).is_none()
            }
            NEIGHBOUR_ADVERTISEMENT => {
                let to_router = identity::is_router_address(&self.policy, packet.destination);
                let own = self.device_here(at, target()) == Some(link.source);
                self.device_here(at, packet.destination).is_none() && (own || to_router)
            }
            _ => true,
        };
        self.permit_crossing(at, link, MatchedRule::Nd, crosses)
    }

    /// Allows a message by a built-in rule. At a closed site it leaves by uplinks only if it `crosses`, and is the first
    /// of a listed device in this tick.
    fn permit_crossing(
        &mut self,
        at: Ingress,
        link: &Link,
        rule: MatchedRule,
        crosses: bool,
    ) -> Result<Permit, Refusal> {
        let permit = self.built_in(rule)?;
        if at.uplink || self.posture < Posture::Contain {
            return Ok(permit);
        }
        let listed = identity::listed(&self.policy, at.segment, link.source).is_some();
        let crosses = crosses && listed && self.count_crossing(at, link.source);
        Ok(Permit {
            inside: !crosses,
            ..permit
        })
    }
}
