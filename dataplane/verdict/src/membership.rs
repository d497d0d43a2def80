//! Group membership: IGMP (RFC 2236, RFC 3376) and MLD (RFC 2710, RFC 3810). Any host whose source address is its own
//! may join and leave. Only hosts behind an uplink may send queries, because switches forward multicast to the querier.

use crate::abi::{Admission, CONTAIN, RULE_MEMBERSHIP, Ruling};
use crate::address::MAC_GROUP;
use crate::admit::Ingress;
use crate::authorise::Denied;
use crate::frame::Frame;
use crate::identify;
use crate::neighbour;
use crate::packet::{Link, Walked};
use crate::protocol;
use crate::reason::Reason;
use crate::tables::Tables;

/// Judges a query, report or leave.
#[inline(always)]
pub fn membership<F: Frame, T: Tables>(
    frame: &F,
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    walked: &Walked,
) -> Result<Ruling, Denied> {
    if walked.length < 8 {
        return Err(Reason::Membership.into());
    }
    let kind = frame.u8(walked.at).ok_or(Reason::Truncated)?;
    let igmp = walked.protocol == protocol::IGMP;
    let query = kind == if igmp { 0x11 } else { 130 };
    let is_membership = if igmp {
        matches!(kind, 0x11 | 0x12 | 0x16 | 0x17 | 0x22)
    } else {
        matches!(kind, 130 | 131 | 132 | 143)
    };
    // Never routed; an MLD message carries a router alert (RFC 3810 §5). IGMP version 1 has none.
    let local = walked.hops == 1
        && walked.destination.is_group()
        && link.destination & MAC_GROUP != 0
        && (igmp || (walked.router_alert && walked.source.is_v6_link_local_or_unspecified()));
    if !is_membership || !local || !is_exact(frame, walked, kind)? {
        return Err(Reason::Membership.into());
    }
    identify::sender(tables, ingress, link, walked.source)?;
    let uplink = ingress.admission.is(Admission::UPLINK);
    if query && !uplink {
        return Err(Reason::Membership.into());
    }
    let ruling = neighbour::allow_unless_severed(ingress.control, RULE_MEMBERSHIP)?;
    if ingress.control.posture < CONTAIN {
        return Ok(ruling);
    }
    // Reports name groups, which the sender chooses: from contain on they cross in neither direction. Queries still come
    // in: without them switches that snoop stop forwarding multicast inside the site.
    match (uplink, query) {
        (true, true) => Ok(ruling),
        (true, false) => Err(Denied {
            reason: Reason::Posture,
            rule: RULE_MEMBERSHIP,
        }),
        (false, _) => Ok(Ruling::allow_inside(RULE_MEMBERSHIP)),
    }
}

/// Records in a version 3 (IGMP) or version 2 (MLD) report, at most.
const RECORDS: u16 = 32;

/// The last byte of a frame, counted from 0, at which a record may start.
const FARTHEST: usize = 256;

/// Whether the message has exactly the length of its kind, with room for no other data.
#[inline(always)]
fn is_exact<F: Frame>(frame: &F, walked: &Walked, kind: u8) -> Result<bool, Reason> {
    let (at, length) = (walked.at, walked.length);
    let sources = |offset: usize| frame.u16(at + offset).ok_or(Reason::Truncated);
    Ok(match (walked.protocol == protocol::IGMP, kind) {
        // IGMPv1 to v3 (RFC 9776 §4.1), MLDv1 and v2 (RFC 9777 §5.1).
        (true, 0x11) if length >= 12 => length == 12 + 4 * sources(10)? as usize,
        (true, 0x22) => is_exact_report(frame, walked, [8, 4])?,
        (true, _) => length == 8,
        (false, 130) if length >= 28 => length == 28 + 16 * sources(26)? as usize,
        (false, 143) => is_exact_report(frame, walked, [20, 16])?,
        (false, _) => length == 24,
    })
}

/// The same of a report (RFC 9776 §4.2, RFC 9777 §5.2) whose records have a header and sources of these lengths.
#[inline(always)]
fn is_exact_report<F: Frame>(
    frame: &F,
    walked: &Walked,
    [header, source]: [usize; 2],
) -> Result<bool, Reason> {
    let at = walked.at;
    let records = frame.u16(at + 6).ok_or(Reason::Truncated)?;
    if records == 0 || records > RECORDS {
        return Ok(false);
    }
    let mut used = 8;
    for record in 0..RECORDS {
        if record >= records {
            break;
        }
        if at + used > FARTHEST {
            return Ok(false);
        }
        let Some(head) = frame.u32(at + used) else {
            return Ok(false);
        };
        // Auxiliary data is not defined by any version.
        if head >> 16 & 0xff != 0 {
            return Ok(false);
        }
        used += header + source * (head & 0xffff) as usize;
    }
    Ok(used == walked.length)
}
