//! Generates frames of many flows in turn.
//!
//! Pages come back as the gateway left them, so every relevant byte is written every time. The values are computed and
//! not looked up: a table of frames would evict the gateway's own tables from the cache. The arithmetic is the same as
//! in `../../src/traffic.rs`, from which the configurations of the gateways are made.

use aya_ebpf::btf_maps::PerCpuArray;
use aya_ebpf::macros::btf_map;
use aya_ebpf::programs::XdpContext;

use crate::opaque;
use crate::transport::{self, Flow};

/// Settings of the loader. The verifier removes code that a setting makes unreachable.
macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident, $read:ident;)*) => {
        $(
            $(#[$doc])*
            #[unsafe(no_mangle)]
            static $name: u32 = 0;

            #[inline(always)]
            fn $read() -> u32 {
                // SAFETY: a valid static; volatile, because the loader changes its value.
                unsafe { core::ptr::read_volatile(&raw const $name) }
            }
        )*
    };
}

settings! {
    /// The number of flows.
    FLOWS, flows;
    /// The number of devices.
    DEVICES, devices;
    /// The first device.
    FIRST_DEVICE, first_device;
    /// 1 for frames with a VLAN tag.
    TAGGED, tagged;
    /// 1 for a routing gateway: frames go to its own MAC address.
    ROUTED, routed;
    /// 1 for answers, from servers to devices.
    ANSWERS, answers;
    /// The number of the payload in `transport`.
    WHAT, what;
    /// The number of device kinds (a power of two) less one.
    KIND_MASK, kind_mask;
    /// The number of services of each kind.
    SERVICES, services;
}

/// The next flow (device, round over all devices, flow, service), and the number of frames written.
#[btf_map]
static NEXT: PerCpuArray<[u64; 5], 1> = PerCpuArray::new();

const ROUTER_MAC: u64 = 0x02c0_ff00_0001;
const DEVICE_MAC: u64 = 0x02c0_0000_0000;
const SERVER_MAC: u64 = 0x02c0_ff00_0002;

#[inline(always)]
pub fn write(ctx: &XdpContext) -> Option<()> {
    let (device, round, service) = next()?;
    let device = device + first_device();
    let segment = device >> 10;
    let member = 0x0a40_0010 + (segment << 11) + (device & 1023);
    let kind = device & kind_mask();
    let server = 0x0ac8_000a + ((kind & 255) << 8) + (kind >> 8);
    let member_port = 20000 + round as u16;
    let server_port = 24100 + (kind & 7) as u16 + (service << 3) as u16;

    let start = opaque(ctx.data());
    let end = opaque(ctx.data_end());
    let network = if tagged() != 0 { 18 } else { 14 };
    if start + network + 46 > end {
        return None;
    }
    let (to, from) = match (answers() != 0, routed() != 0) {
        (false, _) => (ROUTER_MAC, DEVICE_MAC + device as u64),
        (true, false) => (DEVICE_MAC + device as u64, ROUTER_MAC),
        (true, true) => (ROUTER_MAC, SERVER_MAC),
    };
    let (source, destination, source_port, destination_port) = if answers() != 0 {
        (server, member, server_port, member_port)
    } else {
        (member, server, member_port, server_port)
    };
    let packet = transport::of(
        what(),
        Flow {
            source,
            destination,
            ports: (source_port as u32) << 16 | destination_port as u32,
            number: round,
        },
    );
    // SAFETY: the bounds check above covers every byte up to the end of the packet. The kernel allows unaligned access
    // on the architectures that this program is built for.
    unsafe {
        put(start, ((to >> 16) as u32).to_be());
        put(start + 4, ((to as u32) << 16 | (from >> 32) as u32).to_be());
        put(start + 8, (from as u32).to_be());
        if tagged() != 0 {
            put(start + 12, (0x8100_0000 | (100 + segment)).to_be());
            put(start + 16, 0x0800u16.to_be());
        } else {
            put(start + 12, 0x0800u16.to_be());
        }
        let ip = start + network;
        put(ip, (0x4500_0000 | packet.length).to_be());
        put(ip + 4, packet.fragment.to_be());
        put(ip + 8, packet.protocol_and_checksum().to_be());
        put(ip + 12, packet.source.to_be());
        put(ip + 16, packet.destination.to_be());
        put(ip + 20, packet.head[0].to_be());
        put(ip + 24, packet.head[1].to_be());
        if transport::is_long(what()) {
            put(ip + 28, packet.head[2].to_be());
            put(ip + 32, packet.head[3].to_be());
            put(ip + 36, packet.head[4].to_be());
        }
    }
    Some(())
}

/// # Safety
/// `at` points to that many bytes of the frame.
#[inline(always)]
unsafe fn put<T>(at: usize, value: T) {
    // SAFETY: the caller's promise.
    unsafe { *(at as *mut T) = value };
}

/// Device, round and service of the next frame.
#[inline(always)]
fn next() -> Option<(u32, u32, u32)> {
    let state = NEXT.get_ptr_mut(0)?;
    // SAFETY: an element of a per-CPU array, valid and exclusive to this CPU while the program runs.
    let [device, round, flow, service, written] = unsafe { &mut *state };
    let now = (*device as u32, *round as u32, *service as u32);
    *written += 1;
    *device += 1;
    *flow += 1;
    if *device >= devices() as u64 {
        *device = 0;
        *round += 1;
        *service += 1;
        if *service >= services() as u64 {
            *service = 0;
        }
    }
    if *flow >= flows() as u64 {
        *device = 0;
        *round = 0;
        *service = 0;
        *flow = 0;
    }
    Some(now)
}
