//! Fragments: the first decides, the rest follow it; what overlaps, comes without a first or comes late is dropped.
//!
//! A later fragment has no ports to judge it by, so it is held to its first: same packet, same sender, same way, and
//! the same epoch. In order: what fills a gap behind another could as well overwrite what was judged (RFC 5722,
//! RFC 1858).

use crate::abi::{Flow, Fragments, FragmentsKey, Ruling, way_attachment, way_mac, way_word};
use crate::admit::{self, Ingress};
use crate::forward;
use crate::parse::{Link, Packet};
use crate::reason::Reason;
use crate::step::Egress;
use crate::tables::Tables;
use crate::walk::Walked;

/// For how long the rest is waited for, in ticks; hosts wait for 15 to 60 seconds (RFC 791, RFC 8200 §4.5).
const PATIENCE: u32 = 30;

/// Remembers what was decided of a packet, if more fragments of it follow.
#[inline(always)]
pub fn remember<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    (egress, ruling): (Egress, Ruling),
) {
    if packet.fragment == 0 {
        return;
    }
    let (egress, spread) = match egress {
        Egress::Attachment(attachment) => (attachment, Fragments::ONE),
        Egress::Flood { inside: false, .. } => (0, Fragments::FLOOD),
        Egress::Flood { inside: true, .. } => (0, Fragments::INSIDE),
    };
    let key = FragmentsKey {
        source: packet.source,
        destination: packet.destination,
        id: packet.fragment as u32,
        segment: ingress.admission.segment,
        protocol: packet.protocol,
        pad: 0,
    };
    let fragments = Fragments {
        judged: Flow::judged(ingress.control.epoch, Ruling::allow(ruling.rule())),
        from: way_word(link.source, ingress.attachment),
        to: way_word(link.destination, egress),
        next: packet.message.length,
        spread,
        seen: tables.now(),
    };
    // Without room the rest is dropped: fail closed.
    tables.set_fragments(&key, &fragments);
}

/// A later fragment follows its first.
#[inline(always)]
pub fn follow<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    walked: &Walked,
) -> Result<(Egress, Ruling), Reason> {
    let segment = ingress.admission.segment;
    let now = tables.now();
    let key = FragmentsKey {
        source: walked.source,
        destination: walked.destination,
        id: walked.piece.id,
        segment,
        protocol: walked.protocol,
        pad: 0,
    };
    let Some(fragments) = tables.fragments(&key) else {
        return Err(Reason::Fragment);
    };
    let judged = fragments.judged;
    let follows = (judged >> 32) as u32 == ingress.control.epoch
        && fragments.from == way_word(link.source, ingress.attachment)
        && way_mac(fragments.to) == link.destination
        && walked.piece.offset >= fragments.next
        && now.wrapping_sub(fragments.seen) <= PATIENCE;
    if !follows {
        return Err(Reason::Fragment);
    }
    fragments.next = if walked.piece.more {
        walked.piece.offset.saturating_add(walked.length as u16)
    } else {
        u16::MAX
    };
    let (spread, to) = (fragments.spread, way_attachment(fragments.to));
    admit::storm(tables, ingress, link)?;
    let egress = match spread {
        Fragments::ONE => Egress::Attachment(to),
        spread => forward::flood(tables, ingress, link, spread == Fragments::INSIDE)?,
    };
    Ok((egress, Ruling(judged as u32)))
}
