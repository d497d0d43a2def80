//! Stage 2, admit: from (port, VLAN) to a segment.

use crate::abi::{Admission, Control, PORTS, attachment};
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
