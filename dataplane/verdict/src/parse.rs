//! Stage 1, parse: from bytes to what the other stages ask about. Nothing here looks anything up.

use crate::abi::{GATEWAY, STACKED, place};
use crate::address::{Ip, MAC_GROUP, Mac};
use crate::frame::Frame;
use crate::reason::Reason;
use crate::walk::Walked;

pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_ARP: u16 = 0x0806;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
pub const ETHERTYPE_VLAN: u16 = 0x8100;
pub const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;
pub const ICMPV6: u8 = 58;
pub const IGMP: u8 = 2;
pub const SCTP: u8 = 132;

/// The link layer (IEEE 802.3, 802.1Q).
#[derive(Clone, Copy)]
pub struct Link {
    /// Of a proxied frame, that of the device that the gateway stands in for.
    pub destination: Mac,
    pub source: Mac,
    /// Whether it was sent to the gateway's MAC address, and is carried on: see [`crate::proxy`].
    pub proxied: bool,
    /// How many VLAN tags there are, of whatever VLAN: 0 to 2.
    pub tags: u8,
    /// Whether the outer of two tags is a service tag.
    pub service: bool,
    /// Priority and VLAN of the outer, or only, tag; 0 without.
    pub outer: u16,
    /// The same of the inner of two tags; 0 without.
    pub inner: u16,
    /// [`STACKED`] if it leaves with more than a VLAN rewritten, wherever it leaves; else 0. One test where the outgoing
    /// tag is put on, instead of one for each.
    pub beyond: u16,
    pub ether_type: u16,
    /// Where the network layer starts.
    pub network: usize,
}

impl Link {
    /// The VLAN of the outer, or only, tag; 0 if untagged or only priority-tagged.
    #[inline(always)]
    pub const fn vlan(&self) -> u16 {
        self.outer & 0xfff
    }

    /// The place it came in at.
    #[inline(always)]
    pub const fn place(&self, port: u16) -> u32 {
        place(port, self.outer, self.inner)
    }
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
    /// TCP flags, sequence and acknowledgement number (RFC 9293 §3.1).
    pub flags: u8,
    pub sequence: u32,
    pub acknowledgement: u32,
    /// Where the transport layer starts in the frame, and its length there.
    pub message: Message,
    /// Of the first of several fragments, [`FIRST_FRAGMENT`] and the identification; 0 for a whole packet.
    pub fragment: u64,
}

/// See [`Packet::fragment`].
pub const FIRST_FRAGMENT: u64 = 1 << 32;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Udp,
    Tcp,
    Sctp,
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
    /// Whether it asks for a new connection: a TCP segment, or an SCTP packet.
    #[inline(always)]
    pub const fn opens(&self) -> bool {
        self.flags & (TCP_SYN | TCP_ACK) == TCP_SYN
    }
}

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
        service: false,
        outer: 0,
        inner: 0,
        beyond: 0,
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

/// A second tag behind the first (IEEE 802.1ad, or 802.1Q twice).
#[inline(always)]
fn two_tags<F: Frame>(frame: &F, link: Link) -> Result<Link, Reason> {
    let service = link.tags == 0;
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
        service,
        outer,
        inner,
        beyond: STACKED,
        ether_type,
        network: 22,
        ..link
    })
}

/// Why there is no packet.
#[derive(Clone, Copy)]
pub enum Unparsed {
    /// It is to be parsed the long way: see [`crate::walk`].
    Rare,
    /// It is to be dropped.
    Drop(Reason),
}

impl From<Reason> for Unparsed {
    #[inline(always)]
    fn from(reason: Reason) -> Unparsed {
        Unparsed::Drop(reason)
    }
}

/// IPv4 as most packets are (RFC 791). Rare is what has options, is a fragment, or is an ICMP error or
/// about membership.
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
        0x46..=0x4f => return Err(Unparsed::Rare),
        _ => return Err(Reason::IpHeader.into()),
    }
    if total < 20 || total > frame.len() - at {
        return Err(Reason::IpHeader.into());
    }
    // Everything but "don't fragment": more fragments, an offset, or the reserved bit.
    if fragment & !0x4000 != 0 {
        return Err(Unparsed::Rare);
    }
    let (source, destination) = (Ip::v4(source), Ip::v4(destination));
    addresses(source, destination)?;
    transport(frame, source, destination, protocol, at + 20, total - 20)
}

/// IPv6 as most packets are (RFC 8200); rare as for [`ipv4`].
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
    // A mapped address on the wire would be taken for the IPv4 address inside (RFC 4038 §4.2).
    if source.is_v4() || destination.is_v4() {
        return Err(Reason::Martian.into());
    }
    match next {
        // Hop-by-hop, routing, fragment, ESP, AH, destination options, mobility, HIP, shim6
        // (the IANA registry of IPv6 extension header types).
        0 | 43 | 44 | 50 | 51 | 60 | 135 | 139 | 140 => return Err(Unparsed::Rare),
        _ => {}
    }
    addresses(source, destination)?;
    transport(frame, source, destination, next, at + 40, length)
}

/// What can be a source and a destination (RFC 1122 §3.2.1.3, RFC 4291 §2.5).
/// The first of several fragments: judged as the packet it starts, so its transport header must be whole. What must
/// come in one piece, a fragment is not: discovery (RFC 6980), errors, membership.
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
    // A UDP datagram is longer than its first fragment.
    let whole = if protocol == UDP { usize::MAX } else { length };
    match transport_of(frame, source, destination, protocol, at, length, whole) {
        Ok(packet) if packet.kind != Kind::Discovery => Ok(Packet {
            fragment: FIRST_FRAGMENT | walked.piece.id as u64,
            ..packet
        }),
        Ok(_) | Err(Unparsed::Rare) => Err(Reason::Fragment),
        Err(Unparsed::Drop(reason)) => Err(reason),
    }
}

/// Whether an ICMPv6 message is of multicast listener discovery rather than an error.
#[inline(always)]
pub fn is_listener<F: Frame>(frame: &F, walked: &Walked) -> Result<bool, Reason> {
    let kind = frame.u8(walked.at).ok_or(Reason::Truncated)?;
    Ok(walked.protocol == ICMPV6 && kind >= 128)
}

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

/// The transport layer: `length` bytes from `at` on. Rare are ICMP errors and group membership.
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

/// `length` bytes of a transport layer that has `whole` in all.
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
    let (shortest, known) = match protocol {
        TCP => (20, true),
        UDP => (8, true),
        ICMP => (8, v4),
        ICMPV6 => (8, !v4),
        SCTP => (12, true),
        IGMP if v4 => return Err(Unparsed::Rare),
        _ => (0, false),
    };
    if !known {
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
            // Only what asks for an association has no tag to be verified by (RFC 9260 §8.5.1).
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
                // Unreachable, exceeded, parameter problem; packet too big; listeners (RFC 3810).
                (true, 0x0300..=0x03ff | 0x0b00..=0x0cff) => return Err(Unparsed::Rare),
                (false, 0x0100..=0x04ff | 0x8200..=0x84ff | 0x8f00..=0x8fff) => {
                    return Err(Unparsed::Rare);
                }
                _ => return Err(Reason::IcmpType.into()),
            };
        }
    }
    Ok(packet)
}
