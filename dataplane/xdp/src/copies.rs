//! Copies that are made one by one: the XDP program says of which frame, in front of it, and passes it on; the tc program
//! makes them. What gets this far and says nothing is dropped, so that nothing goes up the host's stack.

use core::mem::size_of;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::bindings::{__sk_buff, TC_ACT_SHOT, xdp_md};
use aya_ebpf::helpers::{
    bpf_clone_redirect, bpf_skb_vlan_pop, bpf_skb_vlan_push, bpf_xdp_adjust_meta,
};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::{TcContext, XdpContext};
use cordon_verdict::abi::{
    COPIES_MOST, Copies, CopyTo, Copying, copy_index, place_inner, place_outer, place_port,
    span_index,
};
use cordon_verdict::{Reason, Tables as _};

use crate::frame::{XdpFrame, opaque};
use crate::maps::{COPIES, COPY_SPANS, PORT_NICS, scratch};
use crate::tables::Maps;

/// Copies that [`copy_some`] makes. The verifier looks at each of them, and at each call of it.
const SOME: u32 = 64;
const _: () = assert!(COPIES_MOST.is_multiple_of(SOME as usize));

/// Puts what is in the scratch space in front of the frame, for the tc program.
#[inline(always)]
pub fn announce(ctx: *mut xdp_md, mut copying: Copying) -> u32 {
    if let Some(scratch) = scratch() {
        scratch.copied = scratch.copied.wrapping_add(1);
        copying.number = scratch.copied;
    }
    match put_in_front(ctx, copying) {
        Some(()) => XDP_PASS,
        None => {
            // A driver that has no room there: fail closed, and have it seen.
            let frame = XdpFrame::new(&XdpContext::new(ctx));
            Maps.count_drop(Reason::Retag, cordon_verdict::Frame::len(&frame));
            XDP_DROP
        }
    }
}

#[inline(always)]
fn put_in_front(ctx: *mut xdp_md, copying: Copying) -> Option<()> {
    // SAFETY: the context is valid.
    if unsafe { bpf_xdp_adjust_meta(ctx, -(size_of::<Copying>() as i32)) } != 0 {
        return None;
    }
    // SAFETY: as above.
    let (start, end) = unsafe { ((*ctx).data_meta, (*ctx).data) };
    let (start, end) = (opaque(start as usize), opaque(end as usize));
    if start + size_of::<Copying>() > end {
        return None;
    }
    // SAFETY: within what was just made room for, checked.
    unsafe { *(start as *mut Copying) = copying };
    Some(())
}

/// Makes the copies of what the XDP program passes on, and drops it, and everything else.
#[classifier]
pub fn cordon_copies(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    if let Some(copying) = announced(skb) {
        copy_all(skb, &copying);
    }
    TC_ACT_SHOT
}

#[inline(always)]
fn announced(skb: *mut __sk_buff) -> Option<Copying> {
    // SAFETY: the context is valid.
    let (start, end) = unsafe { ((*skb).data_meta, (*skb).data) };
    let (start, end) = (opaque(start as usize), opaque(end as usize));
    if start + size_of::<Copying>() > end {
        return None;
    }
    // SAFETY: within what is in front of the frame, checked.
    let copying: Copying = unsafe { *(start as *const Copying) };
    // Under another epoch the slot may be another's, and the posture stricter.
    let current = copying.epoch == Maps.control().epoch;
    (copying.magic == Copying::MAGIC && current).then_some(copying)
}

#[inline(always)]
fn copy_all(skb: *mut __sk_buff, copying: &Copying) {
    let Some(span) = COPY_SPANS.get(span_index(copying.slot & 1, copying.segment)) else {
        return;
    };
    let (first, mut left) = (copy_index(copying.slot & 1, span.first), span.count);
    let Copies {
        flags,
        priority,
        ingress,
    } = copying.copies;
    let how = (flags as u32) << 24 | (priority as u32) << 16 | ingress as u32;
    for turn in 0..COPIES_MOST as u32 / SOME {
        if left == 0 || copy_some(skb, first + turn * SOME, left, how) != 0 {
            return;
        }
        left = left.saturating_sub(SOME);
    }
}

/// Up to [`SOME`] copies, to the attachments in the list from `first` on. A global function: the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn copy_some(skb: *mut __sk_buff, first: u32, count: u32, how: u32) -> u32 {
    let copies = Copies {
        flags: (how >> 24) as u8,
        priority: (how >> 16) as u8,
        ingress: how as u16,
    };
    for at in 0..SOME {
        if at >= count {
            break;
        }
        let Some(to) = COPIES.get(first + at) else {
            return 1;
        };
        if !to.gets(copies) {
            continue;
        }
        let Some(nic) = PORT_NICS.get(place_port(to.place) as u32) else {
            continue;
        };
        if copy_one(skb, *to, copies, *nic).is_none() {
            return 1;
        }
    }
    0
}

/// One copy; nothing if there was no memory for its tags, after which nobody knows what is in the frame.
#[inline(always)]
fn copy_one(skb: *mut __sk_buff, to: CopyTo, copies: Copies, nic: u32) -> Option<()> {
    const CUSTOMER: u16 = 0x8100;
    let (outer_priority, inner_priority) = copies.priorities();
    let (outer, inner) = (place_outer(to.place), place_inner(to.place));
    let outer_type = if inner == 0 {
        CUSTOMER
    } else {
        to.outer_type()
    };
    if inner != 0 {
        push(skb, CUSTOMER, inner | inner_priority)?;
    }
    if outer != 0 {
        push(skb, outer_type, outer | outer_priority)?;
    }
    // SAFETY: the context is valid. That an interface is down is no reason not to go on.
    let _ = unsafe { bpf_clone_redirect(skb, nic, 0) };
    if outer != 0 {
        pop(skb)?;
    }
    if inner != 0 {
        pop(skb)?;
    }
    Some(())
}

#[inline(always)]
fn push(skb: *mut __sk_buff, ether_type: u16, tag: u16) -> Option<()> {
    // SAFETY: the context is valid.
    match unsafe { bpf_skb_vlan_push(skb, ether_type.to_be(), tag) } {
        0 => Some(()),
        _ => None,
    }
}

#[inline(always)]
fn pop(skb: *mut __sk_buff) -> Option<()> {
    // SAFETY: the context is valid.
    match unsafe { bpf_skb_vlan_pop(skb) } {
        0 => Some(()),
        _ => None,
    }
}
