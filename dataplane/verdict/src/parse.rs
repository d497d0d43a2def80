//! Stage 1, parse: from bytes to what the other stages ask about. Nothing here looks anything up.

use crate::address::{Ip, MAC_GROUP, Mac};
use crate::frame::Frame;
use crate::reason::Reason;

pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_ARP: u16 = 0x0806;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
pub const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;
pub const ICMPV6: u8 = 58;

/// The link layer (IEEE 802.3, 802.1Q).
#[derive(Clone, Copy)]
pub struct Link {
    pub destination: Mac,
    pub source: Mac,
    /// Whether there is a VLAN tag, of whatever VLAN.
    pub tagged: bool,
    /// VLAN ID; 0 if untagged or only priority-tagged.
    pub vlan: u16,
    pub ether_type: u16,
    /// Where the network layer starts.
    pub network: usize,
}

/// The network layer and what the flow stage has to know of the transport layer. Every field is always set: what
/// one kind of packet does not have is zero.
#[derive(Clone, Copy)]
pub struct Packet {
    pub source: Ip,
    pub destination: Ip,
    /// Source port, or the identifier of an echo.
    pub source_port: u16,
    /// Destination port, or the identifier of an echo.
    pub destination_port: u16,
    pub protocol: u8,
    pub kind: Kind,
    /// TCP flags (RFC 9293 §3.1).
    pub flags: u8,
    /// Where an ICMPv6 message starts in the frame, and its length.
    pub message: Message,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Udp,
    Tcp,
    EchoRequest,
    EchoReply,
    /// IPv6 neighbour or router discovery.
    Discovery,
}

#[derive(Clone, Copy)]
pub struct Message {
    pub at: u16,
    pub length: u16,
}

pub const TCP_FIN: u8 = 0x01;
pub const TCP_SYN: u8 = 0x02;
pub const TCP_RST: u8 = 0x04;
pub const TCP_ACK: u8 = 0x10;

impl Packet {
    /// Whether it is a TCP segment that asks for a new connection.
    #[inline(always)]
    pub const fn opens(&self) -> bool {
        self.flags & (TCP_SYN | TCP_ACK) == TCP_SYN
    }
}

/// Ethernet and at most one VLAN tag.
#[inline(always)]
pub fn link<F: Frame>(frame: &F) -> Result<Link, Reason> {
    let addresses = frame.u64(0).ok_or(Reason::Truncated)?;
    let rest = frame.u32(8).ok_or(Reason::Truncated)?;
    let mut ether_type = frame.u16(12).ok_or(Reason::Truncated)?;
    let destination = addresses >> 16;
    let source = (addresses & 0xffff) << 32 | rest as u64;
    if source & MAC_GROUP != 0 || source == 0 {
        return Err(Reason::SourceMac);
    }
    // 01-80-C2-00-00-00 to -0F: never forwarded by a bridge (IEEE 802.1Q §8.6.3).
    if destination >> 4 == 0x0018_0c20_0000 {
        return Err(Reason::LinkControl);
    }
    let mut link = Link {
        destination,
        source,
        tagged: false,
        vlan: 0,
        ether_type,
        network: 14,
    };
    if ether_type == ETHERTYPE_VLAN {
        let tag = frame.u16(14).ok_or(Reason::Truncated)?;
        ether_type = frame.u16(16).ok_or(Reason::Truncated)?;
        link = Link {
            tagged: true,
            vlan: tag & 0xfff,
            ether_type,
            network: 18,
            ..link
        };
    }
    match ether_type {
        ETHERTYPE_VLAN | ETHERTYPE_SERVICE_VLAN => Err(Reason::VlanStack),
        _ => Ok(link),
    }
}

/// IPv4 without options or fragments (RFC 791).
#[inline(always)]
pub fn ipv4<F: Frame>(frame: &F, at: usize) -> Result<Packet, Reason> {
    let first = frame.u32(at).ok_or(Reason::Truncated)?;
    let fragment = frame.u16(at + 6).ok_or(Reason::Truncated)?;
    let protocol = frame.u8(at + 9).ok_or(Reason::Truncated)?;
    let source = frame.u32(at + 12).ok_or(Reason::Truncated)?;
    let destination = frame.u32(at + 16).ok_or(Reason::Truncated)?;
    let total = first as usize & 0xffff;
    match first >> 24 {
        0x45 => {}
        0x46..=0x4f => return Err(Reason::IpOptions),
        _ => return Err(Reason::IpHeader),
    }
    if total < 20 || total > frame.len() - at {
        return Err(Reason::IpHeader);
    }
    // Everything but "don't fragment": more fragments, an offset, or the reserved bit.
    if fragment & !0x4000 != 0 {
        return Err(Reason::Fragment);
    }
    let (source, destination) = (Ip::v4(source), Ip::v4(destination));
    addresses(source, destination)?;
    transport(frame, source, destination, protocol, at + 20, total - 20)
}

/// IPv6 without extension headers (RFC 8200).
#[inline(always)]
pub fn ipv6<F: Frame>(frame: &F, at: usize) -> Result<Packet, Reason> {
    let first = frame.u8(at).ok_or(Reason::Truncated)?;
    let length = frame.u16(at + 4).ok_or(Reason::Truncated)? as usize;
    let next = frame.u8(at + 6).ok_or(Reason::Truncated)?;
    let source = Ip {
        hi: frame.u64(at + 8).ok_or(Reason::Truncated)?,
        lo: frame.u64(at + 16).ok_or(Reason::Truncated)?,
    };
    let destination = Ip {
        hi: frame.u64(at + 24).ok_or(Reason::Truncated)?,
        lo: frame.u64(at + 32).ok_or(Reason::Truncated)?,
    };
    if first >> 4 != 6 || length + 40 > frame.len() - at {
        return Err(Reason::IpHeader);
    }
    // A mapped address on the wire would be taken for the IPv4 address inside (RFC 4038 §4.2).
    if source.is_v4() || destination.is_v4() {
        return Err(Reason::Martian);
    }
    match next {
        // Hop-by-hop, routing, fragment, ESP, AH, destination options, mobility, HIP, shim6
        // (the IANA registry of IPv6 extension header types).
        0 | 43 | 44 | 50 | 51 | 60 | 135 | 139 | 140 => return Err(Reason::Ipv6Extension),
        _ => {}
    }
    addresses(source, destination)?;
    transport(frame, source, destination, next, at + 40, length)
}

/// What can be a source and a destination (RFC 1122 §3.2.1.3, RFC 4291 §2.5).
#[inline(always)]
fn addresses(source: Ip, destination: Ip) -> Result<(), Reason> {
    let martian = source.is_group()
        || source.is_loopback()
        || destination.is_loopback()
        || destination.is_unspecified()
        || source == destination;
    if martian {
        Err(Reason::Martian)
    } else {
        Ok(())
    }
}

#[inline(always)]
fn transport<F: Frame>(
    frame: &F,
    source: Ip,
    destination: Ip,
    protocol: u8,
    at: usize,
    length: usize,
) -> Result<Packet, Reason> {
    let v4 = source.is_v4();
    let (shortest, known) = match protocol {
        TCP => (20, true),
        UDP => (8, true),
        ICMP => (8, v4),
        ICMPV6 => (8, !v4),
        _ => (0, false),
    };
    if !known {
        return Err(Reason::IpProtocol);
    }
    if length < shortest {
        return Err(Reason::TransportHeader);
    }
    let ports = frame.u32(at).ok_or(Reason::Truncated)?;
    let mut packet = Packet {
        source,
        destination,
        protocol,
        source_port: (ports >> 16) as u16,
        destination_port: ports as u16,
        kind: Kind::Udp,
        flags: 0,
        message: Message {
            at: at as u16,
            length: length as u16,
        },
    };
    match protocol {
        TCP => {
            let offset_flags = frame.u16(at + 12).ok_or(Reason::Truncated)?;
            let header = (offset_flags >> 12) as usize * 4;
            if header < 20 || header > length {
                return Err(Reason::TransportHeader);
            }
            packet.kind = Kind::Tcp;
            packet.flags = offset_flags as u8;
        }
        UDP => {
            let announced = frame.u16(at + 4).ok_or(Reason::Truncated)? as usize;
            if announced < 8 || announced > length {
                return Err(Reason::TransportHeader);
            }
        }
        _ => {
            let identifier = frame.u16(at + 4).ok_or(Reason::Truncated)?;
            packet.source_port = identifier;
            packet.destination_port = identifier;
            // Type and code: RFC 792, RFC 4443, RFC 4861.
            packet.kind = match (v4, ports >> 16) {
                (true, 0x0800) | (false, 0x8000) => Kind::EchoRequest,
                (true, 0x0000) | (false, 0x8100) => Kind::EchoReply,
                (false, 0x8500..=0x88ff) if ports >> 16 & 0xff == 0 => Kind::Discovery,
                _ => return Err(Reason::IcmpType),
            };
        }
    }
    Ok(packet)
}
