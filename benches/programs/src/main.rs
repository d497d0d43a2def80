//! The XDP programs at the ends of the benchmark, and the gateway that does nothing.
//!
//! `generate` is run by `BPF_PROG_TEST_RUN` with live frames; `redirect` is the limit that any gateway can come near;
//! `count` swallows what arrives.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod generate;

use core::arch::asm;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP};
use aya_ebpf::btf_maps::{DevMap, PerCpuArray};
use aya_ebpf::macros::{btf_map, xdp};
use aya_ebpf::programs::XdpContext;

/// Where `generate` and `redirect` send to.
#[btf_map]
static OUT: DevMap<1> = DevMap::new();

/// Frames that `count` has seen: of the benchmark, and others.
#[btf_map]
static COUNTED: PerCpuArray<u64, 2> = PerCpuArray::new();

/// Writes the next frame of the next flow, and sends it.
#[xdp]
pub fn generate(ctx: XdpContext) -> u32 {
    match generate::write(&ctx) {
        Some(()) => send(),
        None => XDP_ABORTED,
    }
}

/// Sends everything on, looking at nothing.
#[xdp]
pub fn redirect(_ctx: XdpContext) -> u32 {
    send()
}

#[inline(always)]
fn send() -> u32 {
    match OUT.redirect(0, XDP_DROP as u64) {
        Ok(action) => action,
        Err(_) => XDP_ABORTED,
    }
}

/// Counts and drops.
#[xdp]
pub fn count(ctx: XdpContext) -> u32 {
    let start = opaque(ctx.data());
    let ours = if start + 60 > opaque(ctx.data_end()) {
        false
    } else {
        // SAFETY: within the frame, checked.
        let ether_type = u16::from_be(unsafe { *((start + 12) as *const u16) });
        ether_type == 0x0800 || ether_type == 0x8100
    };
    if let Some(counter) = COUNTED.get_ptr_mut(if ours { 0 } else { 1 }) {
        // SAFETY: an element of a per-processor array, valid and this processor's while the program runs.
        unsafe { *counter += 1 };
    }
    XDP_DROP
}

/// The same pointer, as far as LLVM can tell another: it may otherwise check one and read through its twin.
#[inline(always)]
fn opaque(mut pointer: usize) -> usize {
    // SAFETY: does nothing, to nothing. Not an empty string: that makes the BTF line info invalid.
    unsafe {
        asm!("{0} = {0}", inout(reg) pointer, options(nomem, nostack, preserves_flags, pure));
    }
    pointer
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // Nothing here can panic: the verifier would not find an end to this loop.
    loop {}
}
