//! The last stages: account, establish.

use super::pass;
use crate::account::report_flow;
use crate::address::MAC_GROUP;
use crate::authorise::Denied;
use crate::canonical;
use crate::flow::{ConnState, Decided, FlowId};
use crate::forward;
use crate::fragment;
use crate::frame::Frame;
use crate::group;
use crate::half_open;
use crate::packet::{Kind, Packet};
use crate::proxy;
use crate::reason::Reason;
use crate::step::{Egress, Pending, Rewriting, Step};
use crate::tables::Tables;
use crate::track;

/// Counts a packet that passes, and remembers its flow and fragments for the packets to come.
///
/// # Errors
/// As [`super::begin`].
#[inline(always)]
pub fn account<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    pending: &mut Pending,
) -> Result<Step, Denied> {
    if pending.answered {
        proxy::answer(frame, &pending.link, pending.packet.as_ref()).ok_or(Reason::Retag)?;
        return Ok(settled(frame, tables, pending, pending.ingress.port()));
    }
    match &pending.packet {
        None => canonical::arp(frame, &pending.link).ok_or(Reason::Arp)?,
        Some(packet) if packet.kind == Kind::Discovery => {
            canonical::discovery(frame, &pending.link, packet).ok_or(Reason::NeighbourDiscovery)?;
        }
        Some(packet) => {
            pending.establishes = remember(tables, pending, packet, frame.len())?;
        }
    }
    let Pending {
        ingress,
        link,
        ruling,
        egress,
        ..
    } = &*pending;
    if let Egress::Attachment(attachment) = *egress
        && let Some(port) = forward::retag_in_place(frame, link, attachment)
    {
        return Ok(settled(frame, tables, pending, port));
    }
    Ok(Rewriting::step(ingress, link, *egress, *ruling))
}

/// The frame leaves without being rewritten.
#[inline(always)]
fn settled<F: Frame, T: Tables>(frame: &F, tables: &mut T, pending: &Pending, port: u16) -> Step {
    let control = pending.ingress.control;
    Step::Forwarded(pass(
        frame,
        tables,
        control,
        pending.egress,
        port,
        pending.ruling,
    ))
}

/// Moves the flow that the packet establishes from the half-open ones to the established ones.
#[inline(always)]
pub fn establish<T: Tables>(tables: &mut T, pending: &Pending) {
    let Some(packet) = &pending.packet else {
        return;
    };
    if !pending.establishes {
        return;
    }
    if let Some(flow) = FlowId::of(&pending.ingress, &pending.link, packet) {
        half_open::establish(tables, &flow.key);
    }
}

#[inline(always)]
fn remember<T: Tables>(
    tables: &mut T,
    pending: &Pending,
    packet: &Packet,
    length: usize,
) -> Result<bool, Denied> {
    let Pending {
        ingress,
        link,
        ruling,
        egress,
        ..
    } = pending;
    let (establishes, is_new) = match FlowId::of(ingress, link, packet) {
        Some(flow) => {
            let establishes = keep(tables, pending, packet, &flow, length)?;
            (establishes, matches!(pending.conn, ConnState::Miss))
        }
        None => {
            let is_new = group::record(tables, ingress, link, packet, *ruling, length);
            (false, is_new)
        }
    };
    if is_new
        && report_flow(tables, ingress, link, packet, *ruling, length)
        && link.destination & MAC_GROUP != 0
    {
        group::mark_reported(tables, ingress, packet);
    }
    // Only now: later fragments may follow only a first fragment that passed.
    fragment::remember(tables, ingress, link, packet, (*egress, *ruling));
    Ok(establishes)
}

/// Updates the flow's entry. Answers whether the packet establishes the flow.
#[inline(always)]
fn keep<T: Tables>(
    tables: &mut T,
    pending: &Pending,
    packet: &Packet,
    flow: &FlowId,
    length: usize,
) -> Result<bool, Denied> {
    let Pending {
        ingress,
        link,
        ruling,
        conn,
        ..
    } = pending;
    let decided = Decided {
        ruling: *ruling,
        by_sender: pending.by_sender,
        egress: match pending.egress {
            Egress::Attachment(attachment) => Some(attachment),
            Egress::Flood { .. } => None,
        },
        length,
    };
    track::remember(tables, *conn, ingress, link, packet, flow, decided).map_err(|reason| Denied {
        reason,
        rule: ruling.rule(),
    })
}
