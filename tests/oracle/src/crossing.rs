//! ARP and discovery at a closed boundary: now and then, a listed device may resolve and answer its routers. All else
//! stays inside.

use std::net::IpAddr;

use cordon_policy::{Mac, Posture};

use crate::authorise::Permit;
use crate::frame::{self, Link};
use crate::packet::Packet;
use crate::protocol::{LIMITED_BROADCAST_MAC, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION};
use crate::{Ingress, MatchedRule, Oracle, Refusal, identity};

/// Ticks from a message of a host that crosses to the next one.
const PAUSE: u64 = 2;

impl Oracle {
    pub(crate) fn permit_arp(&mut self, at: Ingress, link: &Link) -> Result<Permit, Refusal> {
        let (sender, target) = (frame::ipv4(link.payload, 14), frame::ipv4(link.payload, 24));
        let outside = match frame::is_group_mac(link.destination) {
            true => link.destination == LIMITED_BROADCAST_MAC,
            false => self.is_seen_via_uplink(at, link.destination),
        };
        let asks = !sender.is_unspecified() && self.may_be_outside(at, link.source, target.into());
        self.permit_crossing(at, link, MatchedRule::Arp, outside && asks)
    }

    pub(crate) fn permit_discovery(
        &mut self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
        message: &[u8],
    ) -> Result<Permit, Refusal> {
        let outside =
            frame::is_group_mac(link.destination) || self.is_seen_via_uplink(at, link.destination);
        let target = || IpAddr::from(frame::ipv6(message, 8));
        let is_device = |ip| self.device_here(at, ip).is_some();
        let is_router = |ip| identity::is_router_address(&self.policy, ip);
        let asks = match message[0] {
            NEIGHBOUR_SOLICITATION => {
                !packet.source.is_unspecified()
                    && self.may_be_outside(at, link.source, target())
                    && (is_device(packet.source) || is_router(target()))
            }
            NEIGHBOUR_ADVERTISEMENT => {
                let own = packet.source == target() || is_device(packet.source);
                let to_router = is_router(packet.destination) && own;
                !is_device(packet.destination) && (is_device(target()) || to_router)
            }
            _ => true,
        };
        self.permit_crossing(at, link, MatchedRule::Nd, outside && asks)
    }

    /// Whether a MAC address of the segment was last seen behind an uplink.
    pub(crate) fn is_seen_via_uplink(&self, at: Ingress, mac: Mac) -> bool {
        let station = self.stations.get(&(at.segment, mac));
        station.is_some_and(|station| self.is_via_uplink(*station))
    }

    /// Whether a target is on-link, and bound to no device of the segment other than the sender.
    fn may_be_outside(&self, at: Ingress, sender: Mac, target: IpAddr) -> bool {
        let device = self.device_here(at, target);
        identity::is_on_link(&self.policy, at.segment, target)
            && device.is_none_or(|device| device == sender)
    }

    /// Allows a message by a built-in rule. At a closed boundary it leaves by uplinks only if it `crosses`, and none of a
    /// listed device did so a short time ago.
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
        let host = (at.segment, link.source);
        let listed = identity::listed(&self.policy, at.segment, link.source).is_some();
        let last = self.crossings.get(&host);
        let crosses = crosses && listed && last.is_none_or(|last| self.tick - last >= PAUSE);
        // A host that is not known is not limited.
        if crosses && self.stations.contains_key(&host) {
            self.crossings.insert(host, self.tick);
        }
        Ok(Permit {
            inside: !crosses,
            ..permit
        })
    }
}
