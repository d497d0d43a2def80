//! Records of the policy tables and of the counters, the FDB, and the indices of tables.

use super::control::POSTURES;
use super::flow::Ruling;
use crate::address::{Ip, Mac};
use crate::protocol::{SCTP, TCP, UDP};

/// Ports that a gateway can have. An attachment has four bits for the port, and the highest value says two tags.
pub const PORTS: usize = 15;
/// Segments that a gateway can have.
pub const SEGMENTS: usize = 4096;
/// Rules that a generation can have, built-in rules included. There are rule counters for two generations.
pub const RULES: usize = 131_072;
/// The number of the built-in rule that lets ARP pass.
pub const RULE_ARP: u32 = 1;
/// The number of the built-in rule that lets IPv6 neighbour and router discovery pass.
pub const RULE_ND: u32 = 2;
/// The number of the built-in rule that lets IGMP and MLD pass.
pub const RULE_MEMBERSHIP: u32 = 3;
/// The number of the built-in rule that lets link-control protocols pass.
pub const RULE_LINK_CONTROL: u32 = 4;
/// The number of the built-in rule that lets other EtherTypes of a segment pass.
pub const RULE_ETHER_TYPE: u32 = 5;
/// The number of the first rule that is not built in; some numbers below are reserved.
pub const RULE_FIRST: u32 = 16;

/// Name and purpose of a built-in rule; `None` for any other number.
pub const fn built_in(rule: u32) -> Option<(&'static str, &'static str)> {
    match rule {
        RULE_ARP => Some(("arp", "devices find each other's addresses")),
        RULE_ND => Some(("nd", "IPv6 devices find each other and their router")),
        RULE_MEMBERSHIP => Some(("membership", "devices join and leave multicast groups")),
        RULE_LINK_CONTROL => Some(("link-control", "what ports are set to let pass")),
        RULE_ETHER_TYPE => Some(("ether-type", "what segments list beside IP")),
        _ => None,
    }
}

/// The number of an attachment with one tag or none: port in the upper 4 bits, VLAN in the lower 12, 0 for untagged.
/// Attachments with two tags are numbered from [`STACKED`] on; their numbers change with every generation.
#[inline(always)]
pub const fn attachment(port: u16, vlan: u16) -> u16 {
    port << 12 | vlan & 0xfff
}

/// The number of the first attachment with two tags.
pub const STACKED: u16 = (PORTS as u16) << 12;
/// Attachments with two tags that a generation can have.
pub const STACKS: usize = 4095;
/// A number that no attachment has.
pub const NO_ATTACHMENT: u16 = u16::MAX;
/// Attachments that a segment with [`Admission::COPIES`] can have.
pub const COPIES_MOST: usize = 4096;
/// The gateway's own MAC address, for proxied segments: locally administered, with "CORDN" in its last octets.
pub const GATEWAY: Mac = 0x0243_4f52_444e;

/// The layer 2 location of an attachment, the same in every generation: 8 bits port, 12 outer VLAN, 12 inner VLAN. With
/// one tag the inner VLAN is 0, untagged both are.
#[inline(always)]
pub const fn location(port: u16, outer: u16, inner: u16) -> u32 {
    (port as u32) << 24 | (outer as u32 & 0xfff) << 12 | inner as u32 & 0xfff
}

/// The port of a [`location`].
#[inline(always)]
pub const fn location_port(location: u32) -> u16 {
    (location >> 24) as u16 & 0x7f
}

/// The outer, or only, VLAN of a [`location`]; 0 for untagged.
#[inline(always)]
pub const fn location_outer(location: u32) -> u16 {
    (location >> 12) as u16 & 0xfff
}

/// The inner VLAN of a [`location`] with two tags, else 0.
#[inline(always)]
pub const fn location_inner(location: u32) -> u16 {
    location as u16 & 0xfff
}

/// Location and outer tag type of an attachment with two tags, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Stack {
    /// The [`location`]; 0 if there is no such attachment.
    pub location: u32,
    /// EtherType of its outer tag.
    pub outer_type: u16,
    /// Zero.
    pub pad: u16,
}

/// The index of the table of [`Stack`]s.
#[inline(always)]
pub const fn stack_index(slot: u8, attachment: u16) -> u32 {
    (slot as u32) << 12 | attachment as u32 & 0xfff
}

/// The key of an attachment with two tags in the table of their numbers.
#[inline(always)]
pub const fn stack_key(slot: u8, location: u32) -> u64 {
    (slot as u64) << 32 | location as u64
}

/// The port of an attachment with one tag or none.
#[inline(always)]
pub const fn attachment_port(attachment: u16) -> u16 {
    attachment >> 12
}

/// The VLAN of an attachment with one tag or none; 0 for untagged.
#[inline(always)]
pub const fn attachment_vlan(attachment: u16) -> u16 {
    attachment & 0xfff
}

/// The segment of an attachment. All zeroes: the attachment does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Admission {
    /// The segment.
    pub segment: u16,
    /// Of [`Admission::IN_USE`] and the flags after it.
    pub flags: u16,
    /// The class of the segment's unlisted hosts.
    pub unlisted_class: u16,
    /// The number of the segment's attachments, with [`Admission::COPIES`].
    pub copies: u16,
}

impl Admission {
    /// The attachment exists.
    pub const IN_USE: u16 = 1;
    /// Its port is an uplink.
    pub const UPLINK: u16 = 2;
    /// Unknown devices of the segment are admitted.
    pub const ADMIT_UNKNOWN: u16 = 4;
    /// Flooded frames are copied per attachment: the segment has several attachments at one port, or a proxy.
    pub const COPIES: u16 = 8;
    /// The gateway answers ARP and neighbour discovery for the segment's devices.
    pub const PROXY: u16 = 16;
    /// Some device of the segment is bound to a port or attachment; without it the binding need not be looked up.
    pub const BOUND: u16 = 32;
    /// No other device-facing attachment of the segment gets a copy of what this attachment floods inside.
    pub const ALONE: u16 = 64;

    /// Whether a flag is set.
    #[inline(always)]
    pub const fn is(self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// The key of the forwarding database (FDB), and of the table of devices: segment in the upper 16 bits, MAC address in
/// the lower 48.
#[inline(always)]
pub const fn fdb_key(segment: u16, mac: Mac) -> u64 {
    (segment as u64) << 48 | mac
}

/// The settings of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct PortSetting {
    /// Group frames that the port may receive in a tick; 0 for no limit.
    pub storm: u32,
    /// Link-control protocols that may come in and leave, as bits from [`PortSetting::STP`] to [`PortSetting::PTP`];
    /// and [`PortSetting::OUTER_8021Q`].
    pub link_control: u32,
}

impl PortSetting {
    /// Spanning tree.
    pub const STP: u32 = 1;
    /// Link aggregation.
    pub const LACP: u32 = 2;
    /// Port authentication (802.1X).
    pub const EAPOL: u32 = 4;
    /// Link-layer discovery.
    pub const LLDP: u32 = 8;
    /// Precision time over Ethernet.
    pub const PTP: u32 = 16;
    /// The outer of two tags has EtherType 0x8100 at this port; else 0x88a8.
    pub const OUTER_8021Q: u32 = 1 << 31;
}

/// The rate counters of a port. The tick is between them because LLVM calls `memset` to clear 20 bytes in one piece, and
/// Linux 6.1 counts 32 bytes of stack for the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct PortRate {
    /// Group frames in the tick.
    pub groups: u32,
    /// Unlisted hosts that were first seen in the tick.
    pub stations: u32,
    /// The tick that the counters are of.
    pub tick: u32,
    /// Copies per attachment in the tick, of flooded frames.
    pub copies: u32,
    /// Of the group frames, those of unlisted hosts at a device-facing port.
    pub unlisted_groups: u32,
    /// Of the copies, those for frames of unlisted hosts at a device-facing port.
    pub unlisted_copies: u32,
}

impl PortRate {
    /// The part of a device-facing port's limits that unlisted hosts together may use is 1/`UNLISTED`. The rest is a
    /// reserve for listed devices: with many MAC addresses one host must not silence them.
    pub const UNLISTED: u32 = 2;
    /// New unlisted hosts at a device-facing port in a tick, at most.
    pub const STATIONS: u32 = 64;
    /// Copies that the frames of a port may cause in a tick.
    pub const COPIES: u32 = 65536;
}

/// The key of the EtherType table.
#[inline(always)]
pub const fn ether_type_key(slot: u8, segment: u16, ether_type: u16) -> u64 {
    (slot as u64) << 32 | (segment as u64) << 16 | ether_type as u64
}

/// The port setting table's index.
#[inline(always)]
pub const fn port_index(slot: u8, port: u16) -> u32 {
    (slot as u32) << 4 | port as u32 & 0xf
}

/// The class of addresses that no device or network claims. No rule can name it.
pub const CLASS_UNCLASSIFIED: u16 = 0;

/// Entries of the service table: TCP ports, UDP ports, SCTP ports, then ICMP echo.
pub const SERVICES: usize = 3 * 65536 + 1;

/// The service table's index of a protocol and destination port. Only TCP, UDP, SCTP and ICMP echo have services: all
/// other protocols are decided by earlier stages.
#[inline(always)]
pub const fn service_index(protocol: u8, port: u16) -> u32 {
    match protocol {
        TCP => port as u32,
        UDP => 65536 + port as u32,
        SCTP => 2 * 65536 + port as u32,
        _ => 3 * 65536,
    }
}

/// The service class of all services that no rule names. Its row has the rulings of rules with `service: any`.
pub const SERVICE_OTHER: u16 = 0;

/// The key of the policy table. A pair of classes has a *set* of rows, one for each service class that a rule
/// distinguishes; pairs that the same rules match share a set. A hospital's policy has millions of pairs, and some
/// thousands of sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct PolicyKey {
    /// The set of the two classes: see `cuckoo::set_of`.
    pub set: u32,
    /// Service class.
    pub service: u16,
    /// Zero.
    pub pad: u16,
}

impl PolicyKey {
    /// The row of a service class in a set.
    #[inline(always)]
    pub const fn new(set: u32, service: u16) -> PolicyKey {
        PolicyKey {
            set,
            service,
            pad: 0,
        }
    }

    /// As one word.
    #[inline(always)]
    pub const fn word(&self) -> u64 {
        self.set as u64 | (self.service as u64) << 32
    }
}

/// The ruling at each posture: the first rule that applies there, worked out by the compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PolicyRow {
    /// By posture, normal to sever.
    pub rulings: [Ruling; POSTURES],
}

/// The key of the proxy table, whose values are the MAC addresses of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct ProxyKey {
    /// An address that is bound to a device.
    pub ip: Ip,
    /// The segment.
    pub segment: u64,
}

/// An FDB entry, by [`fdb_key`]: where a MAC address was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Station {
    /// The [`location`], and [`Station::UPLINK`]. Not the attachment's number, which changes with the generation.
    pub location: u32,
    /// The time when the station was learned or moved, in ticks (see `Tables::now`).
    pub since: u32,
}

impl Station {
    /// The station was behind an uplink.
    pub const UPLINK: u32 = 1 << 31;

    /// The [`location`].
    #[inline(always)]
    pub const fn at(self) -> u32 {
        self.location & !Station::UPLINK
    }

    /// Whether the station was behind an uplink.
    #[inline(always)]
    pub const fn is_uplink(self) -> bool {
        self.location & Station::UPLINK != 0
    }
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes, from the destination MAC address on, without the frame check sequence.
    pub bytes: u64,
}

/// The flood table's index of a segment's attachment at a port.
#[inline(always)]
pub const fn flood_index(slot: u8, segment: u16, port: u16) -> u32 {
    (slot as u32) << 16 | (segment as u32 & 0xfff) << 4 | (port as u32 & 0xf)
}

/// The admission table's index.
#[inline(always)]
pub const fn admission_index(slot: u8, attachment: u16) -> u32 {
    (slot as u32) << 16 | attachment as u32
}

/// The rule counters' index.
#[inline(always)]
pub const fn rule_index(slot: u8, rule: u32) -> u32 {
    (slot as u32) << 17 | rule & 0x1_ffff
}

/// A flood table entry: the segment is not attached to the port.
pub const FLOOD_NONE: u32 = 0;
/// Bit of a flood table entry: the segment is attached; the attachment's number is in the lower 16 bits.
pub const FLOOD_MEMBER: u32 = 1 << 31;

/// How many events a processor emitted in a tick, and how many it lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Sampling {
    /// The tick that [`Sampling::emitted`] is of.
    pub tick: u32,
    /// Events emitted in this tick.
    pub emitted: u32,
    /// Events lost since the start: over the limit, or the ring buffer was full.
    pub lost: u64,
}

/// Events that a processor emits in one tick, at most.
pub const EVENTS_PER_TICK: u32 = 1000;
/// Drop events of those, at most: a flood of drops must not suppress the events of flows.
pub const DROPS_PER_TICK: u32 = 750;

/// The outcome of the last frame on a processor, for tests. Only a program loaded to trace writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Trace {
    /// The [`crate::Reason`]'s number; 0 if the frame passed.
    pub reason: u8,
    /// 1 if it was flooded, 2 if to device-facing ports only.
    pub flood: u8,
    /// The egress attachment, or the segment it was flooded to.
    pub egress: u16,
    /// The rule; 0 for none.
    pub rule: u32,
}

const _: () = assert!(size_of::<Stack>() == 8);
const _: () = assert!(size_of::<ProxyKey>() == 24);
const _: () = assert!(size_of::<PortSetting>() == 8);
const _: () = assert!(size_of::<PortRate>() == 24);
const _: () = assert!(size_of::<Admission>() == 8);
const _: () = assert!(size_of::<Sampling>() == 16);
const _: () = assert!(size_of::<Trace>() == 8);
const _: () = assert!(size_of::<PolicyKey>() == 8);
const _: () = assert!(size_of::<PolicyRow>() == 24);
const _: () = assert!(size_of::<Station>() == 8);
const _: () = assert!(size_of::<Counter>() == 16);
const _: () = assert!(RULES == 1 << 17 && SEGMENTS == 1 << 12 && PORTS < 1 << 4);
