//! Authorise: posture, then policy by (class, class, service).

use crate::abi::{CLASS_UNCLASSIFIED, PolicyKey, PolicyRow, Ruling, SERVICE_OTHER, service_index};
use crate::admit::Ingress;
use crate::flow::ConnState;
use crate::packet::{Kind, Packet};
use crate::reason::Reason;
use crate::tables::Tables;

/// Why a frame is dropped, and the rule that decided (0 for none).
#[derive(Clone, Copy)]
pub struct Denied {
    /// The drop reason.
    pub reason: Reason,
    /// The rule that decided, or that would allow the frame at posture normal; 0 for none.
    pub rule: u32,
}

impl From<Reason> for Denied {
    #[inline(always)]
    fn from(reason: Reason) -> Denied {
        Denied { reason, rule: 0 }
    }
}

/// The classes of a packet's two ends.
#[derive(Clone, Copy)]
pub struct Classes {
    pub source: u16,
    pub destination: u16,
}

impl Classes {
    pub const UNCLASSIFIED: Classes = Classes {
        source: CLASS_UNCLASSIFIED,
        destination: CLASS_UNCLASSIFIED,
    };
}

/// A ruling, and whether the sender of the packet is the initiator; else the receiver is.
pub struct Authorised {
    pub ruling: Ruling,
    pub by_sender: bool,
}

/// Judges a packet that did not pass by its flow: in its own right (from sender to receiver), or as an answer (from
/// receiver to sender).
///
/// It may pass as an answer if the other end opened the flow, or if it is TCP or SCTP in mid-stream: then the tables do
/// not say which end opened it, and either ruling is enough. A packet that opens a connection is never an answer, and
/// neither is one to a group (`has_flow` is false).
#[inline(always)]
pub fn authorise<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    packet: &Packet,
    classes: Classes,
    conn: ConnState,
    has_flow: bool,
) -> Result<Authorised, Denied> {
    let answers = matches!(
        conn,
        ConnState::Tracked { by_receiver: true } | ConnState::HalfOpen { by_receiver: true }
    );
    if packet.kind == Kind::EchoReply {
        if !answers {
            return Err(Reason::Unsolicited.into());
        }
        return as_answer(tables, ingress, packet, classes);
    }
    let denied = match in_its_own_right(tables, ingress, packet, classes) {
        Ok(ruling) => {
            return Ok(Authorised {
                ruling,
                by_sender: true,
            });
        }
        Err(denied) => denied,
    };
    let mid_stream = has_flow && matches!(packet.kind, Kind::Tcp | Kind::Sctp);
    if packet.opens() || !(answers || mid_stream) {
        return Err(denied);
    }
    match as_answer(tables, ingress, packet, classes) {
        // Of two refusals, that of the flow's own direction says more.
        Err(_) if !answers => Err(denied),
        other => other,
    }
}

#[inline(always)]
fn in_its_own_right<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    packet: &Packet,
    classes: Classes,
) -> Result<Ruling, Denied> {
    let service = service_index(packet.protocol, packet.destination_port);
    policy(
        tables,
        ingress,
        classes.source,
        classes.destination,
        service,
    )
}

#[inline(always)]
fn as_answer<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    packet: &Packet,
    classes: Classes,
) -> Result<Authorised, Denied> {
    let service = service_index(packet.protocol, packet.source_port);
    let ruling = policy(
        tables,
        ingress,
        classes.destination,
        classes.source,
        service,
    )?;
    Ok(Authorised {
        ruling,
        by_sender: false,
    })
}

/// The policy's ruling at the posture in force: four look-ups at most, whatever the size of the policy.
#[inline(always)]
fn policy<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    from: u16,
    to: u16,
    service: u32,
) -> Result<Ruling, Denied> {
    let slot = ingress.control.slot;
    let Some(set) = tables.set(slot, from, to) else {
        return Err(Reason::NoRule.into());
    };
    let service = tables.service(slot, service);
    let row = match tables.policy(slot, &PolicyKey::new(set, service)) {
        None if service != SERVICE_OTHER => {
            tables.policy(slot, &PolicyKey::new(set, SERVICE_OTHER))
        }
        row => row,
    };
    match row {
        Some(row) => at_posture(&row, ingress.control.posture),
        None => Err(Reason::NoRule.into()),
    }
}

#[inline(always)]
fn at_posture(row: &PolicyRow, posture: u8) -> Result<Ruling, Denied> {
    let ruling = row
        .rulings
        .get(posture as usize)
        .copied()
        .unwrap_or(Ruling::NONE);
    let [normal, ..] = row.rulings;
    if ruling.allows() {
        Ok(ruling)
    } else if normal.allows() {
        Err(Denied {
            reason: Reason::Posture,
            rule: normal.rule(),
        })
    } else if ruling.rule() != 0 {
        Err(Denied {
            reason: Reason::Rule,
            rule: ruling.rule(),
        })
    } else {
        Err(Reason::NoRule.into())
    }
}
