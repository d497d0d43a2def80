//! EtherTypes other than IP and ARP that a segment lets pass: judged by the sender's MAC address only, and never across
//! the boundary of a contained site.

use crate::abi::{Admission, CONTAIN, LOCKDOWN, RULE_ETHER_TYPE, Ruling, fdb_key};
use crate::admit::Ingress;
use crate::authorise::Denied;
use crate::packet::Link;
use crate::reason::Reason;
use crate::tables::Tables;

/// Judges a frame that is neither IP nor ARP.
#[inline(always)]
pub fn ether_type<T: Tables>(tables: &T, ingress: &Ingress, link: &Link) -> Result<Ruling, Denied> {
    let Admission { segment, .. } = ingress.admission;
    let slot = ingress.control.slot;
    if !tables.ether_type(slot, segment, link.ether_type) {
        return Err(Reason::EtherType.into());
    }
    let uplink = ingress.admission.is(Admission::UPLINK);
    match tables.device(slot, fdb_key(segment, link.source)) {
        Some(_) if uplink => return Err(Reason::DeviceOnUplink.into()),
        Some(device) if !device.may_be_at(ingress.port(), ingress.attachment) => {
            return Err(Reason::PortBinding.into());
        }
        None if !uplink && !ingress.admission.is(Admission::ADMIT_UNKNOWN) => {
            return Err(Reason::UnknownDevice.into());
        }
        _ => {}
    }
    let closed = Denied {
        reason: Reason::Posture,
        rule: RULE_ETHER_TYPE,
    };
    match ingress.control.posture {
        LOCKDOWN.. => Err(closed),
        CONTAIN.. if uplink => Err(closed),
        CONTAIN.. => Ok(Ruling::allow_inside(RULE_ETHER_TYPE)),
        _ => Ok(Ruling::allow(RULE_ETHER_TYPE)),
    }
}
