//! Flows: what an established packet costs one look-up of.

use crate::address::{Ip, Mac};

/// What was decided: the top bit says allow, the next that no copy may leave by an uplink, the rest is the number of
/// the rule, 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Ruling(pub u32);

impl Ruling {
    /// Nothing decided, so nothing allowed.
    pub const NONE: Ruling = Ruling(0);
    const ALLOW: u32 = 1 << 31;
    const INSIDE: u32 = 1 << 30;
    const RULE: u32 = Ruling::INSIDE - 1;

    /// Rule `rule` allows.
    #[inline(always)]
    pub const fn allow(rule: u32) -> Ruling {
        Ruling(rule & Ruling::RULE | Ruling::ALLOW)
    }

    /// Rule `rule` allows what is flooded, to device-facing ports only.
    #[inline(always)]
    pub const fn allow_inside(rule: u32) -> Ruling {
        Ruling(rule & Ruling::RULE | Ruling::ALLOW | Ruling::INSIDE)
    }

    /// Rule `rule` denies.
    #[inline(always)]
    pub const fn deny(rule: u32) -> Ruling {
        Ruling(rule & Ruling::RULE)
    }

    /// Whether it allows.
    #[inline(always)]
    pub const fn allows(self) -> bool {
        self.0 & Ruling::ALLOW != 0
    }

    /// Whether no copy may leave by an uplink. Bears on what is flooded only.
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
/// In words, because a hash reads words: what was stored in smaller pieces just before keeps it waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey4 {
    /// Addresses of the two ends.
    pub address: [u32; 2],
    pub(super) ports: u32,
    pub(super) rest: u32,
}

impl FlowKey4 {
    /// The ends, each an address and a port (for ICMP echo, the identifier twice), the segment the flow was seen in, the
    /// IP protocol, and for ICMP echo 1 if the second end asks, else 0.
    #[inline(always)]
    pub const fn new(
        address: [u32; 2],
        port: [u16; 2],
        segment: u16,
        protocol: u8,
        asker: u8,
    ) -> FlowKey4 {
        FlowKey4 {
            address,
            ports: port[0] as u32 | (port[1] as u32) << 16,
            rest: segment as u32 | (protocol as u32) << 16 | (asker as u32) << 24,
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

    /// For ICMP echo, 1 if the second end asks; else 0.
    pub const fn asker(&self) -> u8 {
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
    /// The segment the flow was seen in.
    pub segment: u16,
    /// IP protocol.
    pub protocol: u8,
    /// As in [`FlowKey4`].
    pub asker: u8,
}

/// How one direction of a flow crosses the gateway: two words of MAC address and attachment, each
/// written and compared as a whole, so that no mixture of two states is ever acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Way {
    /// Source MAC address and ingress attachment. 0: this direction has not been seen yet.
    pub from: u64,
    /// Destination MAC address and egress attachment; [`Way::NOWHERE`] while it is not known where that is.
    pub to: u64,
}

impl Way {
    /// A destination that no packet of a flow has: a group's MAC address.
    pub const NOWHERE: u64 = u64::MAX;
}

/// A MAC address and an attachment in one word.
#[inline(always)]
pub const fn way_word(mac: Mac, attachment: u16) -> u64 {
    mac << 16 | attachment as u64
}

/// The MAC address of a word of a [`Way`].
#[inline(always)]
pub const fn way_mac(word: u64) -> Mac {
    word >> 16
}

/// The attachment of a word of a [`Way`].
#[inline(always)]
pub const fn way_attachment(word: u64) -> u16 {
    word as u16
}

/// A flow. 64 bytes: one cache line of its own behind a line of hash node and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Flow {
    /// Epoch in the upper, [`Ruling`] in the lower half: one store, so that no packet ever sees a
    /// ruling with another's epoch. Always an allow: what is denied is not remembered.
    pub judged: u64,
    /// The two directions: 0 from the first end of the key to the second.
    pub way: [Way; 2],
    /// What was seen in each direction, in units of [`Flow::VOLUME`] bytes, every frame rounded up; approximate where
    /// two processors see the same direction. Starts again behind 64 GiB.
    pub volume: [u32; 2],
    /// The last TCP acknowledgement number in each direction (RFC 9293 §3.1): what the other side may go on with.
    /// 0 before there is one. Of what was said to a group, the first is when, in ticks (see `Tables::now`); the second is
    /// when it was told of, shifted left by one, and 1 if it stays within the segment.
    pub acknowledged: [u32; 2],
    /// [`super::Control::tick`] when the last packet was seen.
    pub seen: u16,
    /// Which direction the one speaks in who opened it first, or asked for a new connection last, 0 or 1.
    pub initiator: u8,
    /// [`Flow::FIN`] and [`Flow::OPENED`] per direction, and their neighbours.
    pub state: u8,
    /// Of what was said to a group, the group's address in 32 bits: see [`Ip::folded`]; else 0.
    pub group: u32,
}

impl Flow {
    /// A FIN was seen in direction 0; shifted left by one, in direction 1.
    pub const FIN: u8 = 1;
    /// A RST was seen.
    pub const RST: u8 = 4;
    /// The end that speaks in direction 0 has opened the flow, so that the other may answer; shifted left by one, that
    /// of direction 1. Once both have, what either may do must not depend on who was heard last.
    pub const OPENED: u8 = 8;
    /// A new connection was asked for with the same addresses and ports.
    pub const AGAIN: u8 = 32;
    /// Half-open TCP: one end has spoken to the other that was heard before.
    pub const ANSWERED: u8 = 64;
    /// The unit of [`Flow::volume`] in bytes.
    pub const VOLUME: usize = 16;
    /// One that nothing is known of yet, but when it was seen, in ticks of the control word.
    #[inline(always)]
    pub const fn blank(seen: u16) -> Flow {
        Flow {
            judged: 0,
            way: [Way { from: 0, to: 0 }; 2],
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

/// What a host does in a tick, by `abi::member`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Limit {
    /// The tick that is counted in.
    pub tick: u32,
    /// Flows opened in it.
    pub opened: u32,
    /// 1 if it has as many flows as it may: counted by user space, from time to time.
    pub over: u32,
    /// Group frames in it.
    pub groups: u16,
    /// Copies, one by one, of what of it was flooded.
    pub copies: u16,
}

impl Limit {
    /// What one host on a device-facing port may take of what is its port's, in parts: nobody silences the others alone.
    pub const SHARE: u32 = 4;

    /// Starts counting anew in a new tick.
    #[inline(always)]
    pub fn start(&mut self, now: u32) {
        if self.tick != now {
            self.tick = now;
            self.opened = 0;
            self.groups = 0;
            self.copies = 0;
        }
    }

    /// Flows that a host on a device-facing port may open in a tick.
    pub const DEVICE: u32 = 4096;
    /// Flows that a host behind an uplink may open in a tick: a router speaks for many.
    pub const UPLINK: u32 = 65536;
}

const _: () = assert!(size_of::<Limit>() == 16);

/// Which packet fragments belong to.
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

/// What was decided of a packet's first fragment, and what may follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Fragments {
    /// As in [`Flow`].
    pub judged: u64,
    /// Source MAC address and ingress attachment.
    pub from: u64,
    /// Destination MAC address and egress attachment; 0 for the latter if it was flooded.
    pub to: u64,
    /// When the first was seen, in ticks.
    pub seen: u32,
    /// Where the next may start, in bytes.
    pub next: u16,
    /// [`Fragments::ONE`] and its neighbours.
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
