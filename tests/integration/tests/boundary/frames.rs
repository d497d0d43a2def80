//! Frames of the attacks, byte by byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_lab::Mac;

pub const BROADCAST: Mac = Mac([0xff; 6]);
pub const ARP: u16 = 0x0806;
pub const IPV4: u16 = 0x0800;
pub const IPV6: u16 = 0x86dd;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const IGMP: u8 = 2;
pub const ICMPV6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;
const HOP_BY_HOP: u8 = 0;
/// The flag of a TCP segment that opens a connection.
pub const SYN: u8 = 2;

/// What an attack carries: four bytes, repeated.
pub const CHOSEN: [u8; 4] = [0xc5, 0x3e, 0xa7, 0x91];

/// So many chosen bytes.
pub fn chosen(length: usize) -> Vec<u8> {
    CHOSEN.iter().copied().cycle().take(length).collect()
}

/// Whether a frame carries chosen bytes.
pub fn is_carrier(frame: &[u8]) -> bool {
    frame.windows(CHOSEN.len()).any(|part| part == CHOSEN)
}

/// A frame with a VLAN tag.
pub fn tagged(to: Mac, from: Mac, vlan: u16, ether_type: u16, packet: &[u8]) -> Vec<u8> {
    let tag = [0x8100, vlan, ether_type].map(u16::to_be_bytes).concat();
    [&to.0[..], &from.0, &tag, packet].concat()
}

/// The packet in a frame with a VLAN tag.
pub fn packet_of(frame: &[u8]) -> &[u8] {
    frame.get(18..).unwrap_or_default()
}

fn sum(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| {
        let low = pair.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([pair[0], low]))
    };
    bytes.chunks(2).map(word).sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

pub fn ipv4(protocol: u8, ttl: u8, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let [high, low] = ((20 + payload.len()) as u16).to_be_bytes();
    let mut header = vec![0x45, 0, high, low, 0, 0, 0, 0, ttl, protocol, 0, 0];
    header.extend(from.octets().iter().chain(&to.octets()));
    let checksum = fold(sum(&header)).to_be_bytes();
    header[10..12].copy_from_slice(&checksum);
    [header, payload.to_vec()].concat()
}

pub fn ipv6(next: u8, hops: u8, from: Ipv6Addr, to: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    let header = [0x60, 0, 0, 0, high, low, next, hops];
    [&header[..], &from.octets(), &to.octets(), payload].concat()
}

/// The upper layer of a packet between two addresses, with its checksum at an offset.
fn with_checksum(protocol: u8, from: IpAddr, to: IpAddr, at: usize, message: &[u8]) -> Vec<u8> {
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let pseudo = sum(&octets(from)) + sum(&octets(to)) + u32::from(protocol);
    let checksum = fold(pseudo + message.len() as u32 + sum(message)).to_be_bytes();
    let mut message = message.to_vec();
    message[at..at + 2].copy_from_slice(&checksum);
    message
}

/// An IP packet of either family.
fn packet(protocol: u8, from: IpAddr, to: IpAddr, payload: &[u8]) -> (u16, Vec<u8>) {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (IPV4, ipv4(protocol, 64, from, to, payload)),
        (IpAddr::V6(from), IpAddr::V6(to)) => (IPV6, ipv6(protocol, 64, from, to, payload)),
        _ => panic!("{from} and {to} are of two families"),
    }
}

/// A UDP datagram: EtherType and packet.
pub fn udp(from: (IpAddr, u16), to: (IpAddr, u16), payload: &[u8]) -> (u16, Vec<u8>) {
    let length = (8 + payload.len()) as u16;
    let header = [from.1, to.1, length, 0].map(u16::to_be_bytes).concat();
    let datagram = with_checksum(UDP, from.0, to.0, 6, &[&header, payload].concat());
    packet(UDP, from.0, to.0, &datagram)
}

/// A TCP segment: EtherType and packet.
pub fn tcp(from: (IpAddr, u16), to: (IpAddr, u16), flags: u8) -> (u16, Vec<u8>) {
    let mut segment = [from.1, to.1, 0, 1, 0, 1].map(u16::to_be_bytes).concat();
    segment.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    packet(
        TCP,
        from.0,
        to.0,
        &with_checksum(TCP, from.0, to.0, 16, &segment),
    )
}

/// An ARP packet (request 1, reply 2) with padding.
pub fn arp(
    operation: u16,
    sender: (Mac, Ipv4Addr),
    target: ([u8; 6], Ipv4Addr),
    padding: &[u8],
) -> Vec<u8> {
    let [high, low] = operation.to_be_bytes();
    let header = [0, 1, 8, 0, 6, 4, high, low];
    let (from, to) = (sender.1.octets(), target.1.octets());
    [&header, &sender.0.0[..], &from, &target.0, &to, padding].concat()
}

/// Headers in front of an ICMPv6 message.
pub enum Front {
    None,
    /// Destination options: one unknown option, which is to be skipped, with this data. Data and two bytes are a
    /// multiple of eight, less two.
    Options(Vec<u8>),
    /// Hop-by-hop options with a router alert.
    RouterAlert,
}

/// An ICMPv6 packet.
pub fn icmpv6(hops: u8, from: Ipv6Addr, to: Ipv6Addr, front: Front, message: &[u8]) -> Vec<u8> {
    let message = with_checksum(ICMPV6, from.into(), to.into(), 2, message);
    let (next, header) = match front {
        Front::None => (ICMPV6, Vec::new()),
        Front::RouterAlert => (HOP_BY_HOP, vec![ICMPV6, 0, 5, 2, 0, 0, 1, 0]),
        Front::Options(data) => {
            let units = (4 + data.len()) / 8;
            assert_eq!(8 * units, 4 + data.len(), "whole units of eight bytes");
            // Experimental option type (RFC 4727) with the action "skip".
            let header = [ICMPV6, units as u8 - 1, 0x1e, data.len() as u8];
            (DESTINATION_OPTIONS, [&header[..], &data].concat())
        }
    };
    ipv6(next, hops, from, to, &[header, message].concat())
}

/// A link-layer address option: of the source (1), or of the target (2).
pub fn link_layer(kind: u8, mac: Mac) -> Vec<u8> {
    [&[kind, 1][..], &mac.0].concat()
}

/// The MAC address of an IPv6 group (RFC 2464).
pub fn group_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

/// The solicited-node group of an address (RFC 4291).
pub fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    let last = u16::from_be_bytes([b, c]);
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), last)
}
