//! Builds frames. Checksums are zero, since no stage checks them, unless [`set_checksum6`] sets them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::Mac;

/// IP protocol number.
pub const TCP: u8 = 6;
/// IP protocol number.
pub const UDP: u8 = 17;
/// IP protocol number.
pub const ICMP: u8 = 1;
/// IP protocol number.
pub const IGMP: u8 = 2;
/// IP protocol number.
pub const ICMP6: u8 = 58;
/// IP protocol number.
pub const SCTP: u8 = 132;

/// TCP flag.
pub const FIN: u8 = 1;
/// TCP flag.
pub const SYN: u8 = 2;
/// TCP flag.
pub const RST: u8 = 4;
/// TCP flag.
pub const ACK: u8 = 16;

/// The EtherType of a VLAN tag.
pub const VLAN_TAG: u16 = 0x8100;
/// The EtherType of a service tag, the outer one of two.
pub const SERVICE_TAG: u16 = 0x88a8;

/// The broadcast MAC address.
pub const BROADCAST: Mac = Mac([0xff; 6]);

/// The MAC address of an IP group address (RFC 1112, section 6.4; RFC 2464, section 7).
pub fn group_mac(ip: IpAddr) -> Mac {
    match ip {
        IpAddr::V4(ip) if ip.is_multicast() => {
            let [_, b, c, d] = ip.octets();
            Mac([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V4(_) => BROADCAST,
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            Mac([0x33, 0x33, a, b, c, d])
        }
    }
}

/// A frame; `tag` is the tag control information of a VLAN tag.
pub fn ethernet(
    destination: Mac,
    source: Mac,
    tag: Option<u16>,
    ether_type: u16,
    payload: &[u8],
) -> Vec<u8> {
    let tags: Vec<_> = tag.map(|tag| (VLAN_TAG, tag)).into_iter().collect();
    stacked(destination, source, &tags, ether_type, payload)
}

/// A frame with any number of tags, the outermost first: EtherType and tag control information.
pub fn stacked(
    destination: Mac,
    source: Mac,
    tags: &[(u16, u16)],
    ether_type: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(22 + payload.len());
    out.extend(destination.0);
    out.extend(source.0);
    for (kind, control) in tags {
        out.extend(kind.to_be_bytes());
        out.extend(control.to_be_bytes());
    }
    out.extend(ether_type.to_be_bytes());
    out.extend(payload);
    out
}

/// An IP packet and its EtherType. Both addresses must have the same version.
pub fn ip(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    hop_limit: u8,
    payload: &[u8],
) -> (u16, Vec<u8>) {
    match (source, destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => (
            0x86dd,
            ip6(source, destination, protocol, hop_limit, payload),
        ),
        (IpAddr::V4(source), IpAddr::V4(destination)) => (
            0x0800,
            ip4(source, destination, protocol, hop_limit, payload),
        ),
        _ => unreachable!("both addresses have the same version"),
    }
}

fn ip4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x45, 0];
    out.extend((20 + payload.len() as u16).to_be_bytes());
    out.extend([0, 1, 0x40, 0, ttl, protocol, 0, 0]);
    out.extend(source.octets());
    out.extend(destination.octets());
    out.extend(payload);
    out
}

fn ip6(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    protocol: u8,
    hop_limit: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut out = vec![0x60, 0, 0, 0];
    out.extend((payload.len() as u16).to_be_bytes());
    out.extend([protocol, hop_limit]);
    out.extend(source.octets());
    out.extend(destination.octets());
    out.extend(payload);
    out
}

/// A TCP segment; `ports` are source and destination.
pub fn tcp(ports: (u16, u16), flags: u8, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(ports.0.to_be_bytes());
    out.extend(ports.1.to_be_bytes());
    out.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0x10, 0, 0, 0, 0, 0]);
    out.extend(data);
    out
}

/// A UDP datagram; `ports` are source and destination.
pub fn udp(ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(ports.0.to_be_bytes());
    out.extend(ports.1.to_be_bytes());
    out.extend((8 + data.len() as u16).to_be_bytes());
    out.extend([0, 0]);
    out.extend(data);
    out
}

/// An SCTP packet without a chunk; `ports` are source and destination. If it `opens` an association, its verification
/// tag is 0.
pub fn sctp(ports: (u16, u16), opens: bool, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(ports.0.to_be_bytes());
    out.extend(ports.1.to_be_bytes());
    out.extend(u32::from(!opens).to_be_bytes());
    out.extend([0, 0, 0, 0]);
    out.extend(data);
    out
}

/// An ICMP or ICMPv6 message with an identifier.
pub fn icmp(kind: u8, code: u8, identifier: u16, data: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, code, 0, 0];
    out.extend(identifier.to_be_bytes());
    out.extend([0, 1]);
    out.extend(data);
    out
}

/// An ARP packet: operation 1 is a request, 2 a reply.
pub fn arp(operation: u16, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Vec<u8> {
    let mut out = vec![0, 1, 0x08, 0x00, 6, 4];
    out.extend(operation.to_be_bytes());
    out.extend(sender.0.0);
    out.extend(sender.1.octets());
    out.extend(target.0.0);
    out.extend(target.1.octets());
    out
}

/// A neighbour or router discovery message: `fixed` are the fields between the ICMPv6 header and the options.
pub fn discovery(kind: u8, fixed: &[u8], options: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    out.extend(fixed);
    out.extend(options);
    out
}

/// Sets the checksum of the ICMPv6 message in a packet without extension headers (RFC 4443, section 2.3).
pub fn set_checksum6(packet: &mut [u8]) {
    let length = u16::from_be_bytes([packet[4], packet[5]]);
    let end = 40 + usize::from(length);
    packet[42..44].fill(0);
    let mut sum = u32::from(length) + u32::from(ICMP6);
    for word in packet[8..end].chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[42..44].copy_from_slice(&(!sum as u16).to_be_bytes());
}

/// The solicited-node multicast address of an address (RFC 4291, section 2.7.1).
pub fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    let low = u16::from(b) << 8 | u16::from(c);
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low)
}

/// An IGMPv3 or MLDv2 report (kinds 0x22 and 143). Each record is its group and its sources.
pub fn membership_report(kind: u8, records: &[(IpAddr, Vec<IpAddr>)]) -> Vec<u8> {
    let mut out = vec![kind, 0, 0, 0, 0, 0];
    out.extend((records.len() as u16).to_be_bytes());
    for (group, sources) in records {
        out.extend([4, 0]);
        out.extend((sources.len() as u16).to_be_bytes());
        for ip in [group].into_iter().chain(sources) {
            match ip {
                IpAddr::V4(ip) => out.extend(ip.octets()),
                IpAddr::V6(ip) => out.extend(ip.octets()),
            }
        }
    }
    out
}

/// A link-layer address option: kind 1 is the source's, 2 the target's.
pub fn link_address_option(kind: u8, mac: Mac) -> Vec<u8> {
    let mut out = vec![kind, 1];
    out.extend(mac.0);
    out
}
