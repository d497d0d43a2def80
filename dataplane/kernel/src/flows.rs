//! The flow tables as user space sees them.

use cordon_verdict::Ip;
use cordon_verdict::abi::{Flow, FlowKey4, FlowKey6, Station};

use crate::program::Dataplane;
use crate::recent::Seat;
use crate::table::Place;

/// A flow, of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEntry {
    /// Addresses of the two ends.
    pub address: [Ip; 2],
    /// Ports of the two ends; ICMP: the identifier.
    pub port: [u16; 2],
    /// The segment.
    pub segment: u16,
    /// IP protocol.
    pub protocol: u8,
    /// For ICMP echo, 1 if the second end asks.
    pub requester: u8,
    /// Whether only one end has been heard, or, of TCP, the handshake is not over.
    pub half_open: bool,
    /// What is kept of it.
    pub flow: Flow,
}

impl FlowEntry {
    /// Whether both ends have been heard.
    pub fn answered(&self) -> bool {
        !self.half_open
    }

    /// Whether it is something said to a group: there is nobody at the other end. Kept beside flows, and no flow.
    pub fn is_to_group(&self) -> bool {
        self.half_open && self.address.iter().any(|ip| ip.is_unspecified())
    }

    /// For how many ticks of [`Control::tick`](cordon_verdict::abi::Control::tick) it has been idle at `now`.
    pub fn idle(&self, now: u16) -> u16 {
        now.wrapping_sub(self.flow.seen)
    }

    /// Whether it is a TCP connection that was closed or reset.
    pub fn closed(&self) -> bool {
        let both = Flow::FIN | Flow::FIN << 1;
        self.flow.state & Flow::RST != 0 || self.flow.state & both == both
    }

    /// Whether it is a TCP connection that one end, and only one, has said to be done with.
    pub fn half_closed(&self) -> bool {
        let both = Flow::FIN | Flow::FIN << 1;
        !self.closed() && self.flow.state & both != 0
    }

    /// The port that it was opened to.
    pub fn server_port(&self) -> u16 {
        // The first end speaks in direction 0.
        self.port[usize::from(self.flow.initiator & 1 ^ 1)]
    }

    /// The epoch that it was judged under; 0 if it is to be judged again.
    pub fn epoch(&self) -> u32 {
        (self.flow.judged >> 32) as u32
    }

    /// Bytes seen in a direction of the flow, 0 or 1, rounded up frame by frame; starts again behind 64 GiB.
    pub fn bytes(&self, direction: usize) -> u64 {
        let volume = self.flow.volume.get(direction).copied().unwrap_or(0);
        u64::from(volume) * Flow::VOLUME as u64
    }
}

impl Dataplane {
    /// Calls `each` with every flow, and with all that is said to groups.
    pub fn flows(&self, mut each: impl FnMut(FlowEntry)) {
        self.established(|_, entry| each(entry));
        self.half_open(|_, entry| each(entry));
    }

    /// Calls `each` with every established flow, and where it is.
    pub(crate) fn established(&self, mut each: impl FnMut(At, FlowEntry)) {
        self.maps.flows4.each(|place, words, flow| {
            each(
                At::V4(place),
                entry4(&FlowKey4::from_words(words), flow, false),
            );
        });
        self.maps.flows6.each(|place, words, flow| {
            each(
                At::V6(place),
                entry6(&FlowKey6::from_words(words), flow, false),
            );
        });
    }

    /// Calls `each` with every half-open flow, and all that is said to groups, and where it is.
    pub(crate) fn half_open(&self, mut each: impl FnMut(HalfAt, FlowEntry)) {
        self.maps.half4.each(|seat, words, flow| {
            each(
                HalfAt::V4(seat),
                entry4(&FlowKey4::from_words(words), flow, true),
            );
        });
        self.maps.half6.each(|seat, words, flow| {
            each(
                HalfAt::V6(seat),
                entry6(&FlowKey6::from_words(words), flow, true),
            );
        });
    }

    /// Calls `each` with every station: its `abi::fdb_key` key, and where it is.
    pub fn stations(&self, mut each: impl FnMut(u64, Station)) {
        self.maps
            .hosts
            .each(|_, [member], host| each(member, host.station));
    }
}

/// Where an established flow is.
#[derive(Clone, Copy)]
pub(crate) enum At {
    V4(Place),
    V6(Place),
}

impl At {
    /// The number of its entry.
    pub(crate) fn number(self) -> usize {
        match self {
            At::V4(place) | At::V6(place) => place.number(),
        }
    }
}

/// Where a half-open flow is.
#[derive(Clone, Copy)]
pub(crate) enum HalfAt {
    V4(Seat),
    V6(Seat),
}

fn entry4(key: &FlowKey4, flow: Flow, half_open: bool) -> FlowEntry {
    FlowEntry {
        address: key.address.map(Ip::v4),
        port: key.port(),
        segment: key.segment(),
        protocol: key.protocol(),
        requester: key.requester(),
        half_open,
        flow,
    }
}

fn entry6(key: &FlowKey6, flow: Flow, half_open: bool) -> FlowEntry {
    let FlowKey6 {
        address,
        port,
        segment,
        protocol,
        requester,
    } = *key;
    FlowEntry {
        address,
        port,
        segment,
        protocol,
        requester,
        half_open,
        flow,
    }
}
