//! Flow table entries, and what is recorded of hosts and fragments.

use crate::address::{Ip, Mac};

/// A decision. The top bit is allow; the next says that no copy may leave by an uplink; the rest is the number of the
/// rule, 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Ruling(pub u32);

impl Ruling {
    /// No decision; does not allow.
    pub const NONE: Ruling = Ruling(0);
    const ALLOW: u32 = 1 << 31;
    const INSIDE: u32 = 1 << 30;
    const RULE: u32 = Ruling::INSIDE - 1;

    /// Rule `rule` allows.
    #[inline(always)]
    pub const fn allow(rule: u32) -> Ruling {
        Ruling(rule & Ruling::RULE | Ruling::ALLOW)
    }

    /// Rule `rule` allows; a flooded frame leaves by device-facing ports only.
    #[inline(always)]
    pub const fn allow_inside(rule: u32) -> Ruling {
        Ruling(rule & Ruling::RULE | Ruling::ALLOW | Ruling::INSIDE)
    }

    /// Rule `rule` denies.
    #[inline(always)]
    pub const fn deny(rule: u32) -> Ruling {
        Ruling(rule & Ruling::RULE)
    }

    /// Whether the decision is to allow.
    #[inline(always)]
    pub const fn allows(self) -> bool {
        self.0 & Ruling::ALLOW != 0
    }

    /// Whether no copy of a flooded frame may leave by an uplink.
    #[inline(always)]
    pub const fn is_inside(self) -> bool {
        self.0 & Ruling::INSIDE != 0
    }

    /// The number of the rule, 0 for none.
    #[inline(always)]
    pub const fn rule(self) -> u32 {
        self.0 & Ruling::RULE
    }
}

/// A flow's key for IPv4, the same in both directions: the end with the smaller (address, port) is first.
///
/// In 32-bit words, because the hash reads words: reading a word just after its parts were stored stalls the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey4 {
    /// Addresses of the two ends.
    pub address: [u32; 2],
    pub(super) ports: u32,
    pub(super) rest: u32,
}

impl FlowKey4 {
    /// The two ends, each an address and a port (for ICMP echo, the identifier as both), the segment, the IP protocol,
    /// and for ICMP echo 1 if the second end sends the requests, else 0.
    #[inline(always)]
    pub const fn new(
        address: [u32; 2],
        port: [u16; 2],
        segment: u16,
        protocol: u8,
        requester: u8,
    ) -> FlowKey4 {
        FlowKey4 {
            address,
            ports: port[0] as u32 | (port[1] as u32) << 16,
            rest: segment as u32 | (protocol as u32) << 16 | (requester as u32) << 24,
        }
    }

    /// Ports of the two ends.
    pub const fn port(&self) -> [u16; 2] {
        [self.ports as u16, (self.ports >> 16) as u16]
    }

    /// The segment.
    pub const fn segment(&self) -> u16 {
        self.rest as u16
    }

    /// IP protocol.
    pub const fn protocol(&self) -> u8 {
        (self.rest >> 16) as u8
    }

    /// For ICMP echo, 1 if the second end sends the requests; else 0.
    pub const fn requester(&self) -> u8 {
        (self.rest >> 24) as u8
    }
}

/// A flow's key for IPv6; as [`FlowKey4`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey6 {
    /// Addresses of the two ends.
    pub address: [Ip; 2],
    /// Ports of the two ends.
    pub port: [u16; 2],
    /// The segment.
    pub segment: u16,
    /// IP protocol.
    pub protocol: u8,
    /// As in [`FlowKey4`].
    pub requester: u8,
}

/// The path of one direction of a flow through the gateway: two words of MAC address and attachment, each written and
/// compared as a whole, so that a reader never sees parts of two states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct FlowPath {
    /// Source MAC address and ingress attachment; 0 before the first packet in this direction.
    pub from: u64,
    /// Destination MAC address and egress attachment; [`FlowPath::UNKNOWN`] while the egress attachment is not known.
    pub to: u64,
}

impl FlowPath {
    /// A word that no packet of a flow matches: its MAC address is a group address.
    pub const UNKNOWN: u64 = u64::MAX;
}

/// A MAC address and an attachment in one word.
#[inline(always)]
pub const fn path_word(mac: Mac, attachment: u16) -> u64 {
    mac << 16 | attachment as u64
}

/// The MAC address of a word of a [`FlowPath`].
#[inline(always)]
pub const fn path_mac(word: u64) -> Mac {
    word >> 16
}

/// The attachment of a word of a [`FlowPath`].
#[inline(always)]
pub const fn path_attachment(word: u64) -> u16 {
    word as u16
}

/// A flow. 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Flow {
    /// Epoch in the upper half, [`Ruling`] in the lower: one store, so that no packet sees a ruling with another's
    /// epoch. Always an allow: denied packets are not recorded.
    pub judged: u64,
    /// The two directions: 0 from the first end of the key to the second.
    pub path: [FlowPath; 2],
    /// Volume of each direction, in units of [`Flow::VOLUME`] bytes, every frame rounded up. Approximate if two
    /// processors handle one direction. Wraps at 64 GiB.
    pub volume: [u32; 2],
    /// The last TCP acknowledgement number in each direction (RFC 9293 §3.1), 0 before the first. Of a flow to a group,
    /// the first word is the time of the last packet in ticks (see `Tables::now`); the second is the time of the last
    /// report, shifted left by one, with bit 0 set if the packets do not leave the segment.
    pub acknowledged: [u32; 2],
    /// [`super::Control::tick`] at the last packet.
    pub seen: u16,
    /// The direction, 0 or 1, in which the initiator sends: the end that opened the flow first, or reopened it last.
    pub initiator: u8,
    /// Of [`Flow::FIN`] and [`Flow::OPENED`], each per direction, [`Flow::RST`], [`Flow::REOPENED`],
    /// [`Flow::ANSWERED`].
    pub state: u8,
    /// Of a flow to a group, [`Ip::folded`] of the group's address; else 0.
    pub group: u32,
}

impl Flow {
    /// A FIN was seen in direction 0; shifted left by one, in direction 1.
    pub const FIN: u8 = 1;
    /// A RST was seen.
    pub const RST: u8 = 4;
    /// The end that sends in direction 0 has opened the flow, so that the other end may answer; shifted left by one,
    /// the end of direction 1. Both may be set: what an end may send must not depend on which end sent last.
    pub const OPENED: u8 = 8;
    /// A SYN asked for a new connection with the same addresses and ports.
    pub const REOPENED: u8 = 32;
    /// Of a half-open TCP flow: one end has sent to the other after that had sent.
    pub const ANSWERED: u8 = 64;
    /// The unit of [`Flow::volume`] in bytes.
    pub const VOLUME: usize = 16;
    /// An empty entry, seen at this tick of the control word.
    #[inline(always)]
    pub const fn blank(seen: u16) -> Flow {
        Flow {
            judged: 0,
            path: [FlowPath { from: 0, to: 0 }; 2],
            volume: [0; 2],
            acknowledged: [0; 2],
            seen,
            initiator: 0,
            state: 0,
            group: 0,
        }
    }

    /// The two halves of [`Flow::judged`] as one word.
    #[inline(always)]
    pub const fn judged(epoch: u32, ruling: Ruling) -> u64 {
        (epoch as u64) << 32 | ruling.0 as u64
    }

    /// The ruling.
    #[inline(always)]
    pub const fn ruling(&self) -> Ruling {
        Ruling(self.judged as u32)
    }
}

/// The rate counters of a host, by `abi::fdb_key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Limit {
    /// The tick that the counters below are of.
    pub tick: u32,
    /// Flows opened in the tick.
    pub opened: u32,
    /// 1 if the host has as many flows as it may; user space counts them now and then.
    pub over: u16,
    /// 1 + (tick modulo 65,535) of the tick in which an ARP or neighbour discovery packet last crossed a closed boundary; 0
    /// if none did.
    pub resolved: u16,
    /// Group frames in the tick.
    pub groups: u16,
    /// Copies per attachment in the tick, of flooded frames.
    pub copies: u16,
}

impl Limit {
    /// The part of its port's limits that one host on a device-facing port may use is 1/`SHARE`, so that no host uses
    /// up the limit alone.
    pub const SHARE: u32 = 4;

    /// Clears the counters when a new tick has begun.
    #[inline(always)]
    pub fn start(&mut self, now: u32) {
        if self.tick != now {
            self.tick = now;
            self.opened = 0;
            self.groups = 0;
            self.copies = 0;
        }
    }

    /// Whether an ARP or neighbour discovery packet of the host crossed in the last [`Limit::RESOLVE_TICKS`] ticks.
    #[inline(always)]
    pub const fn resolved_lately(&self, now: u32) -> bool {
        let age = (Limit::resolve_tick(now) + Limit::RESOLVE_CYCLE - self.resolved as u32)
            % Limit::RESOLVE_CYCLE;
        self.resolved != 0 && age < Limit::RESOLVE_TICKS
    }

    /// Records that an ARP or neighbour discovery packet of the host crossed.
    #[inline(always)]
    pub const fn resolve(&mut self, now: u32) {
        self.resolved = Limit::resolve_tick(now) as u16;
    }

    #[inline(always)]
    const fn resolve_tick(now: u32) -> u32 {
        now % Limit::RESOLVE_CYCLE + 1
    }

    /// One less than the values of `resolved`, of which 0 means never.
    const RESOLVE_CYCLE: u32 = u16::MAX as u32;
    /// Ticks from one ARP or neighbour discovery packet of a listed device to the next that may cross a closed boundary.
    pub const RESOLVE_TICKS: u32 = 2;
    /// Flows that a host on a device-facing port may open in a tick.
    pub const DEVICE: u32 = 4096;
    /// Flows that a host behind an uplink may open in a tick: a router forwards for many.
    pub const UPLINK: u32 = 65536;
}

const _: () = assert!(size_of::<Limit>() == 16);

/// The packet to which fragments belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FragmentsKey {
    /// Source address.
    pub source: Ip,
    /// Destination address.
    pub destination: Ip,
    /// The packet's identification.
    pub id: u32,
    /// The segment.
    pub segment: u16,
    /// IP protocol.
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
}

/// The decision on a packet's first fragment, and which fragment may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Fragments {
    /// As [`Flow::judged`].
    pub judged: u64,
    /// Source MAC address and ingress attachment.
    pub from: u64,
    /// Destination MAC address and egress attachment; attachment 0 if the first was flooded.
    pub to: u64,
    /// The time of the first, in ticks.
    pub seen: u32,
    /// The lowest offset of the next, in bytes.
    pub next: u16,
    /// One of [`Fragments::ONE`], [`Fragments::FLOOD`], [`Fragments::INSIDE`].
    pub spread: u16,
}

impl Fragments {
    /// To one attachment.
    pub const ONE: u16 = 0;
    /// Flooded.
    pub const FLOOD: u16 = 1;
    /// Flooded to device-facing ports only.
    pub const INSIDE: u16 = 2;
}

const _: () = assert!(size_of::<FragmentsKey>() == 40);
const _: () = assert!(size_of::<Fragments>() == 32);

const _: () = assert!(size_of::<FlowKey4>() == 16);
const _: () = assert!(size_of::<FlowKey6>() == 40);
const _: () = assert!(size_of::<Flow>() == 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_crosses_again_after_two_ticks_at_every_time() {
        let limits = (0..140_000).chain(u32::MAX - 3..=u32::MAX - 2);
        for now in limits {
            let mut limit = Limit::default();
            assert!(!limit.resolved_lately(now), "{now}");
            limit.resolve(now);
            let later = [0, 1, 2].map(|ticks| limit.resolved_lately(now + ticks));
            assert_eq!(later, [true, true, false], "{now}");
        }
    }
}
