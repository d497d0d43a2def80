//! The tables that the packet path looks up and updates.

use crate::abi::{
    Address, Admission, Control, Device, Event, Flow, FlowKey4, FlowKey6, Fragments, FragmentsKey,
    Limit, Network, PolicyKey, PolicyRow, PortRate, PortSetting, Stack, Station,
};
use crate::address::{Ip, Mac};
use crate::reason::Reason;

/// A table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The tables, as the kernel's maps or in memory.
///
/// `slot` is 0 or 1: one of the two generations of the policy tables. A packet uses the slot of its [`Control`] for all
/// of its look-ups. A `fdb_key` argument is a [`crate::abi::fdb_key`].
pub trait Tables {
    /// The policy and posture in force.
    fn control(&self) -> Control;

    /// Ticks of the monotonic clock: 2^30 nanoseconds, 1.07 seconds, each.
    fn now(&self) -> u32;

    /// The segment of an attachment, and its flags.
    fn admission(&self, slot: u8, attachment: u16) -> Admission;

    /// The number of the attachment with two tags at a [`crate::abi::location`]; [`crate::abi::NO_ATTACHMENT`] if there
    /// is none.
    fn number(&self, slot: u8, location: u32) -> u16;

    /// Location and tags of an attachment with two tags, by its number.
    fn stack(&self, slot: u8, attachment: u16) -> Stack;

    /// The MAC address of the device of a segment to which an address is bound, in segments with a proxy; 0 if there is
    /// none.
    fn proxy(&self, slot: u8, segment: u16, ip: Ip) -> Mac;

    /// The attachment a segment has at a port: [`crate::abi::FLOOD_MEMBER`] with its number, or
    /// [`crate::abi::FLOOD_NONE`].
    fn flood(&self, slot: u8, segment: u16, port: u16) -> u32;

    /// The settings of a port.
    fn port(&self, slot: u8, port: u16) -> PortSetting;

    /// The rate counters of a port, in place.
    fn rate(&mut self, port: u16) -> Option<&mut PortRate>;

    /// Whether a segment lets an EtherType pass.
    fn ether_type(&self, slot: u8, segment: u16, ether_type: u16) -> bool;

    /// The listed device with this MAC address in its segment.
    fn device(&self, slot: u8, fdb_key: u64) -> Option<Device>;

    /// The device to which an address is bound.
    fn address(&self, slot: u8, ip: Ip) -> Option<Address>;

    /// The network with the longest prefix that matches; [`Network::UNCLASSIFIED`] if none does.
    fn network(&self, slot: u8, ip: Ip) -> Network;

    /// The service class at a [`crate::abi::service_index`].
    fn service(&self, slot: u8, index: u32) -> u16;

    /// The set of policy rows for flows from one class to another; `None` if no rule matches them.
    fn set(&self, slot: u8, from: u16, to: u16) -> Option<u32>;

    /// The policy row of a service class in a set.
    fn policy(&self, slot: u8, key: &PolicyKey) -> Option<PolicyRow>;

    /// The FDB entry: where a MAC address was last seen.
    fn station(&self, fdb_key: u64) -> Option<Station>;

    /// Adds or updates an FDB entry. A full table evicts the oldest.
    fn learn(&mut self, fdb_key: u64, station: Station);

    /// Counts a station move. Established flows keep their old egress until user space has them judged again.
    fn moved(&mut self);

    /// An established IPv4 flow, in place.
    fn flow4(&mut self, key: &FlowKey4) -> Option<&mut Flow>;

    /// An established IPv6 flow, in place.
    fn flow6(&mut self, key: &FlowKey6) -> Option<&mut Flow>;

    /// A half-open IPv4 flow, in place.
    fn half4(&mut self, key: &FlowKey4) -> Option<&mut Flow>;

    /// A half-open IPv6 flow, in place.
    fn half6(&mut self, key: &FlowKey6) -> Option<&mut Flow>;

    /// Adds a half-open IPv4 flow, a [`Flow::blank`] for the caller to fill in. A full table evicts the oldest.
    ///
    /// # Errors
    /// [`Full`] if none can be evicted.
    fn add_half4(&mut self, key: &FlowKey4, seen: u16) -> Result<&mut Flow, Full>;

    /// Adds a half-open IPv6 flow, a [`Flow::blank`] for the caller to fill in. A full table evicts the oldest.
    ///
    /// # Errors
    /// [`Full`] if none can be evicted.
    fn add_half6(&mut self, key: &FlowKey6, seen: u16) -> Result<&mut Flow, Full>;

    /// Moves a half-open IPv4 flow to the established ones.
    ///
    /// # Errors
    /// [`Full`] if the table is full, or the half-open entry is gone.
    fn establish4(&mut self, key: &FlowKey4) -> Result<(), Full>;

    /// Moves a half-open IPv6 flow to the established ones.
    ///
    /// # Errors
    /// [`Full`] if the table is full, or the half-open entry is gone.
    fn establish6(&mut self, key: &FlowKey6) -> Result<(), Full>;

    /// The rate counters of a host, in place; `None` if the table has evicted the host.
    fn limit(&mut self, fdb_key: u64) -> Option<&mut Limit>;

    /// The decision on a fragmented packet, in place.
    fn fragments(&mut self, key: &FragmentsKey) -> Option<&mut Fragments>;

    /// Records the decision on a first fragment. A full table evicts the least recently used.
    fn set_fragments(&mut self, key: &FragmentsKey, fragments: &Fragments);

    /// Counts a frame for the rule that decided.
    fn count_rule(&mut self, slot: u8, rule: u32, bytes: usize);

    /// Counts a dropped frame.
    fn count_drop(&mut self, reason: Reason, bytes: usize);

    /// Emits an event of this [`Event::kind`]. `fill` writes it into an [`Event::BLANK`] in place, so that it takes no
    /// room on the kernel's small stack; the tables set kind and time. Tables may sample: then `fill` is not called,
    /// and the event is counted as lost. Returns whether the event was emitted.
    fn event(&mut self, kind: u8, fill: impl FnOnce(&mut Event)) -> bool;
}
