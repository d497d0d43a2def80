//! Stage 2, admit: from (port, VLAN) to a segment.

use crate::abi::{
    Admission, Control, Limit, NO_ATTACHMENT, PORTS, PortRate, PortSetting, attachment, member,
    place_inner, place_outer, place_port,
};
use crate::address::MAC_GROUP;
use crate::parse::Link;
use crate::reason::Reason;
use crate::tables::Tables;

/// Where a frame came in, and under which policy and posture it is judged throughout.
#[derive(Clone, Copy)]
pub struct Ingress {
    pub control: Control,
    pub attachment: u16,
    /// Where that is, whatever its number: see [`crate::abi::place`].
    pub place: u32,
    pub admission: Admission,
}

impl Ingress {
    /// The port.
    #[inline(always)]
    pub const fn port(&self) -> u16 {
        place_port(self.place)
    }
}

/// Holds a host to its share of what its port may send to groups, and then the port to it. Only of what would pass: what is
/// dropped anyway takes nothing from others.
#[inline(always)]
pub fn storm<T: Tables>(tables: &mut T, ingress: &Ingress, link: &Link) -> Result<(), Reason> {
    if link.destination & MAC_GROUP == 0 {
        return Ok(());
    }
    let control = ingress.control;
    let most = tables.port(control.slot, ingress.port()).storm;
    if most != 0 && !ingress.admission.is(Admission::UPLINK) {
        let now = tables.now();
        let who = member(ingress.admission.segment, link.source);
        // It was learned a moment ago: to forget it takes seven others of its row since.
        if let Some(limit) = tables.limit(who) {
            limit.start(now);
            let share = (most / Limit::SHARE).clamp(1, u16::MAX as u32) as u16;
            if limit.groups >= share {
                return Err(Reason::Storm);
            }
            limit.groups += 1;
        }
    }
    storm_of_port(tables, control, ingress.port())
}

/// Holds a port to what it may send to groups, whoever it is from.
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

/// Starts counting anew in a new tick.
#[inline(always)]
pub fn start(rate: &mut PortRate, now: u32) {
    if rate.tick != now {
        rate.tick = now;
        rate.groups = 0;
        rate.stations = 0;
        rate.copies = 0;
    }
}

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
        place: link.place(port),
        admission,
    })
}

/// The attachment of a frame with two tags, the outer one of the type that is set for the port.
#[inline(always)]
fn stacked<T: Tables>(tables: &T, control: Control, port: u16, link: &Link) -> u16 {
    let customer = tables.port(control.slot, port).link_control & PortSetting::OUTER_8021Q != 0;
    if customer == link.service {
        return NO_ATTACHMENT;
    }
    tables.number(control.slot, link.place(port))
}

/// The attachment at a place.
#[inline(always)]
pub fn at<T: Tables>(tables: &T, slot: u8, place: u32) -> u16 {
    if place_inner(place) == 0 {
        attachment(place_port(place), place_outer(place))
    } else {
        tables.number(slot, place)
    }
}
