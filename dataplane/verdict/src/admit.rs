//! Stage 2, admit: from (port, VLAN) to a segment.

use crate::abi::{Admission, Control, PORTS, PortRate, attachment};
use crate::address::MAC_GROUP;
use crate::parse::Link;
use crate::reason::Reason;
use crate::tables::Tables;

/// Where a frame came in, and under which policy and posture it is judged throughout.
#[derive(Clone, Copy)]
pub struct Ingress {
    pub control: Control,
    pub attachment: u16,
    pub admission: Admission,
}

/// Holds a port to what it may send to groups.
#[inline(always)]
pub fn storm<T: Tables>(
    tables: &mut T,
    control: Control,
    port: u16,
    link: &Link,
) -> Result<(), Reason> {
    if link.destination & MAC_GROUP == 0 {
        return Ok(());
    }
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
    let attachment = attachment(port, link.vlan);
    let admission = tables.admission(control.slot, attachment);
    if !admission.is(Admission::IN_USE) {
        return Err(Reason::UnknownAttachment);
    }
    Ok(Ingress {
        control,
        attachment,
        admission,
    })
}
