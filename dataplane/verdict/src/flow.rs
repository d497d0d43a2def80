//! A flow's identity and its entry, established or half-open: the types, and how an entry is updated. `track` looks up
//! established flows, `half_open` those of which one end has sent.

use core::sync::atomic::{Ordering, compiler_fence};

use crate::abi::{Flow, FlowKey4, FlowKey6, FlowPath, Ruling, path_attachment, path_word};
use crate::address::MAC_GROUP;
use crate::admit::Ingress;
use crate::packet::{Kind, Link, Packet, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN};

/// What the flow tables say of a packet.
#[derive(Clone, Copy)]
pub enum ConnState {
    /// An established flow, allowed under the present epoch, and the packet matches its path: it passes.
    Established { ruling: Ruling, egress: u16 },
    /// An established flow, but the packet must be judged. `by_receiver`: the receiver of this packet has opened the
    /// flow, so the packet may pass as an answer.
    Tracked { by_receiver: bool },
    /// A half-open flow; `by_receiver` as above.
    HalfOpen { by_receiver: bool },
    /// A TCP reset of an established flow with a sequence number outside the window.
    OutOfWindow { ruling: Ruling },
    /// No entry, or a packet that belongs to no flow: to a group address.
    Miss,
    /// The tables were not looked up yet.
    NotLookedUp,
}

/// A flow's key, and the direction of a packet in the flow: 0 from the first end of the key to the second, or 1.
#[derive(Clone, Copy)]
pub struct FlowId {
    pub key: FlowKey,
    pub direction: usize,
}

#[derive(Clone, Copy)]
pub enum FlowKey {
    V4(FlowKey4),
    V6(FlowKey6),
}

impl FlowId {
    /// The flow of a packet; `None` if the packet belongs to no flow: to a group address, or of neighbour discovery.
    #[inline(always)]
    pub fn of(ingress: &Ingress, link: &Link, packet: &Packet) -> Option<FlowId> {
        if link.destination & MAC_GROUP != 0 || packet.kind == Kind::Discovery {
            return None;
        }
        Some(FlowId::in_segment(ingress.admission.segment, packet))
    }

    /// The flow of a unicast packet in a segment.
    #[inline(always)]
    pub fn in_segment(segment: u16, packet: &Packet) -> FlowId {
        let protocol = packet.protocol;
        let (sport, dport) = (packet.source_port, packet.destination_port);
        let swap = if packet.source.is_v4() {
            let source = (packet.source.low32() as u64) << 16 | sport as u64;
            let destination = (packet.destination.low32() as u64) << 16 | dport as u64;
            source > destination
        } else {
            (packet.source, sport) > (packet.destination, dport)
        };
        let port = if swap { [dport, sport] } else { [sport, dport] };
        let requester = match packet.kind {
            Kind::EchoRequest => swap as u8,
            Kind::EchoReply => !swap as u8,
            _ => 0,
        };
        let key = if packet.source.is_v4() {
            let (source, destination) = (packet.source.low32(), packet.destination.low32());
            let address = if swap {
                [destination, source]
            } else {
                [source, destination]
            };
            FlowKey::V4(FlowKey4::new(address, port, segment, protocol, requester))
        } else {
            let (source, destination) = (packet.source, packet.destination);
            let address = if swap {
                [destination, source]
            } else {
                [source, destination]
            };
            FlowKey::V6(FlowKey6 {
                address,
                port,
                segment,
                protocol,
                requester,
            })
        };
        FlowId {
            key,
            direction: swap as usize,
        }
    }
}

/// Whether the receiver of a packet in this direction has opened the flow.
#[inline(always)]
pub fn receiver_opened(flow: &Flow, direction: usize) -> bool {
    flow.state & (Flow::OPENED << ((direction ^ 1) & 1)) != 0
}

/// The state bits that an opening SYN keeps.
pub const KEPT: u8 = Flow::OPENED | Flow::OPENED << 1;

/// Counts a packet's bytes in its direction.
#[inline(always)]
pub fn add_volume(flow: &mut Flow, direction: usize, length: usize) {
    if let Some(volume) = flow.volume.get_mut(direction) {
        *volume = volume.wrapping_add(length.div_ceil(Flow::VOLUME) as u32);
    }
}

/// Updates what every packet of a flow changes: volume, time, acknowledgement number, TCP state.
#[inline(always)]
pub fn note(flow: &mut Flow, packet: &Packet, direction: usize, length: usize, now: u16) {
    add_volume(flow, direction, length);
    // Written only when it changes: processors that handle the two directions share the cache line.
    if flow.seen != now {
        flow.seen = now;
    }
    if packet.kind != Kind::Tcp {
        return;
    }
    if packet.flags & TCP_ACK != 0
        && let Some(acknowledged) = flow.acknowledged.get_mut(direction)
    {
        *acknowledged = packet.acknowledgement;
    }
    if flow.state & Flow::REOPENED != 0 && packet.flags & (TCP_SYN | TCP_RST) == 0 {
        flow.state &= !Flow::REOPENED;
    }
    if packet.flags & (TCP_FIN | TCP_SYN | TCP_RST) != 0 {
        let rst = if packet.flags & TCP_RST != 0 {
            Flow::RST
        } else {
            0
        };
        let fin = if packet.flags & TCP_FIN != 0 {
            Flow::FIN << direction
        } else {
            0
        };
        let again = if packet.opens() { Flow::REOPENED } else { 0 };
        flow.state |= rst | fin | again;
    }
}

/// The decision on a packet that was judged and allowed.
#[derive(Clone, Copy)]
pub struct Decided {
    pub ruling: Ruling,
    /// Whether the sender of this packet is the flow's initiator; else its receiver is.
    pub by_sender: bool,
    /// The egress attachment; `None` if the destination's attachment is not known, and the packet is flooded.
    pub egress: Option<u16>,
    /// Length of the frame in bytes.
    pub length: usize,
}

/// Updates an entry in place with a packet that was judged and allowed. The ruling is written last: another processor
/// may be reading the entry.
#[inline(always)]
pub fn update(
    flow: &mut Flow,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    flow_id: &FlowId,
    decided: Decided,
) {
    let epoch = ingress.control.epoch;
    let direction = flow_id.direction;
    let fresh = (flow.judged >> 32) as u32 == epoch;
    if let Some(other) = flow.path.get_mut(direction ^ 1)
        && (!fresh
            || (other.to != FlowPath::UNKNOWN && path_attachment(other.to) != ingress.attachment))
    {
        // Its attachments may be those of another policy, or the station that it leads to has moved.
        *other = FlowPath { from: 0, to: 0 };
    }
    if let Some(this) = flow.path.get_mut(direction) {
        *this = FlowPath {
            from: path_word(link.source, ingress.attachment),
            to: match decided.egress {
                Some(egress) => path_word(link.destination, egress),
                None => FlowPath::UNKNOWN,
            },
        };
    }
    let opener = initiator(flow_id, &decided);
    // An answer does not make its sender the initiator, even if the sender may open such a flow too: an outside host
    // could otherwise fill the sender's quota of flows.
    if flow.state & KEPT == 0 || packet.opens() {
        flow.initiator = opener;
    }
    flow.state |= Flow::OPENED << opener;
    note(
        flow,
        packet,
        direction,
        decided.length,
        ingress.control.tick,
    );
    compiler_fence(Ordering::SeqCst);
    flow.judged = Flow::judged(epoch, decided.ruling);
}

/// The direction in which the initiator sends.
#[inline(always)]
pub fn initiator(flow_id: &FlowId, decided: &Decided) -> u8 {
    if decided.by_sender {
        flow_id.direction as u8
    } else {
        flow_id.direction as u8 ^ 1
    }
}
