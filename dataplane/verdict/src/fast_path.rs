//! The fast path: packets of established flows with at most one tag, over IPv4 without options or fragments, TCP or
//! UDP. Nearly all packets are such.
//!
//! It forwards a frame only if the whole packet path would forward it in the same way, and leaves every other frame to
//! that path. So it has no drop reasons and few checks: the flow's entry holds what was checked for the same addresses,
//! ports, MAC addresses and attachments under the same epoch. The fast path compares them, and checks the fields in
//! which packets of one flow may differ. Without reasons it fits into the registers of a BPF program, at half of the
//! cost of the whole path.

use crate::abi::{
    Control, Flow, FlowKey4, PORTS, Ruling, STACKED, attachment, attachment_port, attachment_vlan,
    path_attachment,
};
use crate::address::MAC_GROUP;
use crate::frame::{Frame, Head};
use crate::packet::{TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN};
use crate::parse::{ETHERTYPE_IPV4, ETHERTYPE_VLAN};
use crate::protocol::{TCP, UDP};
use crate::step::{Egress, Passed};
use crate::tables::Tables;

/// What the fast path decides.
pub enum FastPath {
    /// The packet belongs to an established flow, and is forwarded.
    Forwarded(Passed),
    /// There is no established flow. The frame takes the whole path, which need not look up the flow again.
    FlowMiss,
    /// The frame takes the whole path.
    Undecided,
}

/// Forwards a packet of an established flow.
#[inline(always)]
pub fn fast_path<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    control: Control,
    port: u16,
) -> FastPath {
    let mut flow_miss = false;
    match at_either_offset(frame, tables, control, port, &mut flow_miss) {
        Some(passed) => FastPath::Forwarded(passed),
        None if flow_miss => FastPath::FlowMiss,
        None => FastPath::Undecided,
    }
}

#[inline(always)]
fn at_either_offset<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    control: Control,
    port: u16,
    flow_miss: &mut bool,
) -> Option<Passed> {
    let head = frame.head()?;
    match head.u16(12) {
        ETHERTYPE_IPV4 => forward::<F, T, 14>(frame, head, tables, control, port, flow_miss),
        ETHERTYPE_VLAN if head.u16(16) == ETHERTYPE_IPV4 => {
            forward::<F, T, 18>(frame, head, tables, control, port, flow_miss)
        }
        _ => None,
    }
}

/// The same with the network layer at offset `AT`: 14 untagged, 18 tagged.
#[inline(always)]
fn forward<F: Frame, T: Tables, const AT: usize>(
    frame: &mut F,
    head: impl Head,
    tables: &mut T,
    control: Control,
    port: u16,
    flow_miss: &mut bool,
) -> Option<Passed> {
    let length = frame.len();
    let first = head.u32(AT);
    let total = first as usize & 0xffff;
    // Version 4, five words of header, no fragment.
    if first >> 24 != 0x45 || total > length - AT || head.u16(AT + 6) & !0x4000 != 0 {
        return None;
    }
    let payload = total.wrapping_sub(20);
    let ports = head.u32(AT + 20);
    let protocol = head.u8(AT + 9);
    let acknowledgement = match protocol {
        UDP => {
            let length = head.u16(AT + 24) as usize;
            if total < 28 || length < 8 || length > payload {
                return None;
            }
            None
        }
        TCP => {
            let flags = head.u16(AT + 32);
            let offset = flags as usize >> 12 << 2;
            let unusual = (TCP_SYN | TCP_FIN | TCP_RST) as u16;
            if total < 40 || offset < 20 || offset > payload || flags & unusual != 0 {
                return None;
            }
            match flags & TCP_ACK as u16 {
                0 => None,
                _ => Some(head.u32(AT + 28)),
            }
        }
        _ => return None,
    };
    let vlan = if AT == 18 { head.u16(14) & 0xfff } else { 0 };
    if port as usize >= PORTS || control.epoch == 0 {
        return None;
    }
    let ingress = attachment(port, vlan);
    let segment = tables.admission(control.slot, ingress).segment;

    // Address and port of an end in one word. The smaller is first, as in every key.
    let source = (head.u32(AT + 12) as u64) << 16 | (ports >> 16) as u64;
    let destination = (head.u32(AT + 16) as u64) << 16 | (ports & 0xffff) as u64;
    let swap = source > destination;
    let (low, high) = if swap {
        (destination, source)
    } else {
        (source, destination)
    };
    let address = [(low >> 16) as u32, (high >> 16) as u32];
    let key = FlowKey4::new(address, [low as u16, high as u16], segment, protocol, 0);
    let Some(flow) = tables.flow4(&key) else {
        *flow_miss = true;
        return None;
    };
    // A MAC address in the upper 48 bits, as in a word of `abi::FlowPath`; the next two bytes of the frame are masked
    // off.
    const MAC: u64 = !0xffff;
    let (to, from) = (head.u64(0) & MAC, head.u64(6) & MAC | ingress as u64);
    let judged = flow.judged;
    let path = flow.path.get(swap as usize).copied()?;
    let egress = path_attachment(path.to);
    let same = (judged >> 32) as u32 == control.epoch && path.from == from && path.to & MAC == to;
    // The whole path handles a flow that is being reopened. Frames to a group address belong to no flow.
    if !same || flow.state & Flow::REOPENED != 0 || to & MAC_GROUP << 16 != 0 {
        return None;
    }
    let out = attachment_vlan(egress);
    if egress >= STACKED || (out != 0) != (AT == 18) || (AT == 18 && vlan == 0) {
        return None;
    }
    if let Some(volume) = flow.volume.get_mut(swap as usize) {
        *volume = volume.wrapping_add(length.div_ceil(Flow::VOLUME) as u32);
    }
    if let Some(number) = acknowledgement
        && let Some(acknowledged) = flow.acknowledged.get_mut(swap as usize)
    {
        *acknowledged = number;
    }
    if flow.seen != control.tick {
        flow.seen = control.tick;
    }
    if out != vlan {
        frame.set_u16(14, head.u16(14) & 0xf000 | out)?;
    }
    let rule = Ruling(judged as u32).rule();
    tables.count_rule(control.slot, rule, length);
    Some(Passed {
        egress: Egress::Attachment(egress),
        rule,
        port: attachment_port(egress),
    })
}
