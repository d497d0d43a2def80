//! ARP and IPv6 neighbour and router discovery: who may say what.

use std::net::IpAddr;

use cordon_policy::Mac;
use cordon_verdict::Reason;

use crate::frame::{self, Link};
use crate::packet::{self, Packet};
use crate::who;
use crate::{Ingress, Oracle};

const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;
const NONCE: u8 = 14;
/// Bytes of an ARP packet and what is behind it.
const LONGEST_ARP: usize = 54;

impl Oracle {
    pub(crate) fn arp(&self, at: Ingress, link: &Link, packet: &[u8]) -> Result<(), Reason> {
        if packet.len() < 28 {
            return Err(Reason::Truncated);
        }
        let ethernet_ipv4 = packet[..6] == [0, 1, 0x08, 0x00, 6, 4];
        let operation = frame::word(packet, 6);
        let sender = IpAddr::from([packet[14], packet[15], packet[16], packet[17]]);
        let target = IpAddr::from([packet[24], packet[25], packet[26], packet[27]]);
        let claimed = if sender.is_unspecified() {
            target
        } else {
            sender
        };
        let everybody = claimed == IpAddr::from([255, 255, 255, 255]);
        let nobodys = claimed.is_multicast() || everybody || claimed.is_loopback();
        if !ethernet_ipv4
            || !(operation == 1 || operation == 2)
            || frame::mac(packet, 8) != link.source
            || nobodys
            || (operation == 2 && sender.is_unspecified())
            || packet.len() > LONGEST_ARP
        {
            return Err(Reason::Arp);
        }
        self.speaker(at, link.source, claimed).map(drop)
    }

    /// What is checked of discovery once its sender has passed as speaker.
    pub(crate) fn discovery(
        &self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
        message: &[u8],
    ) -> Result<(), Reason> {
        let to_many = who::is_group(&self.policy, packet.destination);
        if to_many != frame::is_group_mac(link.destination) {
            return Err(Reason::GroupMismatch);
        }
        let bad = Err(Reason::NeighbourDiscovery);
        if packet.hop_limit != 255 {
            return bad;
        }
        let length = message.len();
        let own = |option: &[u8], kind| names(option, kind, link.source);
        match message[0] {
            133 => {
                let option = length == 16 && own(&message[8..], SOURCE_LINK_ADDRESS);
                if length == 8 || option { Ok(()) } else { bad }
            }
            134 if !at.uplink => Err(Reason::RaGuard),
            134 => Ok(()),
            135 => {
                // Who has no address yet does not name its link-layer address (RFC 4861, 4.3).
                let option = length == 32
                    && match packet.source.is_unspecified() {
                        true => message[24..26] == [NONCE, 1],
                        false => own(&message[24..], SOURCE_LINK_ADDRESS),
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
                let option = length == 32 && own(&message[24..], TARGET_LINK_ADDRESS);
                if (length == 24 || option) && self.may_claim(at, link, message) {
                    Ok(())
                } else {
                    bad
                }
            }
        }
    }

    /// Whether the sender may have the target of a message.
    fn may_claim(&self, at: Ingress, link: &Link, message: &[u8]) -> bool {
        if message.len() < 24 {
            return false;
        }
        let target = frame::ipv6(message, 8);
        let usable =
            !packet::is_mapped(target) && !target.is_unspecified() && !target.is_multicast();
        usable && self.speaker(at, link.source, target.into()).is_ok()
    }
}

/// Whether an option of eight bytes is a link-layer address of this kind, and this one.
fn names(option: &[u8], kind: u8, mac: Mac) -> bool {
    option[0] == kind && option[1] == 1 && frame::mac(option, 2) == mac
}
