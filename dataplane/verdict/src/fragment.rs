//! Fragments: the first is judged, the others follow it. Fragments that overlap, come without a first, or come too late
//! are dropped.
//!
//! A later fragment has no ports, so it passes by its first: it must belong to the same packet, and come from the same
//! sender, on the same path, under the same epoch. Fragments must come in order: one that fills a gap could also
//! overwrite the part that was judged (RFC 5722, RFC 1858).

use crate::abi::{Flow, Fragments, FragmentsKey, Ruling, path_attachment, path_mac, path_word};
use crate::admit::{self, Ingress};
use crate::forward;
use crate::packet::{Link, Packet, Walked};
use crate::reason::Reason;
use crate::step::Egress;
use crate::tables::Tables;

/// How long after the first the others may come, in ticks. Hosts wait for 15 to 60 seconds (RFC 791, RFC 8200 §4.5).
const REASSEMBLY_TIMEOUT: u32 = 30;

/// Records the decision on a first fragment, for the fragments that follow.
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
        from: path_word(link.source, ingress.attachment),
        to: path_word(link.destination, egress),
        next: packet.message.length,
        spread,
        seen: tables.now(),
    };
    // If the table is full the other fragments are dropped: fail closed.
    tables.set_fragments(&key, &fragments);
}

/// Judges a later fragment: it passes as its first did.
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
        id: walked.fragment.id,
        segment,
        protocol: walked.protocol,
        pad: 0,
    };
    let Some(fragments) = tables.fragments(&key) else {
        return Err(Reason::Fragment);
    };
    let judged = fragments.judged;
    let follows = (judged >> 32) as u32 == ingress.control.epoch
        && fragments.from == path_word(link.source, ingress.attachment)
        && path_mac(fragments.to) == link.destination
        && walked.fragment.offset >= fragments.next
        && now.wrapping_sub(fragments.seen) <= REASSEMBLY_TIMEOUT;
    if !follows {
        return Err(Reason::Fragment);
    }
    fragments.next = if walked.fragment.more {
        walked.fragment.offset.saturating_add(walked.length as u16)
    } else {
        u16::MAX
    };
    let (spread, to) = (fragments.spread, path_attachment(fragments.to));
    admit::storm(tables, ingress, link)?;
    let egress = match spread {
        Fragments::ONE => Egress::Attachment(to),
        spread => forward::flood(tables, ingress, link, spread == Fragments::INSIDE)?,
    };
    Ok((egress, Ruling(judged as u32)))
}
