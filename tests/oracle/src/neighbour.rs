//! Checks of ARP and of IPv6 neighbour and router discovery.

use std::net::{IpAddr, Ipv6Addr};

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
/// Bytes after a discovery message.
const MAX_PADDING: usize = 26;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

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
            || (operation == 2 && !is_addressed(link, packet))
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
        if packet.hop_limit != 255 || packet.has_options || !is_mapped_group(link, packet) {
            return bad;
        }
        let length = message.len();
        let senders = |option: &[u8], kind| is_link_address(option, kind, link.source);
        let padding = link.payload.len() - packet.length;
        if padding > MAX_PADDING {
            return bad;
        }
        if message[0] == ROUTER_ADVERTISEMENT && !at.uplink {
            return Err(Reason::RaGuard);
        }
        if !self.is_proper_destination(at, packet, message) {
            return bad;
        }
        match message[0] {
            ROUTER_SOLICITATION => {
                let option = length == 16 && senders(&message[8..], SOURCE_LINK_ADDRESS);
                if length == 8 || option { Ok(()) } else { bad }
            }
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

    /// Whether a message of this type goes to a destination that RFC 4861 gives it. A target is on-link.
    fn is_proper_destination(&self, at: Ingress, packet: &Packet, message: &[u8]) -> bool {
        let IpAddr::V6(destination) = packet.destination else {
            return false;
        };
        let on_link = |ip: Ipv6Addr| {
            let usable = !packet::is_mapped(ip) && !ip.is_unspecified() && !ip.is_multicast();
            usable && identity::is_on_link(&self.policy, at.segment, ip.into())
        };
        let to_link_local = identity::is_link_local6(packet.destination);
        let target = (message.len() >= 24).then(|| frame::ipv6(message, 8));
        match (message[0], target) {
            (ROUTER_SOLICITATION, _) => destination == ALL_ROUTERS || to_link_local,
            (ROUTER_ADVERTISEMENT, _) => destination == ALL_NODES || to_link_local,
            (NEIGHBOUR_SOLICITATION, Some(target)) => {
                let to_target = destination == target && !packet.source.is_unspecified();
                on_link(target) && (destination == solicited_node(target) || to_target)
            }
            (_, Some(target)) => {
                on_link(target) && (destination == ALL_NODES || on_link(destination))
            }
            (_, None) => false,
        }
    }

    /// Whether the sender may use the target address of a message.
    fn may_claim(&self, at: Ingress, link: &Link, message: &[u8]) -> bool {
        if message.len() < 24 {
            return false;
        }
        let target = frame::ipv6(message, 8);
        self.sender_identity(at, link.source, target.into()).is_ok()
    }
}

/// Whether the target of an ARP packet is the host to which the frame goes, or the frame goes to a group.
fn is_addressed(link: &Link, packet: &[u8]) -> bool {
    frame::is_group_mac(link.destination) || frame::mac(packet, 18) == link.destination
}

/// Whether a multicast destination has its own MAC address (RFC 2464 section 7). True for other destinations.
fn is_mapped_group(link: &Link, packet: &Packet) -> bool {
    let IpAddr::V6(destination) = packet.destination else {
        return false;
    };
    let [.., a, b, c, d] = destination.octets();
    !destination.is_multicast() || link.destination == Mac([0x33, 0x33, a, b, c, d])
}

/// The solicited-node multicast address (RFC 4291 section 2.7.1).
fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = target.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | high & 0xff, low)
}

/// Whether an option of eight bytes is a link-layer address option of this kind with this address.
fn is_link_address(option: &[u8], kind: u8, mac: Mac) -> bool {
    option[0] == kind && option[1] == 1 && frame::mac(option, 2) == mac
}
