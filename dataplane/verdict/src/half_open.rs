//! Half-open flows: one end has sent. They are in tables of their own, which evict the oldest entry, so that a host
//! that opens many flows evicts no established one.
//!
//! An entry says which end has opened the flow, and lets no packet pass by itself: the table may give the entry to
//! another flow at any time. ICMP errors do pass by it: if the entry was given away meanwhile, the error follows
//! another flow in force between the same two stations.

use crate::abi::{Admission, Flow, Limit, fdb_key};
use crate::admit::Ingress;
use crate::flow::{ConnState, Decided, FlowId, FlowKey, KEPT, receiver_opened, update};
use crate::packet::{Kind, Link, Packet, TCP_RST, TCP_SYN};
use crate::reason::Reason;
use crate::tables::{Full, Tables};

#[inline(always)]
pub fn lookup<'a, T: Tables>(tables: &'a mut T, key: &FlowKey) -> Option<&'a mut Flow> {
    match key {
        FlowKey::V4(key) => tables.half4(key),
        FlowKey::V6(key) => tables.half6(key),
    }
}

#[inline(always)]
pub fn add<'a, T: Tables>(
    tables: &'a mut T,
    key: &FlowKey,
    seen: u16,
) -> Result<&'a mut Flow, Full> {
    match key {
        FlowKey::V4(key) => tables.add_half4(key, seen),
        FlowKey::V6(key) => tables.add_half6(key, seen),
    }
}

/// The state of a connection that is not established.
#[inline(always)]
pub fn conn_state<T: Tables>(tables: &mut T, flow_id: &FlowId) -> ConnState {
    match lookup(tables, &flow_id.key) {
        Some(flow) => ConnState::HalfOpen {
            by_receiver: receiver_opened(flow, flow_id.direction),
        },
        None => ConnState::Miss,
    }
}

/// Records a packet that was judged and allowed, in a flow that is not established. Returns whether the packet
/// establishes it.
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
    let flow = match conn {
        ConnState::Miss => None,
        _ => lookup(tables, &flow_id.key),
    };
    let flow = match flow {
        Some(flow) => flow,
        None => {
            limit(tables, ingress, link)?;
            add(tables, &flow_id.key, ingress.control.tick).map_err(|_| Reason::FlowTableFull)?
        }
    };
    Ok(advance(flow, ingress, link, packet, flow_id, decided))
}

/// Moves a flow to the established ones. If that table is full the flow stays half-open: its packets are slower, and it
/// may be evicted.
#[inline(always)]
pub fn establish<T: Tables>(tables: &mut T, key: &FlowKey) {
    let _ = match key {
        FlowKey::V4(key) => tables.establish4(key),
        FlowKey::V6(key) => tables.establish6(key),
    };
}

/// Updates an entry; returns whether this packet establishes the flow. The first packet of the other end does; for TCP
/// the first after the handshake, because an answer to a forged SYN does not show that the initiator exists. A reset
/// never establishes a flow.
#[inline(always)]
fn advance(
    flow: &mut Flow,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    flow_id: &FlowId,
    decided: Decided,
) -> bool {
    update(flow, ingress, link, packet, flow_id, decided);
    let other = flow.volume.get(flow_id.direction ^ 1).copied();
    let answers = other.unwrap_or(0) != 0;
    if packet.kind != Kind::Tcp {
        return answers;
    }
    if packet.opens() {
        // A new connection: what was sent before answers nothing any more.
        flow.state &= KEPT;
        return false;
    }
    let answered = flow.state & Flow::ANSWERED != 0;
    if answers && packet.flags & TCP_RST == 0 {
        flow.state |= Flow::ANSWERED;
    }
    answered && packet.flags & (TCP_SYN | TCP_RST) == 0
}

/// Limits the flows that a host opens: per tick, and in all.
#[inline(always)]
fn limit<T: Tables>(tables: &mut T, ingress: &Ingress, link: &Link) -> Result<(), Reason> {
    let now = tables.now();
    let most = if ingress.admission.is(Admission::UPLINK) {
        Limit::UPLINK
    } else {
        Limit::DEVICE
    };
    let host = fdb_key(ingress.admission.segment, link.source);
    // The host was learned a moment ago: its entry is gone only if seven others were added to its bucket since.
    let Some(limit) = tables.limit(host) else {
        return Ok(());
    };
    limit.start(now);
    if limit.opened >= most || limit.over != 0 {
        return Err(Reason::FlowLimit);
    }
    limit.opened += 1;
    Ok(())
}
