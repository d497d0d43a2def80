//! The XDP program: the verdict, bound to kernel maps.
//!
//! Two entry points: `cordon` judges what comes in on a port; `cordon_flood` sits in the flood device map
//! and gives each copy of a flooded frame the tag of the port it leaves by.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod frame;
mod maps;
mod tables;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use cordon_verdict::abi::{Trace, attachment_port};
use cordon_verdict::{Egress, Outcome, flood_copy, judge};

use frame::XdpFrame;
use maps::{FLOOD_PORTS, PORTS_OUT, TRACE_OUT, port_of, tracing};
use tables::Maps;

/// A frame came in on a port.
#[xdp]
pub fn cordon(ctx: XdpContext) -> u32 {
    let port = port_of(ctx.ingress_ifindex() as u32);
    let mut frame = XdpFrame::new(&ctx);
    let outcome = judge(&mut frame, &mut Maps, port);
    if tracing() {
        trace(&outcome);
    }
    match outcome.verdict {
        Err(_) => XDP_DROP,
        Ok(Egress::Attachment(attachment)) => {
            // The low bits are what the kernel answers if the port is not there: fail closed.
            sent(PORTS_OUT.redirect(attachment_port(attachment) as u32, XDP_DROP as u64))
        }
        Ok(Egress::Flood { .. }) => {
            const BROADCAST: u64 = 1 << 3;
            const EXCLUDE_INGRESS: u64 = 1 << 4;
            sent(FLOOD_PORTS.redirect(0, BROADCAST | EXCLUDE_INGRESS))
        }
    }
}

/// A copy of a flooded frame leaves by a port.
#[xdp(map = "devmap")]
pub fn cordon_flood(ctx: XdpContext) -> u32 {
    let ingress = port_of(ctx.ingress_ifindex() as u32);
    // SAFETY: the context is valid for the whole run, and the field may be read in a device map program.
    let egress = port_of(unsafe { (*ctx.ctx).egress_ifindex });
    let mut frame = XdpFrame::new(&ctx);
    match flood_copy(&mut frame, &Maps, ingress, egress) {
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

#[inline(always)]
fn trace(outcome: &Outcome) {
    let Some(out) = TRACE_OUT.get_ptr_mut(0) else {
        return;
    };
    let (reason, flood, egress) = match outcome.verdict {
        Err(reason) => (reason as u8, 0, 0),
        Ok(Egress::Attachment(attachment)) => (0, 0, attachment),
        Ok(Egress::Flood { segment }) => (0, 1, segment),
    };
    // SAFETY: an element of a per-processor array, valid and this processor's while the program runs.
    unsafe { *out = Trace { reason, flood, egress, rule: outcome.rule } };
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // Nothing here can panic: the verifier would not find an end to this loop.
    loop {}
}
