//! The short cut of the packet path: an established flow's packet as almost all are, one tag or none, IPv4 without
//! options or fragments, TCP or UDP.
//!
//! It decides nothing that [`crate::path::enter`] would not decide the same way, and where anything is out of the
//! ordinary it decides nothing: then the frame goes the whole way. That is why there are no reasons here, and few checks:
//! the flow's entry says what was checked, of the very same addresses, ports, MAC addresses and attachments, under the
//! same epoch. What remains is to see that they are the same, and what a flow's packets may differ in. Without reasons to
//! carry along, all of it fits into the registers of a BPF program, which costs half of what the whole way does.

use crate::abi::{
    Control, Flow, FlowKey4, PORTS, Ruling, STACKED, attachment, attachment_port, attachment_vlan,
    way_attachment,
};
use crate::address::MAC_GROUP;
use crate::frame::{Frame, Head};
use crate::parse::{ETHERTYPE_IPV4, ETHERTYPE_VLAN, TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, UDP};
use crate::step::{Egress, Passed};
use crate::tables::Tables;

/// What the short cut comes to.
pub enum Short {
    /// A packet of an established flow, which passes.
    Passes(Passed),
    /// Of no established flow: to go the whole way, without asking for one again.
    Stranger,
    /// To go the whole way.
    Undecided,
}

/// Lets a packet of an established flow pass.
#[inline(always)]
pub fn short<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    control: Control,
    port: u16,
) -> Short {
    let mut stranger = false;
    match ways(frame, tables, control, port, &mut stranger) {
        Some(passed) => Short::Passes(passed),
        None if stranger => Short::Stranger,
        None => Short::Undecided,
    }
}

#[inline(always)]
fn ways<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    control: Control,
    port: u16,
    stranger: &mut bool,
) -> Option<Passed> {
    let head = frame.head()?;
    match head.u16(12) {
        ETHERTYPE_IPV4 => settle::<F, T, 14>(frame, head, tables, control, port, stranger),
        ETHERTYPE_VLAN if head.u16(16) == ETHERTYPE_IPV4 => {
            settle::<F, T, 18>(frame, head, tables, control, port, stranger)
        }
        _ => None,
    }
}

/// The same, with the network layer at `AT`: 14 untagged, 18 tagged.
#[inline(always)]
fn settle<F: Frame, T: Tables, const AT: usize>(
    frame: &mut F,
    head: impl Head,
    tables: &mut T,
    control: Control,
    port: u16,
    stranger: &mut bool,
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

    // Address and port of an end in one word: the smaller is first, as in every key.
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
        *stranger = true;
        return None;
    };
    // A MAC address and what is behind it in the frame, which is not of interest, in one word: see `abi::Way`.
    const MAC: u64 = !0xffff;
    let (to, from) = (head.u64(0) & MAC, head.u64(6) & MAC | ingress as u64);
    let judged = flow.judged;
    let way = flow.way.get(swap as usize).copied()?;
    let egress = way_attachment(way.to);
    let same = (judged >> 32) as u32 == control.epoch && way.from == from && way.to & MAC == to;
    // A question that is under way is for the whole path to close; a group has no flow.
    if !same || flow.state & Flow::AGAIN != 0 || to & MAC_GROUP << 16 != 0 {
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
