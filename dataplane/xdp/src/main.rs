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

mod copies;
mod flows;
mod frame;
mod maps;
mod recent;
mod tables;

use core::arch::asm;
use core::mem::MaybeUninit;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS};
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use cordon_verdict::abi::{Control, Copies, Copying, Trace};
use cordon_verdict::{
    Denied, Departing, Egress, Passed, Pending, Short, Step, Tables as _, Waiting as _, behind,
    conclude, depart, dropped, enter, establish, flood_copy, rare, short, whether, whither, who,
};

use frame::XdpFrame;
use maps::{FLOOD_INSIDE, FLOOD_PORTS, PORTS_OUT, Scratch, TRACE_OUT, port_of, scratch, tracing};
use tables::Maps;

/// What the pieces below answer besides an XDP action.
const WALK: u32 = 0x100;
const JUDGE: u32 = 0x101;
const NEXT: u32 = 0x102;
const REFUSE: u32 = 0x103;
const COPY: u32 = 0x104;
const DEPART: u32 = 0x105;
const BEHIND: u32 = 0x106;
const STRANGER: u32 = 0x107;
/// Beside one of these, or an action.
const ESTABLISH: u32 = 0x200;

/// A frame came in on a port. The packet path of `cordon_verdict::judge`, in pieces: an established flow is done
/// after the first. One after the other rather than one inside the other, for the sake of the 512 bytes of stack
/// that they share.
#[xdp(frags)]
pub fn cordon(ctx: XdpContext) -> u32 {
    let mut answer = settle(ctx.ctx);
    if answer == NEXT || answer == STRANGER {
        answer = begin(ctx.ctx, answer);
    }
    if answer == WALK {
        answer = walk(ctx.ctx);
    }
    if answer == BEHIND {
        answer = behind_headers(ctx.ctx);
    }
    if answer == JUDGE {
        answer = identify(ctx.ctx);
        if answer == NEXT {
            answer = authorise(ctx.ctx);
        }
        if answer == NEXT {
            answer = forward(ctx.ctx);
        }
        if answer == NEXT {
            answer = finish(ctx.ctx);
        }
    }
    if answer & ESTABLISH != 0 {
        answer = establish_flow(ctx.ctx, answer);
    }
    if answer == DEPART {
        answer = leave_with_tags(ctx.ctx);
    }
    if answer == REFUSE {
        answer = refuse(ctx.ctx);
    }
    if answer == COPY {
        answer = hand_on(ctx.ctx);
    }
    answer
}

/// Nearly every packet is an established flow's, and done after this.
#[inline(never)]
fn settle(ctx: *mut xdp_md) -> u32 {
    let ctx = XdpContext::new(ctx);
    let port = port_of(ctx.ingress_ifindex() as u32);
    let control = Maps.control();
    match short(&mut XdpFrame::new(&ctx), &mut Maps, control, port) {
        Short::Passes(passed) => send(passed, control),
        Short::Stranger => STRANGER,
        Short::Undecided => NEXT,
    }
}

#[inline(never)]
fn begin(ctx: *mut xdp_md, settled: u32) -> u32 {
    let ctx = XdpContext::new(ctx);
    let port = port_of(ctx.ingress_ifindex() as u32);
    let mut frame = XdpFrame::new(&ctx);
    let control = Maps.control();
    match enter(&mut frame, &mut Maps, control, port, settled == STRANGER) {
        Ok(Step::Settled(passed)) => send(passed, control),
        Ok(Step::Judge(pending)) => leave(JUDGE, |scratch| {
            scratch.pending = MaybeUninit::new(pending);
        }),
        Ok(Step::Rare(rare)) => leave(WALK, |scratch| {
            scratch.rare = MaybeUninit::new(rare);
        }),
        Ok(Step::Depart(departing)) => leave(DEPART, |scratch| {
            scratch.departing = MaybeUninit::new(departing);
        }),
        // It has not walked.
        Ok(Step::Walked(_)) => XDP_ABORTED,
        Err(denied) => leave(REFUSE, |scratch| {
            scratch.control = control;
            scratch.port = port;
            scratch.denied = MaybeUninit::new(denied);
        }),
    }
}

/// Parses the long way what `begin` left in the scratch space. A global function, as are those below: the verifier looks
/// at each once, by itself, instead of once for every way to get there.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn walk(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = scratch() else {
        return XDP_ABORTED;
    };
    // SAFETY: `begin` wrote it, on this processor, for this frame.
    let waiting = &unsafe { scratch.rare.assume_init() };
    let mut frame = XdpFrame::new(&XdpContext::new(ctx));
    let step = rare(&mut frame, &mut Maps, waiting);
    go_on(scratch, step, waiting.control(), waiting.port())
}

/// What is behind the headers that `walk` walked over.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn behind_headers(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = scratch() else {
        return XDP_ABORTED;
    };
    // SAFETY: `walk` wrote it, on this processor, for this frame.
    let waiting = &unsafe { scratch.behind.assume_init() };
    let (control, port) = (waiting.control(), waiting.port());
    let mut frame = XdpFrame::new(&XdpContext::new(ctx));
    let step = behind(&mut frame, &mut Maps, waiting);
    go_on(scratch, step, control, port)
}

/// Leaves what a piece has found out to the next.
#[inline(always)]
fn go_on(scratch: &mut Scratch, step: Result<Step, Denied>, control: Control, port: u16) -> u32 {
    match step {
        Ok(Step::Settled(passed)) => send(passed, control),
        Ok(Step::Judge(pending)) => {
            scratch.pending = MaybeUninit::new(pending);
            JUDGE
        }
        Ok(Step::Walked(waiting)) => {
            scratch.behind = MaybeUninit::new(waiting);
            BEHIND
        }
        Ok(Step::Depart(departing)) => {
            scratch.departing = MaybeUninit::new(departing);
            DEPART
        }
        // It answers with one of those above.
        Ok(Step::Rare(_)) => XDP_ABORTED,
        Err(denied) => {
            scratch.control = control;
            scratch.port = port;
            scratch.denied = MaybeUninit::new(denied);
            REFUSE
        }
    }
}

/// Who sent it, and to whom.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn identify(ctx: *mut xdp_md) -> u32 {
    let Some(pending) = pending() else {
        return XDP_ABORTED;
    };
    let frame = XdpFrame::new(&XdpContext::new(ctx));
    let done = who(&frame, &mut Maps, pending);
    next(pending, done.map(|()| NEXT))
}

/// Whether they may.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn authorise(ctx: *mut xdp_md) -> u32 {
    take(ctx);
    let Some(pending) = pending() else {
        return XDP_ABORTED;
    };
    let done = whether(&mut Maps, pending);
    next(pending, done.map(|()| NEXT))
}

/// Where it leaves.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn forward(ctx: *mut xdp_md) -> u32 {
    take(ctx);
    let Some(pending) = pending() else {
        return XDP_ABORTED;
    };
    let done = whither(&mut Maps, pending);
    next(pending, done.map(|()| NEXT))
}

/// What is remembered of it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn finish(ctx: *mut xdp_md) -> u32 {
    let Some(pending) = pending() else {
        return XDP_ABORTED;
    };
    let mut frame = XdpFrame::new(&XdpContext::new(ctx));
    let done = match conclude(&mut frame, &mut Maps, pending) {
        Ok(Step::Settled(passed)) => Ok(send(passed, pending.control())),
        Ok(Step::Depart(departing)) => Ok(leave(DEPART, |scratch| {
            scratch.departing = MaybeUninit::new(departing);
        })),
        // It answers with one of the two above.
        Ok(Step::Rare(_) | Step::Walked(_) | Step::Judge(_)) => Ok(XDP_ABORTED),
        Err(denied) => Err(denied),
    };
    let establishes = if pending.establishes { ESTABLISH } else { 0 };
    next(pending, done) | establishes
}

/// The flow is established by this; what is next is as it was.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn establish_flow(ctx: *mut xdp_md, answer: u32) -> u32 {
    take(ctx);
    if let Some(pending) = pending() {
        establish(&mut Maps, pending);
    }
    answer & !ESTABLISH
}

/// The tags and MAC addresses it leaves with.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn leave_with_tags(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = scratch() else {
        return XDP_ABORTED;
    };
    // SAFETY: one of the pieces above wrote it, on this processor, for this frame.
    let departing = unsafe { scratch.departing.assume_init_ref() };
    let mut frame = XdpFrame::new(&XdpContext::new(ctx));
    match depart(&mut frame, &mut Maps, departing) {
        Ok(Passed { port, .. }) => {
            // Read anew: kept meanwhile, it would be spilled with what is undefined in it, which Linux 6.1 does not take.
            let again = frame::opaque(core::ptr::from_ref(departing) as usize) as *const Departing;
            // SAFETY: the same reference.
            let departing = unsafe { &*again };
            send(departing.passed(port), departing.control())
        }
        Err(denied) => {
            scratch.control = departing.control();
            scratch.port = departing.port();
            scratch.denied = MaybeUninit::new(denied);
            REFUSE
        }
    }
}

/// Keeps LLVM from dropping an argument that is not used: the verifier sees from the function's type that there is one,
/// and wants the caller to pass it.
#[inline(always)]
fn take(ctx: *mut xdp_md) {
    // SAFETY: does nothing, to nothing.
    unsafe { asm!("{0} = {0}", inout(reg) ctx => _, options(nomem, nostack, preserves_flags)) };
}

/// What the stage before left in the scratch space.
#[inline(always)]
fn pending() -> Option<&'static mut Pending> {
    let scratch = scratch()?;
    // SAFETY: `begin` or `walk` wrote it, on this processor, for this frame.
    Some(unsafe { scratch.pending.assume_init_mut() })
}

/// What is next after a stage.
#[inline(always)]
fn next(pending: &Pending, done: Result<u32, Denied>) -> u32 {
    match done {
        Ok(answer) => answer,
        Err(denied) => leave(REFUSE, |scratch| {
            scratch.control = pending.control();
            scratch.port = pending.port();
            scratch.denied = MaybeUninit::new(denied);
        }),
    }
}

/// Drops a frame for the reason in the scratch space. Global as well.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn refuse(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = scratch() else {
        return XDP_ABORTED;
    };
    // SAFETY: one of the pieces above wrote it, on this processor, for this frame.
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

/// Hands a frame on to the tc program, which copies it. Global as well.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn hand_on(ctx: *mut xdp_md) -> u32 {
    let Some(scratch) = scratch() else {
        return XDP_ABORTED;
    };
    // SAFETY: one of the pieces above wrote it, on this processor, for this frame.
    let copying = unsafe { scratch.copying.assume_init() };
    copies::announce(ctx, copying)
}

/// Leaves something for the next piece.
#[inline(always)]
fn leave(answer: u32, what: impl FnOnce(&mut Scratch)) -> u32 {
    match scratch() {
        Some(scratch) => {
            what(scratch);
            answer
        }
        None => XDP_ABORTED,
    }
}

/// Hands a frame that passes to where it leaves.
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
            // The low bits are what the kernel answers if the port is not there: fail closed.
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
            if copies.are_one_by_one() {
                let inside = if inside { Copies::INSIDE } else { 0 };
                return leave(COPY, |scratch| {
                    scratch.copying = MaybeUninit::new(Copying {
                        magic: Copying::MAGIC,
                        epoch: control.epoch,
                        number: 0,
                        segment,
                        copies: Copies {
                            flags: copies.flags | inside,
                            ..copies
                        },
                        slot: control.slot,
                        pad: 0,
                    });
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

/// What the kernel says of a redirect; never that the frame may go up the host's own stack.
#[inline(always)]
fn sent(redirected: Result<u32, u32>) -> u32 {
    match redirected {
        Ok(action) => action,
        Err(_) => XDP_ABORTED,
    }
}

/// Writes down what became of a frame, in a program loaded to trace.
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
