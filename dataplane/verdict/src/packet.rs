//! What the parsers find in a frame: the types that `parse` and `walk` fill and every later stage reads.

use crate::abi::location;
use crate::address::{Ip, Mac};

/// The link layer (IEEE 802.3, 802.1Q).
#[derive(Clone, Copy)]
pub struct Link {
    /// Of a proxied frame, the MAC address of the device that the frame is for.
    pub destination: Mac,
    pub source: Mac,
    /// Whether the frame was sent to the gateway's MAC address and is forwarded to a device: see [`crate::proxy`].
    pub proxied: bool,
    /// Number of VLAN tags, priority tags included: 0 to 2.
    pub tags: u8,
    /// Whether the outer of two tags is a service tag (0x88a8).
    pub service_tag: bool,
    /// Priority and VLAN of the outer, or only, tag; 0 without.
    pub outer: u16,
    /// The same of the inner of two tags; 0 without.
    pub inner: u16,
    /// [`crate::abi::STACKED`] if the frame needs a full rewrite at every egress (two tags, or proxied); else 0. Ored
    /// into the egress attachment, it makes [`crate::forward::needs_rewrite`] one comparison.
    pub force_rewrite: u16,
    pub ether_type: u16,
    /// Offset of the network layer.
    pub network: usize,
}

impl Link {
    /// The VLAN of the outer, or only, tag; 0 if untagged or only priority-tagged.
    #[inline(always)]
    pub const fn vlan(&self) -> u16 {
        self.outer & 0xfff
    }

    /// The [`location`] of the ingress attachment at this port.
    #[inline(always)]
    pub const fn location(&self, port: u16) -> u32 {
        location(port, self.outer, self.inner)
    }

    /// Priority bits for an outer and for an inner tag that the frame leaves with.
    #[inline(always)]
    pub fn priorities(&self) -> (u16, u16) {
        let outer = self.outer & 0xf000;
        let inner = match self.tags {
            2 => self.inner & 0xf000,
            _ => outer,
        };
        (outer, inner)
    }
}

/// The network layer, and what the later stages need of the transport layer. Every field is always set: a field that
/// this kind of packet lacks is zero.
#[derive(Clone, Copy)]
pub struct Packet {
    pub source: Ip,
    pub destination: Ip,
    /// Source port, or the identifier of an ICMP echo.
    pub source_port: u16,
    /// Destination port, or the identifier of an ICMP echo.
    pub destination_port: u16,
    pub protocol: u8,
    pub kind: Kind,
    /// TCP flags, sequence and acknowledgement number (RFC 9293 §3.1).
    pub flags: u8,
    pub sequence: u32,
    pub acknowledgement: u32,
    /// Offset and length of the transport layer.
    pub message: Message,
    /// Of a first fragment, [`FIRST_FRAGMENT`] and the identification; 0 for a whole packet.
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
    /// Whether it asks for a new connection: a TCP SYN without ACK. The parser sets the same flag for the packet that
    /// opens an SCTP association.
    #[inline(always)]
    pub const fn opens(&self) -> bool {
        self.flags & (TCP_SYN | TCP_ACK) == TCP_SYN
    }
}

/// The network layer as the extended parse finds it, with options or extension headers skipped.
#[derive(Clone, Copy)]
pub struct Walked {
    pub source: Ip,
    pub destination: Ip,
    pub protocol: u8,
    /// Time to live, or hop limit.
    pub hops: u8,
    /// Whether it carries the router alert option (RFC 2113, RFC 2711).
    pub router_alert: bool,
    /// Offset of the payload, and the number of payload bytes in this frame.
    pub at: usize,
    pub length: usize,
    pub fragment: FragmentInfo,
}

/// Which part of a packet a frame carries.
#[derive(Clone, Copy)]
pub struct FragmentInfo {
    /// The packet's identification.
    pub id: u32,
    /// Offset of this part within the packet, in bytes.
    pub offset: u16,
    /// Whether more fragments follow.
    pub more: bool,
}

impl FragmentInfo {
    pub const WHOLE: FragmentInfo = FragmentInfo {
        id: 0,
        offset: 0,
        more: false,
    };

    /// Whether the frame carries the whole packet.
    #[inline(always)]
    pub const fn is_whole(&self) -> bool {
        self.offset == 0 && !self.more
    }
}
