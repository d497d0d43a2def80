//! ARP packets and discovery messages leave in one form, without anything that their receivers have to ignore.

use crate::frame::{self, Link};
use crate::protocol::{
    ARP, ICMP6, IPV6, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, ROUTER_SOLICITATION,
};
use crate::proxy;

const ARP_LENGTH: usize = 28;
const IPV6_HEADER: usize = 40;
/// R, S and O of a neighbour advertisement.
const FLAGS: u8 = 0xe0;

/// The payload of a frame that passed, if it does not leave with its own.
pub(crate) fn payload(link: &Link) -> Option<Vec<u8>> {
    match link.ether_type {
        ARP => Some(arp(link)),
        // Discovery messages with extension headers do not pass.
        IPV6 if link.payload[6] == ICMP6 => discovery(link.payload),
        _ => None,
    }
}

fn arp(link: &Link) -> Vec<u8> {
    let mut out = link.payload.to_vec();
    let is_request = frame::u16_at(link.payload, 6) == 1;
    if is_request || frame::is_group_mac(link.destination) {
        out[18..24].fill(0);
    }
    out[ARP_LENGTH..].fill(0);
    out
}

fn discovery(packet: &[u8]) -> Option<Vec<u8>> {
    let mut out = packet.to_vec();
    match packet[IPV6_HEADER] {
        ROUTER_SOLICITATION | NEIGHBOUR_SOLICITATION => out[44..48].fill(0),
        NEIGHBOUR_ADVERTISEMENT => {
            out[44] &= FLAGS;
            out[45..48].fill(0);
        }
        _ => return None,
    }
    // Traffic class and flow label.
    out[..4].copy_from_slice(&[0x60, 0, 0, 0]);
    let end = IPV6_HEADER + usize::from(frame::u16_at(packet, 4));
    out[end..].fill(0);
    out[42..44].fill(0);
    let (from, to) = (frame::ipv6(packet, 8), frame::ipv6(packet, 24));
    let sum = proxy::checksum(from, to, &out[IPV6_HEADER..end]);
    out[42..44].copy_from_slice(&sum.to_be_bytes());
    Some(out)
}
