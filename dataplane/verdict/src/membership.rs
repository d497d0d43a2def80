//! Group membership: IGMP (RFC 2236, RFC 3376) and MLD (RFC 2710, RFC 3810). Any host whose source address is its own
//! may join and leave. Only hosts behind an uplink may send queries, because switches forward multicast to the querier.

use crate::abi::{Admission, RULE_MEMBERSHIP, Ruling};
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
    if !is_membership || !local {
        return Err(Reason::Membership.into());
    }
    identify::sender(tables, ingress, link, walked.source)?;
    if query && !ingress.admission.is(Admission::UPLINK) {
        return Err(Reason::Membership.into());
    }
    neighbour::allow_unless_severed(ingress.control, RULE_MEMBERSHIP)
}
