//! Parse: from bytes to the fields that the other stages read. The parsers look up no table.

use crate::abi::{GATEWAY, STACKED};
use crate::address::{Ip, MAC_GROUP};
use crate::frame::Frame;
use crate::packet::{FIRST_FRAGMENT, Kind, Link, Message, Packet, TCP_SYN, Walked};
use crate::protocol::{ICMP, ICMPV6, IGMP, SCTP, TCP, UDP};
use crate::reason::Reason;

pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_ARP: u16 = 0x0806;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
pub const ETHERTYPE_VLAN: u16 = 0x8100;
pub const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;

/// Ethernet and at most two VLAN tags.
#[inline(always)]
pub fn link<F: Frame>(frame: &F) -> Result<Link, Reason> {
    let addresses = frame.u64(0).ok_or(Reason::Truncated)?;
    let rest = frame.u32(8).ok_or(Reason::Truncated)?;
    let mut ether_type = frame.u16(12).ok_or(Reason::Truncated)?;
    let destination = addresses >> 16;
    let source = (addresses & 0xffff) << 32 | rest as u64;
    if source & MAC_GROUP != 0 || source == 0 || source == GATEWAY {
        return Err(Reason::SourceMac);
    }
    // 01-80-C2-00-00-00 to -0F: never forwarded by a bridge (IEEE 802.1Q §8.6.3).
    if destination >> 4 == 0x0018_0c20_0000 {
        return Err(Reason::LinkControl);
    }
    let mut link = Link {
        destination,
        source,
        proxied: false,
        tags: 0,
        service_tag: false,
        outer: 0,
        inner: 0,
        force_rewrite: 0,
        ether_type,
        network: 14,
    };
    if ether_type == ETHERTYPE_VLAN {
        let tag = frame.u16(14).ok_or(Reason::Truncated)?;
        ether_type = frame.u16(16).ok_or(Reason::Truncated)?;
        link = Link {
            tags: 1,
            outer: tag,
            ether_type,
            network: 18,
            ..link
        };
    }
    match ether_type {
        ETHERTYPE_VLAN | ETHERTYPE_SERVICE_VLAN => two_tags(frame, link),
        _ => Ok(link),
    }
}

/// A second tag after the first (IEEE 802.1ad, or 802.1Q twice).
#[inline(always)]
fn two_tags<F: Frame>(frame: &F, link: Link) -> Result<Link, Reason> {
    let service_tag = link.tags == 0;
    let outer = frame.u16(14).ok_or(Reason::Truncated)?;
    if frame.u16(16).ok_or(Reason::Truncated)? != ETHERTYPE_VLAN {
        return Err(Reason::VlanStack);
    }
    let inner = frame.u16(18).ok_or(Reason::Truncated)?;
    let ether_type = frame.u16(20).ok_or(Reason::Truncated)?;
    let stacks = matches!(ether_type, ETHERTYPE_VLAN | ETHERTYPE_SERVICE_VLAN);
    if outer & 0xfff == 0 || inner & 0xfff == 0 || stacks {
        return Err(Reason::VlanStack);
    }
    Ok(Link {
        tags: 2,
        service_tag,
        outer,
        inner,
        force_rewrite: STACKED,
        ether_type,
        network: 22,
        ..link
    })
}

/// Why the simple parse gave no packet.
#[derive(Clone, Copy)]
pub enum Unparsed {
    /// The packet needs the extended parse: see [`crate::walk`].
    Extended,
    /// The packet is to be dropped.
    Drop(Reason),
}

impl From<Reason> for Unparsed {
    #[inline(always)]
    fn from(reason: Reason) -> Unparsed {
        Unparsed::Drop(reason)
    }
}

/// IPv4 without options (RFC 791). Options, fragments, ICMP errors and group membership need the extended parse.
#[inline(always)]
pub fn ipv4<F: Frame>(frame: &F, at: usize) -> Result<Packet, Unparsed> {
    let first = frame.u32(at).ok_or(Reason::Truncated)?;
    let fragment = frame.u16(at + 6).ok_or(Reason::Truncated)?;
    let protocol = frame.u8(at + 9).ok_or(Reason::Truncated)?;
    let source = frame.u32(at + 12).ok_or(Reason::Truncated)?;
    let destination = frame.u32(at + 16).ok_or(Reason::Truncated)?;
    let total = first as usize & 0xffff;
    match first >> 24 {
        0x45 => {}
        0x46..=0x4f => return Err(Unparsed::Extended),
        _ => return Err(Reason::IpHeader.into()),
    }
    if total < 20 || total > frame.len() - at {
        return Err(Reason::IpHeader.into());
    }
    // Any bit but "don't fragment": more fragments, an offset, or the reserved bit.
    if fragment & !0x4000 != 0 {
        return Err(Unparsed::Extended);
    }
    let (source, destination) = (Ip::v4(source), Ip::v4(destination));
    addresses(source, destination)?;
    transport(frame, source, destination, protocol, at + 20, total - 20)
}

/// IPv6 without extension headers (RFC 8200). Extension headers, ICMP errors and group membership need the extended
/// parse.
#[inline(always)]
pub fn ipv6<F: Frame>(frame: &F, at: usize) -> Result<Packet, Unparsed> {
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
        return Err(Reason::IpHeader.into());
    }
    // The tables would confuse a mapped address on the wire with the IPv4 address in it (RFC 4038 §4.2).
    if source.is_v4() || destination.is_v4() {
        return Err(Reason::Martian.into());
    }
    match next {
        // Hop-by-hop, routing, fragment, ESP, AH, destination options, mobility, HIP, shim6
        // (the IANA registry of IPv6 extension header types).
        0 | 43 | 44 | 50 | 51 | 60 | 135 | 139 | 140 => return Err(Unparsed::Extended),
        _ => {}
    }
    addresses(source, destination)?;
    transport(frame, source, destination, next, at + 40, length)
}

/// The first of several fragments. It decides for the whole packet, so it must hold the whole transport header.
/// Discovery (RFC 6980), ICMP errors and group membership must not be fragmented.
#[inline(always)]
pub fn first_fragment<F: Frame>(frame: &F, walked: &Walked) -> Result<Packet, Reason> {
    let Walked {
        source,
        destination,
        protocol,
        at,
        length,
        ..
    } = *walked;
    // The length in a UDP header is that of the whole datagram.
    let whole = if protocol == UDP { usize::MAX } else { length };
    match transport_of(frame, source, destination, protocol, at, length, whole) {
        Ok(packet) if packet.kind != Kind::Discovery => Ok(Packet {
            fragment: FIRST_FRAGMENT | walked.fragment.id as u64,
            ..packet
        }),
        Ok(_) | Err(Unparsed::Extended) => Err(Reason::Fragment),
        Err(Unparsed::Drop(reason)) => Err(reason),
    }
}

/// Whether an ICMPv6 message belongs to multicast listener discovery, rather than being an error.
#[inline(always)]
pub fn is_listener<F: Frame>(frame: &F, walked: &Walked) -> Result<bool, Reason> {
    let kind = frame.u8(walked.at).ok_or(Reason::Truncated)?;
    Ok(walked.protocol == ICMPV6 && kind >= 128)
}

/// Refuses addresses that cannot be a source or a destination on the wire (RFC 1122 §3.2.1.3, RFC 4291 §2.5).
#[inline(always)]
pub fn addresses(source: Ip, destination: Ip) -> Result<(), Reason> {
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

/// The transport layer: `length` bytes from `at` on. ICMP errors and group membership need the extended parse.
#[inline(always)]
pub fn transport<F: Frame>(
    frame: &F,
    source: Ip,
    destination: Ip,
    protocol: u8,
    at: usize,
    length: usize,
) -> Result<Packet, Unparsed> {
    transport_of(frame, source, destination, protocol, at, length, length)
}

/// The same for a fragment: `length` bytes of a transport layer of `whole` bytes.
#[inline(always)]
fn transport_of<F: Frame>(
    frame: &F,
    source: Ip,
    destination: Ip,
    protocol: u8,
    at: usize,
    length: usize,
    whole: usize,
) -> Result<Packet, Unparsed> {
    let v4 = source.is_v4();
    let (shortest, supported) = match protocol {
        TCP => (20, true),
        UDP => (8, true),
        ICMP => (8, v4),
        ICMPV6 => (8, !v4),
        SCTP => (12, true),
        IGMP if v4 => return Err(Unparsed::Extended),
        _ => (0, false),
    };
    if !supported {
        return Err(Reason::IpProtocol.into());
    }
    if length < shortest {
        return Err(Reason::TransportHeader.into());
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
        sequence: 0,
        acknowledgement: 0,
        fragment: 0,
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
                return Err(Reason::TransportHeader.into());
            }
            packet.kind = Kind::Tcp;
            packet.flags = offset_flags as u8;
            packet.sequence = frame.u32(at + 4).ok_or(Reason::Truncated)?;
            packet.acknowledgement = frame.u32(at + 8).ok_or(Reason::Truncated)?;
        }
        UDP => {
            let announced = frame.u16(at + 4).ok_or(Reason::Truncated)? as usize;
            if announced < 8 || announced > whole {
                return Err(Reason::TransportHeader.into());
            }
        }
        SCTP => {
            packet.kind = Kind::Sctp;
            // Only a packet that opens an association has verification tag 0 (RFC 9260 §8.5.1).
            if frame.u32(at + 4).ok_or(Reason::Truncated)? == 0 {
                packet.flags = TCP_SYN;
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
                // Unreachable, time exceeded, parameter problem; packet too big; MLD (RFC 3810).
                (true, 0x0300..=0x03ff | 0x0b00..=0x0cff) => return Err(Unparsed::Extended),
                (false, 0x0100..=0x04ff | 0x8200..=0x84ff | 0x8f00..=0x8fff) => {
                    return Err(Unparsed::Extended);
                }
                _ => return Err(Reason::IcmpType.into()),
            };
        }
    }
    Ok(packet)
}
