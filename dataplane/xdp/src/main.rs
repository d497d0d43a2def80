//! The XDP program: the verdict, bound to kernel maps.
//!
//! Four entry points: `cordon` judges what comes in on a port; `cordon_flood` and `cordon_inside` sit in the two flood
//! device maps and give each copy of a flooded frame the tags of the port it leaves by; `cordon_copies` is on every port's
//! tc ingress and makes the copies that device maps cannot.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![allow(
    internal_features,
    reason = "`is_val_statically_known` has no other name yet"
)]
#![allow(
    missing_docs,
    reason = "aya's attribute macros do not keep the documentation of entry points"
)]

mod copies;
mod evicting;
mod flows;
mod frame;
mod maps;
mod tables;

use core::arch::asm;
use core::mem::MaybeUninit;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS};
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use cordon_verdict::abi::{Control, CopyMetadata, Trace};
use cordon_verdict::path::{Next, Stages, walk};
use cordon_verdict::{
    Denied, Egress, FastPath, InFlight as _, Passed, Pending, Rewriting, Step, Tables as _,
    dropped, flood_copy, stage,
};

use frame::XdpFrame;
use maps::{FLOOD_INSIDE, FLOOD_PORTS, PORTS_OUT, Scratch, TRACE_OUT, port_of, scratch, tracing};
use tables::Maps;

/// The licence of the programs, which the loader passes to the kernel. With one other than the GPL the kernel refuses the
/// helpers that it reserves for the GPL: the programs use none.
// SAFETY: no other symbol has this name, and nothing but the loader reads the section.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
pub static LICENSE: [u8; 11] = *b"Apache-2.0\0";

/// A frame came in on a port.
#[xdp(frags)]
pub fn cordon(ctx: XdpContext) -> u32 {
    walk(&mut Pieces { ctx: ctx.ctx }).0
}

/// The stages as BPF functions, one after the other rather than one inside the other, for the sake of the 512 bytes of
/// stack that they share. What one leaves to the next is in the scratch space.
struct Pieces {
    ctx: *mut xdp_md,
}

impl Stages for Pieces {
    #[inline(always)]
    fn fast_path(&mut self) -> Next {
        Next(fast_path(self.ctx))
    }

    #[inline(always)]
    fn begin(&mut self, after: Next) -> Next {
        Next(begin(self.ctx, after.0))
    }

    #[inline(always)]
    fn extended(&mut self) -> Next {
        Next(extended(self.ctx))
    }

    #[inline(always)]
    fn upper_layer(&mut self) -> Next {
        Next(upper_layer(self.ctx))
    }

    #[inline(always)]
    fn identify(&mut self) -> Next {
        Next(identify(self.ctx))
    }

    #[inline(always)]
    fn neighbour(&mut self) -> Next {
        Next(neighbour(self.ctx))
    }

    #[inline(always)]
    fn authorise(&mut self) -> Next {
        Next(authorise(self.ctx))
    }

    #[inline(always)]
    fn forward(&mut self) -> Next {
        Next(forward(self.ctx))
    }

    #[inline(always)]
    fn account(&mut self) -> Next {
        Next(account(self.ctx))
    }

    #[inline(always)]
    fn establish(&mut self, next: Next) -> Next {
        Next(establish(self.ctx, next.0))
    }

    #[inline(always)]
    fn rewrite(&mut self) -> Next {
        Next(rewrite(self.ctx))
    }

    #[inline(always)]
    fn drop(&mut self) -> Next {
        Next(drop_frame(self.ctx))
    }

    #[inline(always)]
    fn copy(&mut self) -> Next {
        Next(copy_per_attachment(self.ctx))
    }
}

/// The fast path: nearly every packet belongs to an established flow, and is done after this.
#[inline(never)]
fn fast_path(ctx: *mut xdp_md) -> u32 {
    let ctx = XdpContext::new(ctx);
    let port = port_of(ctx.ingress_ifindex() as u32);
    let control = Maps.control();
    match cordon_verdict::fast_path(&mut XdpFrame::new(&ctx), &mut Maps, control, port) {
        FastPath::Forwarded(passed) => send(passed, control),
        FastPath::FlowMiss => Next::FLOW_MISS.0,
        FastPath::Undecided => Next::UNDECIDED.0,
    }
}

#[inline(never)]
fn begin(ctx: *mut xdp_md, after: u32) -> u32 {
    let ctx = XdpContext::new(ctx);
    let port = port_of(ctx.ingress_ifindex() as u32);
    let mut frame = XdpFrame::new(&ctx);
    let control = Maps.control();
    let miss = after == Next::FLOW_MISS.0;
    match stage::begin(&mut frame, &mut Maps, control, port, miss) {
        Ok(Step::Forwarded(passed)) => send(passed, control),
        Ok(Step::Judge(pending)) => leave(Next::JUDGE, |scratch| {
            scratch.pending = MaybeUninit::new(pending);
        }),
        Ok(Step::Extended(extended)) => leave(Next::EXTENDED, |scratch| {
            scratch.extended = MaybeUninit::new(extended);
        }),
        Ok(Step::Rewrite(rewriting)) => leave(Next::REWRITE, |scratch| {
            scratch.rewriting = MaybeUninit::new(rewriting);
        }),
        // Only the extended parse answers this.
        Ok(Step::UpperLayer(_)) => XDP_ABORTED,
        Err(denied) => leave(Next::DROP, |scratch| {
            scratch.control = control;
            scratch.port = port;
            scratch.denied = MaybeUninit::new(denied);
        }),
    }
}

/// The extended parse. A global function, as are those below: the verifier checks each once, by itself, instead of once
/// for every path that leads to it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn extended(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = scratch() else {
        return XDP_ABORTED;
    };
    // SAFETY: `begin` wrote it, on this processor, for this frame.
    let state = &unsafe { scratch.extended.assume_init() };
    let mut frame = XdpFrame::new(&XdpContext::new(ctx));
    let step = stage::extended(&mut frame, &mut Maps, state);
    hand_over(scratch, step, state.control(), state.port())
}

/// Parses what follows the headers that `extended` parsed.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn upper_layer(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = scratch() else {
        return XDP_ABORTED;
    };
    // SAFETY: `extended` wrote it, on this processor, for this frame.
    let state = &unsafe { scratch.upper_layer.assume_init() };
    let (control, port) = (state.control(), state.port());
    let mut frame = XdpFrame::new(&XdpContext::new(ctx));
    let step = stage::upper_layer(&mut frame, &mut Maps, state);
    hand_over(scratch, step, control, port)
}

/// Leaves the result of a stage to the next one.
#[inline(always)]
fn hand_over(
    scratch: &mut Scratch,
    step: Result<Step, Denied>,
    control: Control,
    port: u16,
) -> u32 {
    match step {
        Ok(Step::Forwarded(passed)) => send(passed, control),
        Ok(Step::Judge(pending)) => {
            scratch.pending = MaybeUninit::new(pending);
            Next::JUDGE.0
        }
        Ok(Step::UpperLayer(state)) => {
            scratch.upper_layer = MaybeUninit::new(state);
            Next::UPPER_LAYER.0
        }
        Ok(Step::Rewrite(rewriting)) => {
            scratch.rewriting = MaybeUninit::new(rewriting);
            Next::REWRITE.0
        }
        // No stage after `begin` answers this.
        Ok(Step::Extended(_)) => XDP_ABORTED,
        Err(denied) => {
            scratch.control = control;
            scratch.port = port;
            scratch.denied = MaybeUninit::new(denied);
            Next::DROP.0
        }
    }
}

/// Identifies the source and the destination.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn identify(ctx: *mut xdp_md) -> u32 {
    take(ctx);
    let Some(pending) = pending() else {
        return XDP_ABORTED;
    };
    let done = stage::identify(&mut Maps, pending);
    next(pending, done.map(|next| next.0))
}

/// Judges ARP and neighbour discovery.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn neighbour(ctx: *mut xdp_md) -> u32 {
    let Some(pending) = pending() else {
        return XDP_ABORTED;
    };
    let frame = XdpFrame::new(&XdpContext::new(ctx));
    let done = stage::neighbour(&frame, &mut Maps, pending);
    next(pending, done.map(|()| Next::CONTINUE.0))
}

/// Judges by posture and policy.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn authorise(ctx: *mut xdp_md) -> u32 {
    take(ctx);
    let Some(pending) = pending() else {
        return XDP_ABORTED;
    };
    let done = stage::authorise(&mut Maps, pending);
    next(pending, done.map(|()| Next::CONTINUE.0))
}

/// Finds where the frame leaves.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn forward(ctx: *mut xdp_md) -> u32 {
    take(ctx);
    let Some(pending) = pending() else {
        return XDP_ABORTED;
    };
    let done = stage::forward(&mut Maps, pending);
    next(pending, done.map(|()| Next::CONTINUE.0))
}

/// Counts it, and remembers its flow.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn account(ctx: *mut xdp_md) -> u32 {
    let Some(pending) = pending() else {
        return XDP_ABORTED;
    };
    let mut frame = XdpFrame::new(&XdpContext::new(ctx));
    let done = match stage::account(&mut frame, &mut Maps, pending) {
        Ok(Step::Forwarded(passed)) => Ok(send(passed, pending.control())),
        Ok(Step::Rewrite(rewriting)) => Ok(leave(Next::REWRITE, |scratch| {
            scratch.rewriting = MaybeUninit::new(rewriting);
        })),
        // `account` answers one of the two above.
        Ok(Step::Extended(_) | Step::UpperLayer(_) | Step::Judge(_)) => Ok(XDP_ABORTED),
        Err(denied) => Err(denied),
    };
    let establish = if pending.establishes {
        Next::ESTABLISH
    } else {
        0
    };
    next(pending, done) | establish
}

/// Moves the flow to the established ones.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn establish(ctx: *mut xdp_md, next: u32) -> u32 {
    take(ctx);
    if let Some(pending) = pending() {
        stage::establish(&mut Maps, pending);
    }
    next & !Next::ESTABLISH
}

/// Writes the tags and MAC addresses that the frame leaves with.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rewrite(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = scratch() else {
        return XDP_ABORTED;
    };
    // SAFETY: one of the stages above wrote it, on this processor, for this frame.
    let rewriting = unsafe { scratch.rewriting.assume_init_ref() };
    let mut frame = XdpFrame::new(&XdpContext::new(ctx));
    match stage::rewrite(&mut frame, &mut Maps, rewriting) {
        Ok(Passed { port, .. }) => {
            // Read again: if it were kept, LLVM would spill its padding, which is undefined and which Linux 6.1 refuses.
            let again = frame::opaque(core::ptr::from_ref(rewriting) as usize) as *const Rewriting;
            // SAFETY: the same reference.
            let rewriting = unsafe { &*again };
            send(rewriting.passed(port), rewriting.control())
        }
        Err(denied) => {
            scratch.control = rewriting.control();
            scratch.port = rewriting.port();
            scratch.denied = MaybeUninit::new(denied);
            Next::DROP.0
        }
    }
}

/// Keeps LLVM from removing an unused argument: the verifier takes the arguments from the function's type, and the caller
/// has to pass them.
#[inline(always)]
#[allow(
    clippy::pointers_in_nomem_asm_block,
    reason = "the instruction does not read the memory that the pointer points to"
)]
fn take(ctx: *mut xdp_md) {
    // SAFETY: an empty operation on a register.
    unsafe { asm!("{0} = {0}", inout(reg) ctx => _, options(nomem, nostack, preserves_flags)) };
}

/// The packet that an earlier stage left in the scratch space.
#[inline(always)]
fn pending() -> Option<&'static mut Pending> {
    let scratch = scratch()?;
    // SAFETY: `begin`, `extended` or `upper_layer` wrote it, on this processor, for this frame.
    Some(unsafe { scratch.pending.assume_init_mut() })
}

/// The stage that comes next.
#[inline(always)]
fn next(pending: &Pending, done: Result<u32, Denied>) -> u32 {
    match done {
        Ok(answer) => answer,
        Err(denied) => leave(Next::DROP, |scratch| {
            scratch.control = pending.control();
            scratch.port = pending.port();
            scratch.denied = MaybeUninit::new(denied);
        }),
    }
}

/// Drops a frame for the reason in the scratch space.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn drop_frame(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = scratch() else {
        return XDP_ABORTED;
    };
    // SAFETY: one of the stages above wrote it, on this processor, for this frame.
    let denied = unsafe { scratch.denied.assume_init() };
    let frame = XdpFrame::new(&XdpContext::new(ctx));
    dropped(&frame, &mut Maps, scratch.control, scratch.port, denied);
    trace(Trace {
        reason: denied.reason as u8,
        rule: denied.rule,
        ..Trace::default()
    });
    XDP_DROP
}

/// Hands a frame on to the tc program, which copies it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn copy_per_attachment(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = scratch() else {
        return XDP_ABORTED;
    };
    // SAFETY: one of the stages above wrote it, on this processor, for this frame.
    let metadata = unsafe { scratch.metadata.assume_init() };
    copies::announce(ctx, metadata)
}

/// Leaves something to the next stage.
#[inline(always)]
fn leave(next: Next, what: impl FnOnce(&mut Scratch)) -> u32 {
    match scratch() {
        Some(scratch) => {
            what(scratch);
            next.0
        }
        None => XDP_ABORTED,
    }
}

/// Redirects a frame that passes to the port it leaves by.
#[inline(always)]
fn send(passed: Passed, control: Control) -> u32 {
    let Passed { rule, port, .. } = passed;
    match passed.egress {
        Egress::Attachment(egress) => {
            trace(Trace {
                egress,
                rule,
                ..Trace::default()
            });
            // The kernel answers the low bits if the map has no such port: a drop.
            sent(PORTS_OUT.redirect(port as u32, XDP_DROP as u64))
        }
        Egress::Flood {
            segment,
            inside,
            copies,
        } => {
            const BROADCAST: u64 = 1 << 3;
            const EXCLUDE_INGRESS: u64 = 1 << 4;
            trace(Trace {
                flood: 1 + inside as u8,
                egress: segment,
                rule,
                ..Trace::default()
            });
            if copies.are_per_attachment() {
                return leave(Next::COPY, |scratch| {
                    let metadata = CopyMetadata::new(control, segment, inside, copies);
                    scratch.metadata = MaybeUninit::new(metadata);
                });
            }
            let ports = if inside { &FLOOD_INSIDE } else { &FLOOD_PORTS };
            sent(ports.redirect(0, BROADCAST | EXCLUDE_INGRESS))
        }
    }
}

/// A copy of a flooded frame leaves by a port.
#[xdp(frags, map = "devmap")]
pub fn cordon_flood(ctx: XdpContext) -> u32 {
    copy(&ctx, false)
}

/// A copy of a frame that is flooded inside leaves by a port, unless that is an uplink.
#[xdp(frags, map = "devmap")]
pub fn cordon_inside(ctx: XdpContext) -> u32 {
    copy(&ctx, true)
}

#[inline(always)]
fn copy(ctx: &XdpContext, inside: bool) -> u32 {
    let ingress = port_of(ctx.ingress_ifindex() as u32);
    // SAFETY: the context is valid for the whole run, and the field may be read in a device map program.
    let egress = port_of(unsafe { (*ctx.ctx).egress_ifindex });
    let mut frame = XdpFrame::new(ctx);
    match flood_copy(&mut frame, &Maps, ingress, egress, inside) {
        Ok(()) => XDP_PASS,
        Err(_) => XDP_DROP,
    }
}

/// The action of a redirect; never XDP_PASS, which would give the frame to the host's own stack.
#[inline(always)]
fn sent(redirected: Result<u32, u32>) -> u32 {
    match redirected {
        Ok(action) => action,
        Err(_) => XDP_ABORTED,
    }
}

/// Records the outcome of a frame, in a program that was loaded to trace.
#[inline(always)]
fn trace(trace: Trace) {
    if !tracing() {
        return;
    }
    if let Some(out) = TRACE_OUT.get_ptr_mut(0) {
        // SAFETY: an element of a per-processor array, valid and this processor's while the program runs.
        unsafe { *out = trace };
    }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // Nothing here can panic: the verifier would not find an end to this loop.
    loop {}
}
