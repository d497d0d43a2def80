//! Checks of ARP and of IPv6 neighbour and router discovery.

use std::net::IpAddr;

use cordon_policy::Mac;
use cordon_verdict::Reason;

use crate::frame::{self, Link};
use crate::identity;
use crate::packet::{self, Packet};
use crate::protocol::{
    LIMITED_BROADCAST, NEIGHBOUR_SOLICITATION, NONCE, ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION,
    SOURCE_LINK_ADDRESS, TARGET_LINK_ADDRESS,
};
use crate::{Ingress, Oracle};

/// Bytes of an ARP packet with its padding.
const MAX_ARP_LENGTH: usize = 54;

impl Oracle {
    pub(crate) fn arp(&self, at: Ingress, link: &Link, packet: &[u8]) -> Result<(), Reason> {
        if packet.len() < 28 {
            return Err(Reason::Truncated);
        }
        let ethernet_ipv4 = packet[..6] == [0, 1, 0x08, 0x00, 6, 4];
        let operation = frame::u16_at(packet, 6);
        let sender = IpAddr::from([packet[14], packet[15], packet[16], packet[17]]);
        let target = IpAddr::from([packet[24], packet[25], packet[26], packet[27]]);
        let claimed = if sender.is_unspecified() {
            target
        } else {
            sender
        };
        let unusable =
            claimed.is_multicast() || claimed == LIMITED_BROADCAST || claimed.is_loopback();
        if !ethernet_ipv4
            || !(operation == 1 || operation == 2)
            || frame::mac(packet, 8) != link.source
            || unusable
            || (operation == 2 && sender.is_unspecified())
            || packet.len() > MAX_ARP_LENGTH
        {
            return Err(Reason::Arp);
        }
        self.sender_identity(at, link.source, claimed).map(drop)
    }

    /// Checks a discovery message whose sender has been identified.
    pub(crate) fn discovery(
        &self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
        message: &[u8],
    ) -> Result<(), Reason> {
        let to_group = identity::is_group(&self.policy, packet.destination);
        if to_group != frame::is_group_mac(link.destination) {
            return Err(Reason::GroupMismatch);
        }
        let bad = Err(Reason::NeighbourDiscovery);
        if packet.hop_limit != 255 {
            return bad;
        }
        let length = message.len();
        let senders = |option: &[u8], kind| is_link_address(option, kind, link.source);
        match message[0] {
            ROUTER_SOLICITATION => {
                let option = length == 16 && senders(&message[8..], SOURCE_LINK_ADDRESS);
                if length == 8 || option { Ok(()) } else { bad }
            }
            ROUTER_ADVERTISEMENT if !at.uplink => Err(Reason::RaGuard),
            ROUTER_ADVERTISEMENT => Ok(()),
            NEIGHBOUR_SOLICITATION => {
                // A sender without an address omits its link-layer address (RFC 4861 section 4.3).
                let option = length == 32
                    && match packet.source.is_unspecified() {
                        true => message[24..26] == [NONCE, 1],
                        false => senders(&message[24..], SOURCE_LINK_ADDRESS),
                    };
                let claims = packet.source.is_unspecified();
                let may = !claims || self.may_claim(at, link, message);
                if (length == 24 || option) && may {
                    Ok(())
                } else {
                    bad
                }
            }
            _ => {
                let option = length == 32 && senders(&message[24..], TARGET_LINK_ADDRESS);
                if (length == 24 || option) && self.may_claim(at, link, message) {
                    Ok(())
                } else {
                    bad
                }
            }
        }
    }

    /// Whether the sender may use the target address of a message.
    fn may_claim(&self, at: Ingress, link: &Link, message: &[u8]) -> bool {
        if message.len() < 24 {
            return false;
        }
        let target = frame::ipv6(message, 8);
        let usable =
            !packet::is_mapped(target) && !target.is_unspecified() && !target.is_multicast();
        usable && self.sender_identity(at, link.source, target.into()).is_ok()
    }
}

/// Whether an option of eight bytes is a link-layer address option of this kind with this address.
fn is_link_address(option: &[u8], kind: u8, mac: Mac) -> bool {
    option[0] == kind && option[1] == 1 && frame::mac(option, 2) == mac
}
