//! Half-open flows: one end was heard. They are kept apart from established ones, in tables that forget the oldest,
//! so that whoever opens many pushes out no flow that both ends keep up.
//!
//! An entry here says who opened, and settles no packet: the table may give it to another flow at any time. ICMP errors
//! go by it, which then go by a flow in force between the same two stations.

use crate::abi::{Admission, Flow, Limit, member};
use crate::admit::Ingress;
use crate::parse::{Kind, Link, Packet, TCP_RST, TCP_SYN};
use crate::reason::Reason;
use crate::tables::{Full, Tables};
use crate::track::{self, Decided, Key, Known, Track};

#[inline(always)]
pub fn lookup<'a, T: Tables>(tables: &'a mut T, key: &Key) -> Option<&'a mut Flow> {
    match key {
        Key::V4(key) => tables.half4(key),
        Key::V6(key) => tables.half6(key),
    }
}

#[inline(always)]
pub fn add<'a, T: Tables>(tables: &'a mut T, key: &Key, seen: u16) -> Result<&'a mut Flow, Full> {
    match key {
        Key::V4(key) => tables.add_half4(key, seen),
        Key::V6(key) => tables.add_half6(key, seen),
    }
}

/// Who has opened a flow that is not established.
#[inline(always)]
pub fn known<T: Tables>(tables: &mut T, track: &Track) -> Known {
    match lookup(tables, &track.key) {
        Some(flow) => Known::Half {
            by_receiver: track::receiver_opened(flow, track.direction),
        },
        None => Known::Nothing,
    }
}

/// Remembers a packet that was judged and allowed, of a flow that is not established and of which so much was `known`.
/// Says whether this establishes it.
#[inline(always)]
pub fn remember<T: Tables>(
    tables: &mut T,
    known: Known,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    track: &Track,
    decided: Decided,
) -> Result<bool, Reason> {
    let flow = match known {
        Known::Nothing => None,
        _ => lookup(tables, &track.key),
    };
    let flow = match flow {
        Some(flow) => flow,
        None => {
            limit(tables, ingress, link)?;
            add(tables, &track.key, ingress.control.tick).map_err(|_| Reason::FlowTableFull)?
        }
    };
    Ok(advance(flow, ingress, link, packet, track, decided))
}

/// Moves a flow to the established ones. Without room it goes on half-open: it is slower, and may be asked to prove itself
/// again.
#[inline(always)]
pub fn establish<T: Tables>(tables: &mut T, key: &Key) {
    let _ = match key {
        Key::V4(key) => tables.establish4(key),
        Key::V6(key) => tables.establish6(key),
    };
}

/// Brings an entry up to date; says whether the flow is established by this packet: by the other end's first, or, for
/// TCP, by what is said after the handshake, since an answer to a forged opening is no sign of life. A reset
/// establishes nothing.
#[inline(always)]
fn advance(
    flow: &mut Flow,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    track: &Track,
    decided: Decided,
) -> bool {
    track::update(flow, ingress, link, packet, track, decided);
    let other = flow.volume.get(track.direction ^ 1).copied();
    let answers = other.unwrap_or(0) != 0;
    if packet.kind != Kind::Tcp {
        return answers;
    }
    if packet.opens() {
        // It asks, whoever was heard before: it answers nothing.
        flow.state &= track::KEPT;
        return false;
    }
    let answered = flow.state & Flow::ANSWERED != 0;
    if answers && packet.flags & TCP_RST == 0 {
        flow.state |= Flow::ANSWERED;
    }
    answered && packet.flags & (TCP_SYN | TCP_RST) == 0
}

/// Nobody opens flows without end: so many in a tick, and so many in all.
#[inline(always)]
fn limit<T: Tables>(tables: &mut T, ingress: &Ingress, link: &Link) -> Result<(), Reason> {
    let now = tables.now();
    let most = if ingress.admission.is(Admission::UPLINK) {
        Limit::UPLINK
    } else {
        Limit::DEVICE
    };
    let who = member(ingress.admission.segment, link.source);
    // It was learned a moment ago: to forget it takes seven others of its row since.
    let Some(limit) = tables.limit(who) else {
        return Ok(());
    };
    limit.start(now);
    if limit.opened >= most || limit.over != 0 {
        return Err(Reason::FlowLimit);
    }
    limit.opened += 1;
    Ok(())
}
