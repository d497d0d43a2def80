//! The stages of a packet that no established flow decides: identify, authorise or neighbour, forward.

use super::{deliver, storm};
use crate::abi::{CONTAIN, Ruling};
use crate::authorise::{self as policy, Classes, Denied};
use crate::flow::{ConnState, FlowId};
use crate::frame::Frame;
use crate::group;
use crate::half_open;
use crate::identify as identity;
use crate::neighbour as resolution;
use crate::packet::{Kind, TCP_RST};
use crate::path::Next;
use crate::proxy;
use crate::reason::Reason;
use crate::step::{Egress, Pending};
use crate::tables::Tables;
use crate::track;

/// Identifies the source and the destination. Returns what comes next: [`Next::NEIGHBOUR`] or [`Next::CONTINUE`].
///
/// # Errors
/// As [`super::begin`].
#[inline(always)]
pub fn identify<T: Tables>(tables: &mut T, pending: &mut Pending) -> Result<Next, Denied> {
    let Pending { ingress, link, .. } = &*pending;
    let Some(packet) = &pending.packet else {
        return Ok(Next::NEIGHBOUR);
    };
    let source = identity::source(tables, ingress, link, packet)?;
    if packet.kind == Kind::Discovery {
        return Ok(Next::NEIGHBOUR);
    }
    let destination = identity::destination(tables, ingress, link, packet)?;
    pending.classes = Classes {
        source,
        destination: destination.class,
    };
    pending.may_cross = !destination.member;
    Ok(Next::CONTINUE)
}

/// Judges ARP and neighbour discovery, which do not depend on the policy. The source of discovery was identified already.
///
/// # Errors
/// As [`super::begin`].
#[inline(always)]
pub fn neighbour<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    pending: &mut Pending,
) -> Result<(), Denied> {
    let Pending { ingress, link, .. } = &*pending;
    (pending.ruling, pending.answered) = match &pending.packet {
        None => {
            let claim = resolution::arp_claim(frame, link)?;
            let ruling = resolution::arp(tables, ingress, link, &claim)?;
            let answered = proxy::answers_arp(frame, tables, ingress, link, claim.sender)?;
            (ruling, answered)
        }
        Some(packet) => {
            let ruling = resolution::discovery(frame, tables, ingress, link, packet)?;
            let answered = proxy::answers_discovery(frame, tables, ingress, link, packet)?;
            (ruling, answered)
        }
    };
    Ok(())
}

/// Judges the packet by posture and policy, in its own right or as an answer.
///
/// # Errors
/// As [`super::begin`].
#[inline(always)]
pub fn authorise<T: Tables>(tables: &mut T, pending: &mut Pending) -> Result<(), Denied> {
    let Pending { ingress, link, .. } = &*pending;
    // `identify` continues here with packets alone.
    let Some(packet) = &pending.packet else {
        return Ok(());
    };
    let flow = FlowId::of(ingress, link, packet);
    let conn = match (pending.conn, &flow) {
        (ConnState::Miss, Some(flow)) => half_open::conn_state(tables, flow),
        (ConnState::NotLookedUp, Some(flow)) => track::conn_state(tables, ingress, packet, flow),
        (conn, _) => conn,
    };
    // A reset of a flow without an entry: its ends can end the flow without it, so dropping it costs nothing.
    let stray_reset =
        matches!(conn, ConnState::Miss | ConnState::NotLookedUp) && packet.flags & TCP_RST != 0;
    if stray_reset {
        return Err(Reason::TcpSequence.into());
    }
    if let ConnState::OutOfWindow { ruling } = conn {
        return Err(Denied {
            reason: Reason::TcpSequence,
            rule: ruling.rule(),
        });
    }
    let classes = pending.classes;
    let authorised = match policy::authorise(tables, ingress, packet, classes, conn, flow.is_some())
    {
        // A written deny rule also denies answers.
        Err(denied) if denied.reason == Reason::Rule => return Err(denied),
        Err(denied) => group::answers(tables, ingress, link, packet).ok_or(denied)?,
        Ok(authorised) => authorised,
    };
    // An unlisted host that is judged as a member of the segment must not be reached across its boundary.
    let stays = !pending.may_cross && ingress.control.posture >= CONTAIN;
    pending.conn = conn;
    pending.ruling = match stays {
        true => Ruling::allow_inside(authorised.ruling.rule()),
        false => authorised.ruling,
    };
    pending.by_sender = authorised.by_sender;
    Ok(())
}

/// Learns where the source is, and finds where the destination is.
///
/// # Errors
/// As [`super::begin`].
#[inline(always)]
pub fn forward<T: Tables>(tables: &mut T, pending: &mut Pending) -> Result<(), Denied> {
    let Pending {
        ingress,
        link,
        ruling,
        ..
    } = &*pending;
    if pending.answered {
        identity::learn(tables, ingress, link)?;
        storm(tables, ingress, link)?;
        pending.egress = Egress::Attachment(ingress.attachment);
        return Ok(());
    }
    let (egress, _) = deliver(tables, ingress, link, *ruling)?;
    pending.egress = egress;
    Ok(())
}
