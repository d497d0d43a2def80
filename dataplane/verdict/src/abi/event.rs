//! Events that the packet program emits.

use crate::address::{Ip, Mac};

/// [`Event::kind`]: a frame was dropped.
pub const EVENT_DROP: u8 = 1;
/// [`Event::kind`]: a flow was opened or judged again, or packets are sent to a group.
pub const EVENT_FLOW: u8 = 2;

/// A sampled event. 88 bytes. Fields that the frame's last stage did not yet know are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// Nanoseconds of the monotonic clock.
    pub at: u64,
    /// Source MAC address.
    pub source_mac: Mac,
    /// Destination MAC address.
    pub destination_mac: Mac,
    /// Source address.
    pub source: Ip,
    /// Destination address.
    pub destination: Ip,
    /// Epoch under which the frame was judged.
    pub epoch: u32,
    /// The rule that decided, or that would allow the frame at posture normal; 0 for none.
    pub rule: u32,
    /// Length of the frame in bytes.
    pub length: u32,
    /// Source port, or ICMP identifier.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// The [`super::location`] where the frame came in. Not the attachment's number, which the next generation may
    /// reuse.
    pub location: u32,
    /// Segment; not set if the frame was dropped before it was admitted.
    pub segment: u16,
    /// IP protocol, 0 if not known.
    pub protocol: u8,
    /// [`EVENT_DROP`] or [`EVENT_FLOW`].
    pub kind: u8,
    /// The number of the [`crate::Reason`], 0 for a flow.
    pub reason: u8,
    /// The posture under which the frame was judged.
    pub posture: u8,
    /// The slot of the generation that numbers [`Event::rule`].
    pub slot: u8,
    /// Zero.
    pub pad: [u8; 5],
}

impl Event {
    /// All fields zero.
    pub const BLANK: Event = Event {
        at: 0,
        source_mac: 0,
        destination_mac: 0,
        source: Ip { hi: 0, lo: 0 },
        destination: Ip { hi: 0, lo: 0 },
        epoch: 0,
        rule: 0,
        length: 0,
        source_port: 0,
        destination_port: 0,
        location: 0,
        segment: 0,
        protocol: 0,
        kind: 0,
        reason: 0,
        posture: 0,
        slot: 0,
        pad: [0; 5],
    };
}

const _: () = assert!(size_of::<Event>() == 88);
