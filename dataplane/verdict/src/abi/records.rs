//! The policy tables' and counters' records.

use super::control::POSTURES;
use super::flow::Ruling;
use crate::address::{Ip, Mac};

/// Ports a gateway can have; an attachment has four bits for the port, and the last value says two tags.
pub const PORTS: usize = 15;
/// Segments a gateway can have.
pub const SEGMENTS: usize = 4096;
/// Rules a generation can have, built-in ones included. Rule counters hold two generations.
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
/// The number of the first rule that is not built in; some before are kept free.
pub const RULE_FIRST: u32 = 16;

/// What a built-in rule is called, and what it is for; none for a number that is no built-in rule's.
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
/// Attachments with two tags are numbered from [`STACKED`] on, anew in every generation.
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
/// Attachments that a segment can have whose floods are copied one by one: see [`Admission::COPIES`].
pub const COPIES_MOST: usize = 4096;
/// The gateway's own MAC address, where it stands in for devices: locally administered, and "CORD" in it.
pub const GATEWAY: Mac = 0x0243_4f52_444e;

/// Where an attachment is, whatever its number in a generation: 8 bits port, 12 outer VLAN, 12 inner VLAN. With one tag
/// the inner VLAN is 0, untagged both are.
#[inline(always)]
pub const fn place(port: u16, outer: u16, inner: u16) -> u32 {
    (port as u32) << 24 | (outer as u32 & 0xfff) << 12 | inner as u32 & 0xfff
}

/// The port of a place.
#[inline(always)]
pub const fn place_port(place: u32) -> u16 {
    (place >> 24) as u16 & 0x7f
}

/// The outer, or only, VLAN of a place; 0 for untagged.
#[inline(always)]
pub const fn place_outer(place: u32) -> u16 {
    (place >> 12) as u16 & 0xfff
}

/// The inner VLAN of a place with two tags, else 0.
#[inline(always)]
pub const fn place_inner(place: u32) -> u16 {
    place as u16 & 0xfff
}

/// Where an attachment with two tags is, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Stack {
    /// The place; 0 if there is no such attachment.
    pub place: u32,
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

/// The key of the table of numbers of attachments with two tags.
#[inline(always)]
pub const fn stack_key(slot: u8, place: u32) -> u64 {
    (slot as u64) << 32 | place as u64
}

/// The port of an attachment without two tags.
#[inline(always)]
pub const fn attachment_port(attachment: u16) -> u16 {
    attachment >> 12
}

/// The VLAN of an attachment without two tags, 0 for untagged.
#[inline(always)]
pub const fn attachment_vlan(attachment: u16) -> u16 {
    attachment & 0xfff
}

/// What an attachment belongs to. All zeroes: to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Admission {
    /// The segment.
    pub segment: u16,
    /// [`Admission::IN_USE`] and its neighbours.
    pub flags: u16,
    /// The class of members of the segment that are no listed device.
    pub anonymous: u16,
    /// Attachments of the segment, where copies are made one by one: see [`Admission::COPIES`].
    pub copies: u16,
}

impl Admission {
    /// The attachment exists.
    pub const IN_USE: u16 = 1;
    /// Its port is an uplink.
    pub const UPLINK: u16 = 2;
    /// Unknown devices of the segment are admitted.
    pub const ADMIT_UNKNOWN: u16 = 4;
    /// What is flooded in the segment is copied one by one: it has several attachments at one port, or a proxy.
    pub const COPIES: u16 = 8;
    /// The gateway stands in for the segment's devices.
    pub const PROXY: u16 = 16;
    /// Devices of the segment are bound to ports or attachments: where none is, nobody need look.
    pub const BOUND: u16 = 32;

    /// Whether a flag is set.
    #[inline(always)]
    pub const fn is(self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// The key of devices and stations: segment in the upper 16, MAC address in the lower 48 bits.
#[inline(always)]
pub const fn member(segment: u16, mac: Mac) -> u64 {
    (segment as u64) << 48 | mac
}

/// What is set for a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct PortSetting {
    /// Group frames that may come in in a tick; 0 for any number.
    pub storm: u32,
    /// Link-control protocols that may come in and leave: [`PortSetting::STP`] and its neighbours.
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
    /// The outer of two tags has EtherType 0x8100 there; else 0x88a8.
    pub const OUTER_8021Q: u32 = 1 << 31;
}

/// What came in at a port in a tick of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct PortRate {
    /// The tick.
    pub tick: u32,
    /// Group frames in it.
    pub groups: u32,
    /// Hosts, no listed devices, that were not known before.
    pub stations: u32,
    /// Copies, one by one, of what was flooded.
    pub copies: u32,
}

impl PortRate {
    /// New hosts that a device-facing port may show in a tick.
    pub const STATIONS: u32 = 64;
    /// Copies that a port may cause in a tick.
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

/// What no rule can name: addresses outside every network.
pub const CLASS_STRANGER: u16 = 0;

/// Entries of the service table: TCP ports, UDP ports, SCTP ports, then ICMP echo.
pub const SERVICES: usize = 3 * 65536 + 1;

/// The service table's index of a protocol and destination port. Protocols other than TCP, UDP, SCTP and
/// ICMP echo do not come this far.
#[inline(always)]
pub const fn service_index(protocol: u8, port: u16) -> u32 {
    match protocol {
        6 => port as u32,
        17 => 65536 + port as u32,
        132 => 2 * 65536 + port as u32,
        _ => 3 * 65536,
    }
}

/// The service class of what no rule names: its row holds what rules with `service: any` say.
pub const SERVICE_OTHER: u16 = 0;

/// The key of the policy table. Two classes have a *set* of rows, one for each service class that a rule tells from the
/// others; pairs that the same rules match share one. A hospital's policy has millions of pairs, and some thousands of sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct PolicyKey {
    /// The set that two classes have: see `frozen::set_of`.
    pub set: u32,
    /// Service class.
    pub service: u16,
    /// Zero.
    pub pad: u16,
}

impl PolicyKey {
    /// The row of a service class, in a set.
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

/// The key of the table of who the gateway stands in for: the MAC address of the device in a segment that has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct ProxyKey {
    /// The address.
    pub ip: Ip,
    /// The segment.
    pub segment: u64,
}

/// Where a MAC address was last seen, by [`member`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Station {
    /// The [`place`], and [`Station::UPLINK`]. Not the attachment's number, which is another in the next generation.
    pub place: u32,
    /// When it was learned or moved, in ticks (see `Tables::now`).
    pub since: u32,
}

impl Station {
    /// Behind an uplink.
    pub const UPLINK: u32 = 1 << 31;

    /// The place.
    #[inline(always)]
    pub const fn at(self) -> u32 {
        self.place & !Station::UPLINK
    }

    /// Whether it was behind an uplink.
    #[inline(always)]
    pub const fn is_uplink(self) -> bool {
        self.place & Station::UPLINK != 0
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

/// The flood table's index: which attachment a segment has at a port.
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

/// A flood table entry: not attached there.
pub const FLOOD_NONE: u32 = 0;
/// A flood table entry: attached, with the attachment's number in the lower 16 bits.
pub const FLOOD_MEMBER: u32 = 1 << 31;

/// How many events a processor told of in a tick of the clock, and how many it did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Sampling {
    /// The tick that [`Sampling::told`] counts in.
    pub tick: u32,
    /// Events told of in this tick.
    pub told: u32,
    /// Events not told of, ever: over the limit, or the ring was full.
    pub lost: u64,
}

/// Events a processor tells of in one tick of the clock.
pub const EVENTS_PER_TICK: u32 = 1000;
/// Of those, events of drops: whoever has frames dropped does not keep others from being heard.
pub const DROPS_PER_TICK: u32 = 750;

/// What became of the last frame on a processor, for tests: written only by a program loaded to trace.
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
const _: () = assert!(size_of::<PortRate>() == 16);
const _: () = assert!(size_of::<Admission>() == 8);
const _: () = assert!(size_of::<Sampling>() == 16);
const _: () = assert!(size_of::<Trace>() == 8);
const _: () = assert!(size_of::<PolicyKey>() == 8);
const _: () = assert!(size_of::<PolicyRow>() == 24);
const _: () = assert!(size_of::<Station>() == 8);
const _: () = assert!(size_of::<Counter>() == 16);
const _: () = assert!(RULES == 1 << 17 && SEGMENTS == 1 << 12 && PORTS < 1 << 4);
