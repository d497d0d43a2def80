//! Admit: from (port, VLAN) to a segment.

use crate::abi::{
    Admission, Control, Limit, NO_ATTACHMENT, PORTS, PortRate, PortSetting, attachment, fdb_key,
    location_inner, location_outer, location_port,
};
use crate::address::MAC_GROUP;
use crate::packet::Link;
use crate::reason::Reason;
use crate::tables::Tables;

/// Where a frame came in, and the policy and posture that judge it in every stage.
#[derive(Clone, Copy)]
pub struct Ingress {
    pub control: Control,
    pub attachment: u16,
    /// The attachment's [`crate::abi::location`], the same in every generation.
    pub location: u32,
    pub admission: Admission,
}

impl Ingress {
    /// The port.
    #[inline(always)]
    pub const fn port(&self) -> u16 {
        location_port(self.location)
    }
}

/// Limits the rate of group frames: of the host, of unlisted hosts together, and of the port. Only frames that would pass are counted:
/// frames that are dropped anyway take nothing from other hosts.
#[inline(always)]
pub fn storm<T: Tables>(tables: &mut T, ingress: &Ingress, link: &Link) -> Result<(), Reason> {
    if link.destination & MAC_GROUP == 0 {
        return Ok(());
    }
    let control = ingress.control;
    let most = tables.port(control.slot, ingress.port()).storm;
    if most != 0 && !ingress.admission.is(Admission::UPLINK) {
        let now = tables.now();
        let host = fdb_key(ingress.admission.segment, link.source);
        // The host was learned a moment ago: its entry is gone only if seven others were added to its bucket since.
        if let Some(limit) = tables.limit(host) {
            limit.start(now);
            let share = (most / Limit::SHARE).clamp(1, u16::MAX as u32) as u16;
            if limit.groups >= share {
                return Err(Reason::Storm);
            }
            limit.groups += 1;
        }
        if tables.device(control.slot, host).is_none() {
            let rate = tables.rate(ingress.port()).ok_or(Reason::Storm)?;
            start(rate, now);
            if rate.unlisted_groups >= (most / PortRate::UNLISTED).max(1) {
                return Err(Reason::Storm);
            }
            rate.unlisted_groups += 1;
        }
    }
    storm_of_port(tables, control, ingress.port())
}

/// Limits the rate of group frames of a port, over all its hosts.
#[inline(always)]
pub fn storm_of_port<T: Tables>(tables: &mut T, control: Control, port: u16) -> Result<(), Reason> {
    let most = tables.port(control.slot, port).storm;
    if most == 0 {
        return Ok(());
    }
    let now = tables.now();
    let rate = tables.rate(port).ok_or(Reason::Storm)?;
    start(rate, now);
    if rate.groups >= most {
        return Err(Reason::Storm);
    }
    rate.groups += 1;
    Ok(())
}

/// Clears the counters when a new tick has begun.
#[inline(always)]
pub fn start(rate: &mut PortRate, now: u32) {
    if rate.tick != now {
        rate.tick = now;
        rate.groups = 0;
        rate.stations = 0;
        rate.copies = 0;
        rate.unlisted_groups = 0;
        rate.unlisted_copies = 0;
    }
}

/// The attachment of a frame and the segment that it belongs to.
#[inline(always)]
pub fn admit<T: Tables>(
    tables: &T,
    control: Control,
    port: u16,
    link: &Link,
) -> Result<Ingress, Reason> {
    if port as usize >= PORTS {
        return Err(Reason::UnknownPort);
    }
    let attachment = if link.tags < 2 {
        attachment(port, link.vlan())
    } else {
        stacked(tables, control, port, link)
    };
    let admission = tables.admission(control.slot, attachment);
    if !admission.is(Admission::IN_USE) {
        return Err(Reason::UnknownAttachment);
    }
    Ok(Ingress {
        control,
        attachment,
        location: link.location(port),
        admission,
    })
}

/// The attachment of a frame with two tags, if the outer tag has the type that is set for the port.
#[inline(always)]
fn stacked<T: Tables>(tables: &T, control: Control, port: u16, link: &Link) -> u16 {
    let customer_tag = tables.port(control.slot, port).link_control & PortSetting::OUTER_8021Q != 0;
    if customer_tag == link.service_tag {
        return NO_ATTACHMENT;
    }
    tables.number(control.slot, link.location(port))
}

/// The attachment at a [`crate::abi::location`].
#[inline(always)]
pub fn attachment_at<T: Tables>(tables: &T, slot: u8, location: u32) -> u16 {
    if location_inner(location) == 0 {
        attachment(location_port(location), location_outer(location))
    } else {
        tables.number(slot, location)
    }
}
