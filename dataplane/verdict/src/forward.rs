//! Stage 6, forward: which attachment, and the tag it wants.

use crate::abi::{
    Admission, Control, FLOOD_MEMBER, PORTS, Ruling, attachment, attachment_vlan, member,
};
use crate::address::MAC_GROUP;
use crate::admit::{Ingress, admit};
use crate::frame::Frame;
use crate::link_control;
use crate::parse::{self, Link};
use crate::path::Egress;
use crate::reason::Reason;
use crate::tables::Tables;

/// Where a frame goes: to the attachment its destination was last seen at, else to all of the segment.
#[inline(always)]
pub fn egress<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    ruling: Ruling,
) -> Result<Egress, Reason> {
    let segment = ingress.admission.segment;
    if link.destination & MAC_GROUP != 0 {
        let inside = ruling.is_inside();
        return Ok(Egress::Flood { segment, inside });
    }
    let destination = member(segment, link.destination);
    // A listed device is never behind an uplink, so what is for one never leaves there.
    let flood = |tables: &T| Egress::Flood {
        segment,
        inside: ruling.is_inside() || tables.device(ingress.control.slot, destination).is_some(),
    };
    let Some(station) = tables.station(destination) else {
        return Ok(flood(tables));
    };
    if station.attachment == ingress.attachment {
        return Err(Reason::SameAttachment);
    }
    // Learned under an earlier policy, it may not belong to the segment any more.
    let admission = tables.admission(ingress.control.slot, station.attachment);
    if !admission.is(Admission::IN_USE) || admission.segment != segment {
        return Ok(flood(tables));
    }
    if admission.is(Admission::UPLINK) {
        // Nor does it help to have been seen there before it was listed.
        if let all @ Egress::Flood { inside: true, .. } = flood(tables) {
            return if ruling.is_inside() {
                Err(Reason::Posture)
            } else {
                Ok(all)
            };
        }
    }
    Ok(Egress::Attachment(station.attachment))
}

/// Gives a frame the tag of its egress: the VLAN is rewritten, priority bits stay.
#[inline(always)]
pub fn retag<F: Frame>(frame: &mut F, link: &Link, attachment: u16) -> Result<(), Reason> {
    let vlan = attachment_vlan(attachment);
    if vlan == link.vlan && link.tagged == (vlan != 0) {
        return Ok(());
    }
    rewrite(frame, link, vlan).ok_or(Reason::Retag)
}

#[inline(always)]
fn rewrite<F: Frame>(frame: &mut F, link: &Link, vlan: u16) -> Option<()> {
    match (link.tagged, vlan) {
        (true, 0) => frame.close_tag(),
        (true, vlan) => {
            let tag = frame.u16(14)?;
            frame.set_u16(14, tag & 0xf000 | vlan)
        }
        (false, vlan) => {
            frame.open_tag()?;
            frame.set_u16(12, parse::ETHERTYPE_VLAN)?;
            frame.set_u16(14, vlan)
        }
    }
}

/// Judges one copy of a flooded frame on its way out of `egress`: rewrites the tag for a port where the
/// segment is attached, and says to drop it elsewhere. One that is to stay inside does not leave by an uplink.
///
/// # Errors
/// The reason why no copy leaves there.
#[inline(always)]
pub fn flood_copy<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &T,
    ingress: u16,
    egress: u16,
    inside: bool,
) -> Result<(), Reason> {
    let control: Control = tables.control();
    let link = match parse::link(frame) {
        Err(Reason::LinkControl) => {
            return link_control::crosses(frame, tables, control, egress);
        }
        link => link?,
    };
    if link.ether_type == link_control::PTP && !link.tagged {
        return link_control::crosses(frame, tables, control, egress);
    }
    let ingress = admit(tables, control, ingress, &link)?;
    if egress as usize >= PORTS {
        return Err(Reason::UnknownPort);
    }
    let entry = tables.flood(control.slot, ingress.admission.segment, egress);
    if entry & FLOOD_MEMBER == 0 {
        return Err(Reason::UnknownAttachment);
    }
    let vlan = entry as u16 & 0xfff;
    let leaves = tables.admission(control.slot, attachment(egress, vlan));
    if inside && leaves.is(Admission::UPLINK) {
        return Err(Reason::Posture);
    }
    retag(frame, &link, vlan)
}
