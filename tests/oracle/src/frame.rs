//! What a frame says, read with slices, in the order in which a check may fail.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::Mac;
use cordon_verdict::Reason;

/// The Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link<'a> {
    pub destination: Mac,
    pub source: Mac,
    /// The tag control information: priority, drop eligibility, VLAN ID.
    pub tag: Option<u16>,
    pub ether_type: u16,
    pub payload: &'a [u8],
}

/// What the network layer carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// An ARP packet, its 28 bytes not looked at yet.
    Arp(&'a [u8]),
    Ip(Packet<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub hop_limit: u8,
    pub content: Content<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Tcp {
        source: u16,
        destination: u16,
        /// SYN without ACK: it asks for a new connection.
        opens: bool,
    },
    Udp {
        source: u16,
        destination: u16,
    },
    EchoRequest {
        identifier: u16,
    },
    EchoReply {
        identifier: u16,
    },
    /// ICMPv6 133 to 136, the whole message.
    Discovery(&'a [u8]),
}

pub(crate) fn is_group_mac(mac: Mac) -> bool {
    mac.0[0] & 1 == 1
}

/// 16 bits in the order of the network.
pub(crate) fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn mac(bytes: &[u8], at: usize) -> Mac {
    Mac(std::array::from_fn(|index| bytes[at + index]))
}

fn ipv4(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::from(std::array::from_fn::<u8, 4, _>(|index| bytes[at + index]))
}

pub(crate) fn ipv6(bytes: &[u8], at: usize) -> Ipv6Addr {
    Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|index| bytes[at + index]))
}

impl Link<'_> {
    /// The VLAN that the frame is in, 0 for untagged.
    pub(crate) fn vlan(&self) -> u16 {
        self.tag.map_or(0, |tag| tag & 0x0fff)
    }
}

pub(crate) fn link(frame: &[u8]) -> Result<Link<'_>, Reason> {
    if frame.len() < 14 {
        return Err(Reason::Truncated);
    }
    let (destination, source) = (mac(frame, 0), mac(frame, 6));
    if is_group_mac(source) || source.0 == [0; 6] {
        return Err(Reason::SourceMac);
    }
    if destination.0[..5] == [0x01, 0x80, 0xc2, 0x00, 0x00] && destination.0[5] <= 0x0f {
        return Err(Reason::LinkControl);
    }
    let mut tag = None;
    let mut ether_type = word(frame, 12);
    let mut payload = &frame[14..];
    if ether_type == 0x8100 {
        if frame.len() < 18 {
            return Err(Reason::Truncated);
        }
        tag = Some(word(frame, 14));
        ether_type = word(frame, 16);
        payload = &frame[18..];
    }
    if ether_type == 0x8100 || ether_type == 0x88a8 {
        return Err(Reason::VlanStack);
    }
    Ok(Link {
        destination,
        source,
        tag,
        ether_type,
        payload,
    })
}

pub(crate) fn body<'a>(link: &Link<'a>) -> Result<Body<'a>, Reason> {
    match link.ether_type {
        0x0806 => Ok(Body::Arp(link.payload)),
        0x0800 => ip4(link.payload).map(Body::Ip),
        0x86dd => ip6(link.payload).map(Body::Ip),
        _ => Err(Reason::EtherType),
    }
}

fn ip4(bytes: &[u8]) -> Result<Packet<'_>, Reason> {
    if bytes.len() < 20 {
        return Err(Reason::Truncated);
    }
    let (version, words) = (bytes[0] >> 4, bytes[0] & 0x0f);
    if version != 4 || words < 5 {
        return Err(Reason::IpHeader);
    }
    if words > 5 {
        return Err(Reason::IpOptions);
    }
    let total = usize::from(word(bytes, 2));
    if total < 20 || total > bytes.len() {
        return Err(Reason::IpHeader);
    }
    // Of the flags and the offset only "don't fragment" may be set.
    if word(bytes, 6) & !0x4000 != 0 {
        return Err(Reason::Fragment);
    }
    let (source, destination) = (ipv4(bytes, 12), ipv4(bytes, 16));
    let bad_source = source.is_multicast() || source == Ipv4Addr::BROADCAST || source.is_loopback();
    let bad_destination = destination.is_loopback() || destination == Ipv4Addr::UNSPECIFIED;
    if bad_source || bad_destination || source == destination {
        return Err(Reason::Martian);
    }
    let payload = &bytes[20..total];
    let content = match bytes[9] {
        6 => tcp(payload)?,
        17 => udp(payload)?,
        1 => icmp(payload)?,
        _ => return Err(Reason::IpProtocol),
    };
    Ok(Packet {
        source: source.into(),
        destination: destination.into(),
        hop_limit: bytes[8],
        content,
    })
}

fn ip6(bytes: &[u8]) -> Result<Packet<'_>, Reason> {
    if bytes.len() < 40 {
        return Err(Reason::Truncated);
    }
    let length = usize::from(word(bytes, 4));
    if bytes[0] >> 4 != 6 || 40 + length > bytes.len() {
        return Err(Reason::IpHeader);
    }
    let (source, destination) = (ipv6(bytes, 8), ipv6(bytes, 24));
    if is_mapped(source) || is_mapped(destination) {
        return Err(Reason::Martian);
    }
    if [0, 43, 44, 50, 51, 60, 135, 139, 140].contains(&bytes[6]) {
        return Err(Reason::Ipv6Extension);
    }
    let bad_source = source.is_multicast() || source.is_loopback();
    let bad_destination = destination.is_loopback() || destination.is_unspecified();
    if bad_source || bad_destination || source == destination {
        return Err(Reason::Martian);
    }
    let payload = &bytes[40..40 + length];
    let content = match bytes[6] {
        6 => tcp(payload)?,
        17 => udp(payload)?,
        58 => icmp6(payload)?,
        _ => return Err(Reason::IpProtocol),
    };
    Ok(Packet {
        source: source.into(),
        destination: destination.into(),
        hop_limit: bytes[7],
        content,
    })
}

/// Inside ::ffff:0:0/96.
pub(crate) fn is_mapped(ip: Ipv6Addr) -> bool {
    ip.segments()[..6] == [0, 0, 0, 0, 0, 0xffff]
}

fn tcp(payload: &[u8]) -> Result<Content<'_>, Reason> {
    if payload.len() < 20 {
        return Err(Reason::TransportHeader);
    }
    let header = usize::from(payload[12] >> 4) * 4;
    if header < 20 || header > payload.len() {
        return Err(Reason::TransportHeader);
    }
    let (syn, ack) = (payload[13] & 0x02 != 0, payload[13] & 0x10 != 0);
    Ok(Content::Tcp {
        source: word(payload, 0),
        destination: word(payload, 2),
        opens: syn && !ack,
    })
}

fn udp(payload: &[u8]) -> Result<Content<'_>, Reason> {
    if payload.len() < 8 {
        return Err(Reason::TransportHeader);
    }
    let length = usize::from(word(payload, 4));
    if length < 8 || length > payload.len() {
        return Err(Reason::TransportHeader);
    }
    Ok(Content::Udp {
        source: word(payload, 0),
        destination: word(payload, 2),
    })
}

fn icmp(payload: &[u8]) -> Result<Content<'_>, Reason> {
    if payload.len() < 8 {
        return Err(Reason::TransportHeader);
    }
    let identifier = word(payload, 4);
    match (payload[0], payload[1]) {
        (8, 0) => Ok(Content::EchoRequest { identifier }),
        (0, 0) => Ok(Content::EchoReply { identifier }),
        _ => Err(Reason::IcmpType),
    }
}

fn icmp6(payload: &[u8]) -> Result<Content<'_>, Reason> {
    if payload.len() < 8 {
        return Err(Reason::TransportHeader);
    }
    let identifier = word(payload, 4);
    match (payload[0], payload[1]) {
        (128, 0) => Ok(Content::EchoRequest { identifier }),
        (129, 0) => Ok(Content::EchoReply { identifier }),
        (133..=136, 0) => Ok(Content::Discovery(payload)),
        _ => Err(Reason::IcmpType),
    }
}
