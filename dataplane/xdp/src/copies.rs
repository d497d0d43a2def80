//! Copies per attachment: the XDP program writes a `CopyMetadata` in front of a frame and passes the frame up; the tc
//! program makes the copies. It drops every frame that it gets, so that none reaches the host's stack.

use core::mem::size_of;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::bindings::{__sk_buff, TC_ACT_SHOT, xdp_md};
use aya_ebpf::helpers::{
    bpf_clone_redirect, bpf_skb_vlan_pop, bpf_skb_vlan_push, bpf_xdp_adjust_meta,
};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::{TcContext, XdpContext};
use cordon_verdict::abi::{
    COPIES_MOST, Copies, CopyMetadata, CopyTarget, copy_index, location_inner, location_outer,
    location_port, span_index,
};
use cordon_verdict::{Reason, Tables as _};

use crate::frame::{XdpFrame, opaque};
use crate::maps::{COPIES, COPY_SPANS, PORT_NICS, scratch};
use crate::tables::Maps;

/// Copies that one call of [`copy_batch`] makes at most. The verifier walks through every copy of a batch, and every
/// call.
const BATCH: u32 = 64;
const _: () = assert!(COPIES_MOST.is_multiple_of(BATCH as usize));

/// Writes the metadata in front of the frame and passes it to the tc program.
#[inline(always)]
pub fn announce(ctx: *mut xdp_md, mut copying: CopyMetadata) -> u32 {
    if let Some(scratch) = scratch() {
        scratch.copied = scratch.copied.wrapping_add(1);
        copying.number = scratch.copied;
    }
    match write_metadata(ctx, copying) {
        Some(()) => XDP_PASS,
        None => {
            // The driver has no room for metadata: fail closed, and count the drop.
            let frame = XdpFrame::new(&XdpContext::new(ctx));
            Maps.count_drop(Reason::Retag, cordon_verdict::Frame::len(&frame));
            XDP_DROP
        }
    }
}

#[inline(always)]
fn write_metadata(ctx: *mut xdp_md, copying: CopyMetadata) -> Option<()> {
    // SAFETY: the context is valid.
    if unsafe { bpf_xdp_adjust_meta(ctx, -(size_of::<CopyMetadata>() as i32)) } != 0 {
        return None;
    }
    // SAFETY: as above.
    let (start, end) = unsafe { ((*ctx).data_meta, (*ctx).data) };
    let (start, end) = (opaque(start as usize), opaque(end as usize));
    if start + size_of::<CopyMetadata>() > end {
        return None;
    }
    // SAFETY: within the metadata area, checked.
    unsafe { *(start as *mut CopyMetadata) = copying };
    Some(())
}

/// Makes the copies of a frame with metadata of the XDP program, and drops the frame; drops every other frame.
#[classifier]
pub fn cordon_copies(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    if let Some(copying) = read_metadata(skb) {
        copy_all(skb, &copying);
    }
    TC_ACT_SHOT
}

#[inline(always)]
fn read_metadata(skb: *mut __sk_buff) -> Option<CopyMetadata> {
    // SAFETY: the context is valid.
    let (start, end) = unsafe { ((*skb).data_meta, (*skb).data) };
    let (start, end) = (opaque(start as usize), opaque(end as usize));
    if start + size_of::<CopyMetadata>() > end {
        return None;
    }
    // SAFETY: within the metadata area, checked.
    let copying: CopyMetadata = unsafe { *(start as *const CopyMetadata) };
    // Under another epoch the slot may hold another generation, and the posture may be stricter.
    let current = copying.epoch == Maps.control().epoch;
    (copying.magic == CopyMetadata::MAGIC && current).then_some(copying)
}

#[inline(always)]
fn copy_all(skb: *mut __sk_buff, copying: &CopyMetadata) {
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
    for turn in 0..COPIES_MOST as u32 / BATCH {
        if left == 0 || copy_batch(skb, first + turn * BATCH, left, how) != 0 {
            return;
        }
        left = left.saturating_sub(BATCH);
    }
}

/// Makes up to [`BATCH`] copies, to the attachments in the list from `first` on. A global function: the verifier checks
/// it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn copy_batch(skb: *mut __sk_buff, first: u32, count: u32, how: u32) -> u32 {
    let copies = Copies {
        flags: (how >> 24) as u8,
        priority: (how >> 16) as u8,
        ingress: how as u16,
    };
    for at in 0..BATCH {
        if at >= count {
            break;
        }
        let Some(to) = COPIES.get(first + at) else {
            return 1;
        };
        if !to.gets(copies) {
            continue;
        }
        let Some(nic) = PORT_NICS.get(location_port(to.location) as u32) else {
            continue;
        };
        if copy_one(skb, *to, copies, *nic).is_none() {
            return 1;
        }
    }
    0
}

/// Makes one copy. `None` if there was no memory for its tags: then the content of the frame is not known any more.
#[inline(always)]
fn copy_one(skb: *mut __sk_buff, to: CopyTarget, copies: Copies, nic: u32) -> Option<()> {
    const CUSTOMER: u16 = 0x8100;
    let (outer_priority, inner_priority) = copies.priorities();
    let (outer, inner) = (location_outer(to.location), location_inner(to.location));
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
    // SAFETY: the context is valid. If the interface is down, the other copies are still made.
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
