//! A flow as user space sees it.

use cordon_verdict::Ip;
use cordon_verdict::abi::{Flow, FlowKey4, FlowKey6};

/// An IPv4 or IPv6 flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEntry {
    /// Addresses of the two ends.
    pub address: [Ip; 2],
    /// Ports of the two ends; for ICMP, the identifier.
    pub port: [u16; 2],
    /// The segment.
    pub segment: u16,
    /// IP protocol.
    pub protocol: u8,
    /// For ICMP echo, 1 if the second end sends the requests.
    pub requester: u8,
    /// Whether only one end has sent, or, for TCP, the handshake is not complete.
    pub half_open: bool,
    /// The record of the flow table.
    pub flow: Flow,
}

impl FlowEntry {
    /// Whether both ends have sent.
    pub fn answered(&self) -> bool {
        !self.half_open
    }

    /// Whether it is traffic to a group address. The table of half-open flows holds such entries too; they are not flows.
    pub fn is_to_group(&self) -> bool {
        self.half_open && self.address.iter().any(|ip| ip.is_unspecified())
    }

    /// For how many age ticks ([`Control::tick`](cordon_verdict::abi::Control::tick)) it has been idle at `now`.
    pub fn idle(&self, now: u16) -> u16 {
        now.wrapping_sub(self.flow.seen)
    }

    /// Whether it is a TCP connection that was closed or reset.
    pub fn closed(&self) -> bool {
        let both = Flow::FIN | Flow::FIN << 1;
        self.flow.state & Flow::RST != 0 || self.flow.state & both == both
    }

    /// Whether it is a TCP connection of which exactly one end has sent FIN.
    pub fn half_closed(&self) -> bool {
        let both = Flow::FIN | Flow::FIN << 1;
        !self.closed() && self.flow.state & both != 0
    }

    /// The port that it was opened to.
    pub fn server_port(&self) -> u16 {
        // The first end sends in direction 0.
        self.port[usize::from(self.flow.initiator & 1 ^ 1)]
    }

    /// The epoch that it was judged under; 0 if its next packet has to be judged.
    pub fn epoch(&self) -> u32 {
        (self.flow.judged >> 32) as u32
    }

    /// Bytes seen in direction 0 or 1, rounded up for each frame. The counter wraps at 64 GiB.
    pub fn bytes(&self, direction: usize) -> u64 {
        let volume = self.flow.volume.get(direction).copied().unwrap_or(0);
        u64::from(volume) * Flow::VOLUME as u64
    }

    /// An entry of an IPv4 table.
    pub(crate) fn v4(key: &FlowKey4, flow: Flow, half_open: bool) -> FlowEntry {
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

    /// An entry of an IPv6 table.
    pub(crate) fn v6(key: &FlowKey6, flow: Flow, half_open: bool) -> FlowEntry {
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
}
