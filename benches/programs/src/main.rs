//! The XDP programs at the ends of the benchmark, and the gateway that only redirects.
//!
//! `generate` runs by `BPF_PROG_TEST_RUN` with live frames; `redirect` is the upper limit for gateways; `count` counts
//! and drops received frames, `answer` sends them back as a server would.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod generate;
mod transport;

use core::arch::asm;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP};
use aya_ebpf::btf_maps::{DevMap, PerCpuArray};
use aya_ebpf::macros::{btf_map, xdp};
use aya_ebpf::programs::XdpContext;

/// The egress interface of `generate`, `redirect` and `answer`.
#[btf_map]
static OUT: DevMap<1> = DevMap::new();

/// Received frames: of the benchmark, and others.
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

/// Redirects every frame without inspection.
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
    note(ether_type(&ctx).is_some());
    XDP_DROP
}

/// Counts frames and sends them back. Not by `XDP_TX`, which works on a veth only if its peer has an XDP program too.
#[xdp]
pub fn answer(ctx: XdpContext) -> u32 {
    let turned = ether_type(&ctx).and_then(|ether_type| turn(&ctx, ether_type == TAG));
    note(turned.is_some());
    match turned {
        Some(()) => send(),
        None => XDP_DROP,
    }
}

const IPV4: u16 = 0x0800;
const TAG: u16 = 0x8100;

/// The EtherType of a frame of the benchmark.
#[inline(always)]
fn ether_type(ctx: &XdpContext) -> Option<u16> {
    let start = opaque(ctx.data());
    if start + 60 > opaque(ctx.data_end()) {
        return None;
    }
    // SAFETY: within the frame, checked.
    let ether_type = u16::from_be(unsafe { *((start + 12) as *const u16) });
    (ether_type == IPV4 || ether_type == TAG).then_some(ether_type)
}

/// Swaps source and destination. No checksum changes.
#[inline(always)]
fn turn(ctx: &XdpContext, tagged: bool) -> Option<()> {
    let start = opaque(ctx.data());
    let network = if tagged { 18 } else { 14 };
    if start + network + 24 > opaque(ctx.data_end()) {
        return None;
    }
    let ip = start + network;
    // SAFETY: within the frame, checked; unaligned access is allowed where this runs.
    unsafe {
        swap::<u32>(start, start + 6);
        swap::<u16>(start + 4, start + 10);
        swap::<u32>(ip + 12, ip + 16);
        swap::<u16>(ip + 20, ip + 22);
    }
    Some(())
}

/// # Safety
/// Both point to that many bytes of the frame.
#[inline(always)]
unsafe fn swap<T: Copy>(one: usize, other: usize) {
    let (one, other) = (one as *mut T, other as *mut T);
    // SAFETY: the caller's promise.
    unsafe {
        let (left, right) = (*one, *other);
        *one = right;
        *other = left;
    }
}

#[inline(always)]
fn note(ours: bool) {
    if let Some(counter) = COUNTED.get_ptr_mut(if ours { 0 } else { 1 }) {
        // SAFETY: an element of a per-CPU array, valid and exclusive to this CPU while the program runs.
        unsafe { *counter += 1 };
    }
}

/// The same pointer, but opaque to LLVM: it may otherwise check the bounds of one copy and read through another.
#[inline(always)]
fn opaque(mut pointer: usize) -> usize {
    // SAFETY: no effect. Not an empty string, which would make the BTF line info invalid.
    unsafe {
        asm!("{0} = {0}", inout(reg) pointer, options(nomem, nostack, preserves_flags, pure));
    }
    pointer
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // No code here can panic: the verifier would reject this loop.
    loop {}
}
