//! Track: an established packet costs one look-up.
//!
//! A flow becomes established once both its ends have sent; its entry has the epoch under which it was judged. A packet
//! under another epoch, or with another MAC address or attachment, is judged again; none is dropped for that. Until
//! then the flow is half-open, in another table (see `half_open`), and every packet of it is judged.

use crate::abi::{Flow, FlowPath, Ruling, path_attachment, path_mac, path_word};
use crate::admit::Ingress;
use crate::flow::{ConnState, Decided, FlowId, FlowKey, KEPT, note, receiver_opened, update};
use crate::half_open;
use crate::packet::{Link, Packet, TCP_RST};
use crate::reason::Reason;
use crate::tables::Tables;

/// What a flow's entry says of one direction.
#[derive(Clone, Copy)]
pub struct DirectionState {
    /// [`Flow::judged`].
    pub judged: u64,
    /// How packets of this direction cross the gateway.
    pub path: FlowPath,
    /// The last acknowledgement number of the other end; 0 if there is none.
    pub acknowledged: u32,
}

/// The state of a packet's direction in its flow, established or half-open.
#[inline(always)]
pub fn direction_state<T: Tables>(tables: &mut T, flow_id: &FlowId) -> Option<DirectionState> {
    let flow = match lookup(tables, &flow_id.key) {
        Some(flow) => flow,
        None => half_open::lookup(tables, &flow_id.key)?,
    };
    Some(DirectionState {
        judged: flow.judged,
        path: flow.path.get(flow_id.direction).copied()?,
        acknowledged: flow.acknowledged.get(flow_id.direction ^ 1).copied()?,
    })
}

/// Whether the sequence number in an ICMP error is within [`WINDOW`] of the last acknowledgement, on either side: the
/// quoted packet may be a retransmission.
#[inline(always)]
pub fn is_near(sequence: u32, acknowledged: u32) -> bool {
    acknowledged == 0 || sequence.wrapping_sub(acknowledged).wrapping_add(WINDOW) < 2 * WINDOW
}

#[inline(always)]
fn lookup<'a, T: Tables>(tables: &'a mut T, key: &FlowKey) -> Option<&'a mut Flow> {
    match key {
        FlowKey::V4(key) => tables.flow4(key),
        FlowKey::V6(key) => tables.flow6(key),
    }
}

/// The one look-up of an established packet. Updates the flow if the packet passes.
#[inline(always)]
pub fn find<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    flow_id: &FlowId,
    length: usize,
) -> ConnState {
    let now = ingress.control.tick;
    let Some(flow) = lookup(tables, &flow_id.key) else {
        return ConnState::Miss;
    };
    let FlowId { direction, .. } = *flow_id;
    let judged = flow.judged;
    let Some(path) = flow.path.get(direction).copied() else {
        return ConnState::Miss;
    };
    let current = (judged >> 32) as u32 == ingress.control.epoch;
    if packet.flags & TCP_RST != 0 && !may_reset(flow, packet, direction) {
        return out_of_window(flow, current);
    }
    let established = current
        && path.from == path_word(link.source, ingress.attachment)
        && path_mac(path.to) == link.destination
        && !packet.opens();
    if !established {
        return ConnState::Tracked {
            by_receiver: receiver_opened(flow, direction),
        };
    }
    let ruling = Ruling(judged as u32);
    note(flow, packet, direction, length, now);
    ConnState::Established {
        ruling,
        egress: path_attachment(path.to),
    }
}

/// The state of a packet's connection, for a packet that is judged in any case.
#[inline(always)]
pub fn conn_state<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    packet: &Packet,
    flow_id: &FlowId,
) -> ConnState {
    let Some(flow) = lookup(tables, &flow_id.key) else {
        return half_open::conn_state(tables, flow_id);
    };
    let current = (flow.judged >> 32) as u32 == ingress.control.epoch;
    if packet.flags & TCP_RST != 0 && !may_reset(flow, packet, flow_id.direction) {
        return out_of_window(flow, current);
    }
    ConnState::Tracked {
        by_receiver: receiver_opened(flow, flow_id.direction),
    }
}

/// Sequence numbers stay valid when the policy changes; the number of the flow's rule does not.
#[inline(always)]
fn out_of_window(flow: &Flow, current: bool) -> ConnState {
    let rule = if current { flow.judged as u32 } else { 0 };
    ConnState::OutOfWindow {
        ruling: Ruling(rule),
    }
}

/// How far ahead of the last acknowledgement a reset may be: the data that can be in flight (RFC 9293 §3.5.3 allows the
/// window only, which a gateway would have to track).
const WINDOW: u32 = 1 << 22;

/// Whether the sequence number of a reset is plausible. Others are dropped: many devices accept any reset.
#[inline(always)]
fn may_reset(flow: &Flow, packet: &Packet, direction: usize) -> bool {
    let Some(acknowledged) = flow.acknowledged.get(direction ^ 1).copied() else {
        return false;
    };
    // The reset that refuses a new connection comes from the other end, and its sequence number is 0.
    let asked = flow.state & Flow::REOPENED != 0 && direction != flow.initiator as usize & 1;
    let refuses = packet.sequence == 0 && asked;
    acknowledged == 0 || refuses || packet.sequence.wrapping_sub(acknowledged) < WINDOW
}

/// Records a packet that was judged and allowed, in the flow that `conn` says. Returns whether the packet establishes
/// it: see [`half_open::establish`].
#[inline(always)]
pub fn remember<T: Tables>(
    tables: &mut T,
    conn: ConnState,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    flow_id: &FlowId,
    decided: Decided,
) -> Result<bool, Reason> {
    // If another processor has established the flow meanwhile, the next packet finds that.
    let may_be_established = !matches!(conn, ConnState::Miss | ConnState::HalfOpen { .. });
    if may_be_established && let Some(flow) = lookup(tables, &flow_id.key) {
        if packet.opens() {
            flow.state &= KEPT;
        }
        update(flow, ingress, link, packet, flow_id, decided);
        return Ok(false);
    }
    half_open::remember(tables, conn, ingress, link, packet, flow_id, decided)
}
