//! What the decision looks up.

use crate::abi::{
    Address, Admission, Control, Device, Event, Flow, FlowKey4, FlowKey6, Fragments, FragmentsKey,
    Limit, Network, PolicyKey, PolicyRow, PortRate, PortSetting, Stack, Station,
};
use crate::address::{Ip, Mac};
use crate::reason::Reason;

/// A table had no room for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The tables, as the kernel's maps or in memory.
///
/// `slot` names one of the two generations of the policy tables; a packet uses the one its [`Control`]
/// named for all of its look-ups.
pub trait Tables {
    /// The policy and posture in force.
    fn control(&self) -> Control;

    /// Ticks of the monotonic clock: 2^30 nanoseconds, 1.07 seconds, each.
    fn now(&self) -> u32;

    /// What an attachment belongs to.
    fn admission(&self, slot: u8, attachment: u16) -> Admission;

    /// The number of the attachment with two tags at a [`crate::abi::place`]; [`crate::abi::NO_ATTACHMENT`] if there is
    /// none.
    fn number(&self, slot: u8, place: u32) -> u16;

    /// Where an attachment with two tags is, by its number.
    fn stack(&self, slot: u8, attachment: u16) -> Stack;

    /// The MAC address of the device of a segment that an address is bound to, where the gateway stands in for it; 0 if
    /// there is none.
    fn proxy(&self, slot: u8, segment: u16, ip: Ip) -> Mac;

    /// The attachment a segment has at a port: [`crate::abi::FLOOD_MEMBER`] with its number, or
    /// [`crate::abi::FLOOD_NONE`].
    fn flood(&self, slot: u8, segment: u16, port: u16) -> u32;

    /// What is set for a port.
    fn port(&self, slot: u8, port: u16) -> PortSetting;

    /// What came in at a port lately, in place.
    fn rate(&mut self, port: u16) -> Option<&mut PortRate>;

    /// Whether a segment lets an EtherType pass.
    fn ether_type(&self, slot: u8, segment: u16, ether_type: u16) -> bool;

    /// The device with this [`crate::abi::member`] key.
    fn device(&self, slot: u8, member: u64) -> Option<Device>;

    /// Whose an address is.
    fn address(&self, slot: u8, ip: Ip) -> Option<Address>;

    /// The longest network prefix an address is in; [`Network::NOWHERE`] if it is in none.
    fn network(&self, slot: u8, ip: Ip) -> Network;

    /// The service class at a [`crate::abi::service_index`].
    fn service(&self, slot: u8, index: u32) -> u16;

    /// Which set of rows the policy has for flows from one class to another; none if no rule matches them.
    fn set(&self, slot: u8, from: u16, to: u16) -> Option<u32>;

    /// What the policy says in a set of a service class.
    fn policy(&self, slot: u8, key: &PolicyKey) -> Option<PolicyRow>;

    /// Where a [`crate::abi::member`] key was last seen.
    fn station(&self, member: u64) -> Option<Station>;

    /// Remembers where it was seen. A table without room forgets the oldest.
    fn learn(&mut self, member: u64, station: Station);

    /// Notes that some station moved: established flows to it go where it was, until user space has them judged again.
    fn moved(&mut self);

    /// An IPv4 flow, in place.
    fn flow4(&mut self, key: &FlowKey4) -> Option<&mut Flow>;

    /// An IPv6 flow, in place.
    fn flow6(&mut self, key: &FlowKey6) -> Option<&mut Flow>;

    /// A half-open IPv4 flow, in place.
    fn half4(&mut self, key: &FlowKey4) -> Option<&mut Flow>;

    /// A half-open IPv6 flow, in place.
    fn half6(&mut self, key: &FlowKey6) -> Option<&mut Flow>;

    /// Adds a half-open IPv4 flow, a [`Flow::blank`] to be filled in. A table without room forgets the oldest.
    ///
    /// # Errors
    /// [`Full`] if there is no room all the same.
    fn add_half4(&mut self, key: &FlowKey4, seen: u16) -> Result<&mut Flow, Full>;

    /// Adds a half-open IPv6 flow, a [`Flow::blank`] to be filled in. A table without room forgets the oldest.
    ///
    /// # Errors
    /// [`Full`] if there is no room all the same.
    fn add_half6(&mut self, key: &FlowKey6, seen: u16) -> Result<&mut Flow, Full>;

    /// Moves a half-open IPv4 flow to the established ones.
    ///
    /// # Errors
    /// [`Full`] if there is no room, or it is half-open no more.
    fn establish4(&mut self, key: &FlowKey4) -> Result<(), Full>;

    /// Moves a half-open IPv6 flow to the established ones.
    ///
    /// # Errors
    /// [`Full`] if there is no room, or it is half-open no more.
    fn establish6(&mut self, key: &FlowKey6) -> Result<(), Full>;

    /// How many flows a [`crate::abi::member`] opens, in place; `None` if the table has forgotten who that is.
    fn limit(&mut self, member: u64) -> Option<&mut Limit>;

    /// What was decided of the packet that fragments belong to, in place.
    fn fragments(&mut self, key: &FragmentsKey) -> Option<&mut Fragments>;

    /// Remembers what was decided of a first fragment. A table without room forgets the longest unused.
    fn set_fragments(&mut self, key: &FragmentsKey, fragments: &Fragments);

    /// Counts a frame for a rule that decided on it.
    fn count_rule(&mut self, slot: u8, rule: u32, bytes: usize);

    /// Counts a dropped frame.
    fn count_drop(&mut self, reason: Reason, bytes: usize);

    /// Tells of something that happened, of this [`Event::kind`]: `fill` describes it in an [`Event::BLANK`], in place, so
    /// that it costs no room on the kernel's small stack. May sample, and then `fill` is not called; what is not told is
    /// counted as lost. Answers whether it was told. Kind and time are filled in by the tables.
    fn event(&mut self, kind: u8, fill: impl FnOnce(&mut Event)) -> bool;
}
