//! A memory-mapped packet socket (`TPACKET_V2`): frames are read in place, without a copy to user space.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::packet;

/// Bytes of a slot, 66 of them for headers. Longer frames are truncated.
const SLOT: usize = 256;
const BLOCK: usize = 1 << 16;
/// 32 MiB, 131072 slots: enough for 100,000 frames a second while the reader does not run for a second.
const BLOCKS: usize = 512;
const SIZE: usize = BLOCK * BLOCKS;
pub const SLOTS: usize = SIZE / SLOT;
/// Offset of the address in a slot, after the header.
const ADDRESS: usize = size_of::<libc::tpacket2_hdr>().next_multiple_of(16);

const STATUS_KERNEL: u32 = 0;
const STATUS_USER: u32 = 1;
const STATUS_VLAN_VALID: u32 = 1 << 4;
const PACKET_OUTGOING: u8 = 4;

/// A frame in the ring.
pub struct RingFrame<'a> {
    /// Nanoseconds since the epoch.
    pub at: u64,
    /// Whether the interface sent it.
    pub sent: bool,
    /// TCI of the tag that the kernel removed from a received frame. Sent frames keep their tag.
    pub tag: Option<u16>,
    /// Length of the frame in bytes, without a removed tag.
    pub length: u32,
    /// The frame, truncated to the slot.
    pub bytes: &'a [u8],
}

/// The ring of one interface.
pub struct Ring {
    socket: OwnedFd,
    memory: NonNull<c_void>,
    next: usize,
    lost: u64,
}

// SAFETY: only the ring uses the memory, on whichever thread it is.
unsafe impl Send for Ring {}

impl Ring {
    /// Starts to receive from an interface of the calling thread's network namespace.
    pub fn open(interface: &str) -> io::Result<Ring> {
        let socket = packet::open()?;
        packet::set(
            &socket,
            libc::PACKET_VERSION,
            libc::tpacket_versions::TPACKET_V2,
        )?;
        let request = libc::tpacket_req {
            tp_block_size: BLOCK as u32,
            tp_block_nr: BLOCKS as u32,
            tp_frame_size: SLOT as u32,
            tp_frame_nr: SLOTS as u32,
        };
        packet::set(&socket, libc::PACKET_RX_RING, request)?;
        let size = NonZeroUsize::new(SIZE).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping of the ring that was just made, with its size.
        let memory = unsafe {
            mmap(
                None,
                size,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                &socket,
                0,
            )
        }?;
        let ring = Ring {
            socket,
            memory,
            next: 0,
            lost: 0,
        };
        packet::attach(&ring.socket, interface, true)?;
        Ok(ring)
    }

    /// Calls `visit` with the next frame. Returns false if there is none.
    pub fn next(&mut self, visit: impl FnOnce(RingFrame<'_>)) -> bool {
        // SAFETY: `next` stays below the number of slots, so the whole slot is in the mapping.
        let slot = unsafe { self.memory.cast::<u8>().add(self.next * SLOT) };
        // SAFETY: a slot begins with its status, aligned. The status passes the slot between kernel and user space.
        let status = unsafe { AtomicU32::from_ptr(slot.cast().as_ptr()) };
        let now = status.load(Ordering::Acquire);
        if now & STATUS_USER == 0 {
            return false;
        }
        // SAFETY: the slot is ours until we reset the status, and begins with this header.
        let header: libc::tpacket2_hdr = unsafe { slot.cast().read() };
        // SAFETY: the address follows the header.
        let address: libc::sockaddr_ll = unsafe { slot.add(ADDRESS).cast().read() };
        let from = usize::from(header.tp_mac).min(SLOT);
        let length = (header.tp_snaplen as usize).min(SLOT - from);
        // SAFETY: within the slot, which is ours until we reset the status.
        let bytes = unsafe { std::slice::from_raw_parts(slot.add(from).as_ptr(), length) };
        visit(RingFrame {
            at: u64::from(header.tp_sec) * 1_000_000_000 + u64::from(header.tp_nsec),
            sent: address.sll_pkttype == PACKET_OUTGOING,
            tag: (now & STATUS_VLAN_VALID != 0).then_some(header.tp_vlan_tci),
            length: header.tp_len,
            bytes,
        });
        status.store(STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % SLOTS;
        true
    }

    /// Total number of frames that found no free slot.
    pub fn lost(&mut self) -> io::Result<u64> {
        self.lost += packet::take_lost(&self.socket)?;
        Ok(self.lost)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped by `open` with this size, and no reference to it is left.
        let _ = unsafe { munmap(self.memory, SIZE) };
    }
}
