//! Stage 6, forward: find the egress attachment, and write the tags that it needs.

use crate::abi::{
    Admission, Control, Copies, CopyTarget, Device, FLOOD_MEMBER, GATEWAY, Limit, NO_ATTACHMENT,
    PORTS, PortRate, PortSetting, Ruling, STACKED, Stack, attachment_port, attachment_vlan,
    fdb_key, location, location_inner, location_outer, location_port,
};
use crate::address::{MAC_GROUP, Mac};
use crate::admit::{self, Ingress, admit};
use crate::frame::Frame;
use crate::link_control;
use crate::packet::Link;
use crate::parse::{self, ETHERTYPE_SERVICE_VLAN, ETHERTYPE_VLAN};
use crate::reason::Reason;
use crate::step::Egress;
use crate::tables::Tables;

/// Where a frame goes: to the attachment at which its destination was last seen, else to the whole segment.
#[inline(always)]
pub fn egress<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    ruling: Ruling,
) -> Result<Egress, Reason> {
    let mut inside = ruling.is_inside();
    if link.destination & MAC_GROUP == 0 {
        let destination = fdb_key(ingress.admission.segment, link.destination);
        let has_bound = ingress.admission.is(Admission::BOUND);
        let slot = ingress.control.slot;
        let device = match has_bound {
            true => tables.device(slot, destination).unwrap_or(Device::NONE),
            false => Device::NONE,
        };
        if device.is(Device::AT_ATTACHMENT) {
            // The policy says where the device is. A host that used its MAC address elsewhere before gets nothing.
            if device.bound_to == ingress.attachment && !link.proxied {
                return Err(Reason::SameAttachment);
            }
            return Ok(Egress::Attachment(device.bound_to));
        }
        let (attachment, uplink) = seen_at(tables, ingress, link, device)?;
        if attachment != NO_ATTACHMENT && !uplink {
            return Ok(Egress::Attachment(attachment));
        }
        // A listed device is never behind an uplink, so a frame to one never leaves there, even if the MAC address was
        // seen there before it was listed.
        let listed = match has_bound {
            true => device.is_listed(),
            false => tables.device(slot, destination).is_some(),
        };
        if attachment != NO_ATTACHMENT && inside {
            return Err(Reason::Posture);
        }
        if attachment != NO_ATTACHMENT && !listed {
            return Ok(Egress::Attachment(attachment));
        }
        inside |= listed;
    }
    // A copy that no attachment gets is a drop, and is counted as one.
    let hairpin = link.proxied && !ingress.admission.is(Admission::UPLINK);
    if ruling.is_inside() && ingress.admission.is(Admission::ALONE) && !hairpin {
        return Err(Reason::Posture);
    }
    flood(tables, ingress, link, inside)
}

/// The attachment at which the destination was last seen, and whether it is at an uplink. [`NO_ATTACHMENT`] if it is
/// not known, not in the segment, or not at the port to which the device is bound.
#[inline(always)]
fn seen_at<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    device: Device,
) -> Result<(u16, bool), Reason> {
    let slot = ingress.control.slot;
    let segment = ingress.admission.segment;
    let Some(station) = tables.station(fdb_key(segment, link.destination)) else {
        return Ok((NO_ATTACHMENT, false));
    };
    if device.is(Device::AT_PORT) && device.bound_to != location_port(station.at()) {
        return Ok((NO_ATTACHMENT, false));
    }
    if station.at() == ingress.location && !link.proxied {
        return Err(Reason::SameAttachment);
    }
    let attachment = admit::attachment_at(tables, slot, station.at());
    // The station may have been learned under an earlier policy, when the attachment belonged to the segment.
    let admission = tables.admission(slot, attachment);
    if !admission.is(Admission::IN_USE) || admission.segment != segment {
        return Ok((NO_ATTACHMENT, false));
    }
    Ok((attachment, admission.is(Admission::UPLINK)))
}

/// To the whole segment. Where copies are made per attachment, the copies that a host and a port cause in a tick are
/// limited.
#[inline(always)]
pub fn flood<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    inside: bool,
) -> Result<Egress, Reason> {
    let Admission {
        segment, copies, ..
    } = ingress.admission;
    if !ingress.admission.is(Admission::COPIES) {
        return Ok(Egress::Flood {
            segment,
            inside,
            copies: Copies::PER_PORT,
        });
    }
    let now = tables.now();
    if !ingress.admission.is(Admission::UPLINK)
        && let Some(limit) = tables.limit(fdb_key(segment, link.source))
    {
        limit.start(now);
        let made = (limit.copies as u32).saturating_add(copies as u32);
        if made > PortRate::COPIES / Limit::SHARE {
            return Err(Reason::FloodLimit);
        }
        limit.copies = made as u16;
    }
    let listed = ingress.admission.is(Admission::UPLINK)
        || tables
            .device(ingress.control.slot, fdb_key(segment, link.source))
            .is_some();
    let rate = tables.rate(ingress.port()).ok_or(Reason::FloodLimit)?;
    admit::start(rate, now);
    if !listed {
        let made = rate.unlisted_copies.saturating_add(copies as u32);
        if made > PortRate::COPIES / PortRate::UNLISTED {
            return Err(Reason::FloodLimit);
        }
        rate.unlisted_copies = made;
    }
    let made = rate.copies.saturating_add(copies as u32);
    if made > PortRate::COPIES {
        return Err(Reason::FloodLimit);
    }
    rate.copies = made;
    let back = if link.proxied { Copies::HAIRPIN } else { 0 };
    let (outer, inner) = link.priorities();
    Ok(Egress::Flood {
        segment,
        inside,
        copies: Copies {
            flags: Copies::PER_ATTACHMENT | back,
            priority: Copies::priority(outer, inner),
            ingress: ingress.attachment,
        },
    })
}

/// Writes the tags and MAC addresses that a frame leaves with; returns the egress port, or 0 for a flooded frame. A
/// flooded frame that is copied per attachment loses its tags; one that is copied per port stays as it is.
#[inline(always)]
pub fn rewrite_for_egress<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &T,
    slot: u8,
    link: &Link,
    egress: Egress,
) -> Result<u16, Reason> {
    match egress {
        Egress::Attachment(attachment) => retag_any(frame, tables, slot, link, attachment),
        Egress::Flood { copies, .. } if copies.are_per_attachment() => {
            rewrite(frame, link, Tags::NONE).ok_or(Reason::Retag)?;
            Ok(0)
        }
        Egress::Flood { .. } => Ok(0),
    }
}

/// Whether a frame needs [`rewrite_for_egress`]: two tags at ingress or egress, or other MAC addresses.
#[inline(always)]
pub fn needs_rewrite(link: &Link, attachment: u16) -> bool {
    (attachment | link.force_rewrite) >= STACKED
}

/// As [`retag`], for a frame that leaves with as many tags as it came with: none, or one whose VLAN changes at most.
/// `None` for any other.
#[inline(always)]
pub fn retag_in_place<F: Frame>(frame: &mut F, link: &Link, attachment: u16) -> Option<u16> {
    let vlan = attachment_vlan(attachment);
    if needs_rewrite(link, attachment) || (link.tags != 0) != (vlan != 0) {
        return None;
    }
    if vlan != link.vlan() {
        frame.set_u16(14, link.outer & 0xf000 | vlan)?;
    }
    Some(attachment_port(attachment))
}

/// Gives a frame the tag of its egress attachment; returns the egress port. Not for a frame that [`needs_rewrite`].
#[inline(always)]
pub fn retag<F: Frame>(frame: &mut F, link: &Link, attachment: u16) -> Result<u16, Reason> {
    let port = attachment_port(attachment);
    let vlan = attachment_vlan(attachment);
    if vlan == link.vlan() && (link.tags != 0) == (vlan != 0) {
        return Ok(port);
    }
    let done = if link.tags != 0 && vlan != 0 {
        frame.set_u16(14, link.outer & 0xf000 | vlan)
    } else {
        rewrite(frame, link, Tags::one(vlan))
    };
    done.ok_or(Reason::Retag)?;
    Ok(port)
}

/// As [`retag`], for any number of tags at ingress and egress, and with MAC addresses to rewrite.
#[inline(always)]
fn retag_any<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &T,
    slot: u8,
    link: &Link,
    attachment: u16,
) -> Result<u16, Reason> {
    let stack = stack_of(tables, slot, attachment);
    let tags = Tags::of(stack);
    let same = tags.count == link.tags && tags.outer == link.vlan();
    if !same || needs_rewrite(link, attachment) {
        rewrite(frame, link, tags).ok_or(Reason::Retag)?;
    }
    Ok(location_port(stack.location))
}

/// Location and outer tag type of an attachment, with up to two tags.
#[inline(always)]
fn stack_of<T: Tables>(tables: &T, slot: u8, attachment: u16) -> Stack {
    if attachment >= STACKED {
        return tables.stack(slot, attachment);
    }
    Stack {
        location: location(attachment_port(attachment), attachment_vlan(attachment), 0),
        outer_type: ETHERTYPE_VLAN,
        pad: 0,
    }
}

/// The tags that a frame leaves with.
#[derive(Clone, Copy)]
struct Tags {
    count: u8,
    outer_type: u16,
    outer: u16,
    inner: u16,
}

impl Tags {
    const NONE: Tags = Tags::one(0);

    /// One tag, or none for VLAN 0.
    #[inline(always)]
    const fn one(vlan: u16) -> Tags {
        Tags {
            count: (vlan != 0) as u8,
            outer_type: ETHERTYPE_VLAN,
            outer: vlan,
            inner: 0,
        }
    }

    #[inline(always)]
    fn of(stack: Stack) -> Tags {
        let inner = location_inner(stack.location);
        if inner == 0 {
            return Tags::one(location_outer(stack.location));
        }
        Tags {
            count: 2,
            outer_type: stack.outer_type,
            outer: location_outer(stack.location),
            inner,
        }
    }
}

/// Writes the frame's MAC addresses and tags, with the priority bits of the tags that came in.
#[inline(always)]
fn rewrite<F: Frame>(frame: &mut F, link: &Link, tags: Tags) -> Option<()> {
    let source = if link.proxied { GATEWAY } else { link.source };
    let (outer, inner) = link.priorities();
    let tags = Tags {
        outer: tags.outer | outer,
        inner: tags.inner | inner,
        ..tags
    };
    write(frame, link.tags, (link.destination, source), tags)
}

/// Writes these addresses and tags to a frame that has `had` tags.
#[inline(always)]
fn write<F: Frame>(frame: &mut F, had: u8, macs: (Mac, Mac), tags: Tags) -> Option<()> {
    let by = (had as i32 - tags.count as i32) * 4;
    if by != 0 {
        frame.shift(by)?;
    }
    let (destination, source) = macs;
    frame.set_u64(0, destination << 16 | source >> 32)?;
    frame.set_u32(8, source as u32)?;
    if tags.count != 0 {
        frame.set_u32(12, (tags.outer_type as u32) << 16 | tags.outer as u32)?;
    }
    if tags.count == 2 {
        frame.set_u32(16, (ETHERTYPE_VLAN as u32) << 16 | tags.inner as u32)?;
    }
    Some(())
}

/// Makes the copy for one attachment of a frame that is copied per attachment; returns the egress port. In the kernel a
/// tc program does the same.
///
/// # Errors
/// [`Reason::Retag`] if the frame is too short for an Ethernet header.
pub fn attachment_copy<F: Frame>(
    frame: &mut F,
    to: CopyTarget,
    copies: Copies,
) -> Result<u16, Reason> {
    let addresses = frame.u64(0).ok_or(Reason::Retag)?;
    let rest = frame.u32(8).ok_or(Reason::Retag)?;
    let macs = (addresses >> 16, (addresses & 0xffff) << 32 | rest as u64);
    let tags = Tags::of(Stack {
        location: to.location,
        outer_type: to.outer_type(),
        pad: 0,
    });
    let (outer, inner) = copies.priorities();
    let tags = Tags {
        outer: tags.outer | outer,
        inner: tags.inner | inner,
        ..tags
    };
    write(frame, 0, macs, tags).ok_or(Reason::Retag)?;
    Ok(location_port(to.location))
}

/// Judges the copy of a flooded frame that is about to leave by port `egress`: writes the tags of the segment's
/// attachment at that port. A copy that must stay `inside` does not leave by an uplink.
///
/// # Errors
/// Why no copy leaves there.
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
    if link.ether_type == link_control::PTP && link.tags == 0 {
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
    let attachment = entry as u16;
    let leaves = tables.admission(control.slot, attachment);
    if inside && leaves.is(Admission::UPLINK) {
        return Err(Reason::Posture);
    }
    retag_any(frame, tables, control.slot, &link, attachment).map(drop)
}

/// The EtherType of the outer of two tags at a port.
#[inline(always)]
pub const fn outer_type(setting: PortSetting) -> u16 {
    match setting.link_control & PortSetting::OUTER_8021Q {
        0 => ETHERTYPE_SERVICE_VLAN,
        _ => ETHERTYPE_VLAN,
    }
}
