//! A frame in the XDP context: two pointers.

use core::arch::asm;
use core::intrinsics::is_val_statically_known;
use core::mem::size_of;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::{bpf_xdp_adjust_head, generated::bpf_xdp_get_buff_len};
use aya_ebpf::programs::XdpContext;
use cordon_verdict::{Frame, HEAD, Head};

/// The highest offset of a load or store. The verifier needs a bound.
const FARTHEST: usize = 512;

/// The mask that bounds an offset for the verifier; at least [`FARTHEST`].
const OFFSET_MASK: usize = 1023;
const _: () = assert!(FARTHEST <= OFFSET_MASK);

pub struct XdpFrame {
    ctx: *mut xdp_md,
    data: usize,
    /// End of the first page. The rest of a jumbo frame is in other pages, after all headers.
    end: usize,
    length: usize,
}

impl XdpFrame {
    #[inline(always)]
    pub fn new(ctx: &XdpContext) -> XdpFrame {
        XdpFrame {
            ctx: ctx.as_ptr().cast(),
            data: opaque(ctx.data()),
            end: opaque(ctx.data_end()),
            length: length(ctx),
        }
    }

    /// A pointer to a `T` at an offset, if the frame goes that far.
    #[inline(always)]
    fn at<T>(&self, at: usize) -> Option<*mut T> {
        if at > FARTHEST {
            return None;
        }
        let start = opaque(self.data + bounded(at));
        if start + size_of::<T>() > self.end {
            None
        } else {
            Some(start as *mut T)
        }
    }

    /// Reads a value, in the frame's byte order.
    #[inline(always)]
    pub fn read<T: Copy>(&self, at: usize) -> Option<T> {
        // SAFETY: within the frame, checked; the kernel allows unaligned access to it on the architectures
        // that this program is built for.
        self.at(at).map(|pointer| unsafe { *pointer })
    }

    /// Overwrites a value, in the frame's byte order.
    #[inline(always)]
    fn write<T>(&mut self, at: usize, value: T) -> Option<()> {
        let to: *mut T = self.at(at)?;
        // SAFETY: within the frame, checked; unaligned access as above.
        unsafe { *to = value };
        Some(())
    }
}

/// The same offset, in a register that the verifier knows to be bounded.
///
/// A comparison is not enough: LLVM may have compared another copy of it, and kernels before 6.8 do not track that two
/// loads from the same stack slot are the same number.
#[inline(always)]
fn bounded(at: usize) -> usize {
    if is_val_statically_known(at) {
        at
    } else {
        opaque(at) & OFFSET_MASK
    }
}

/// The least size of the first page of a frame with several pages: drivers fill the first page first.
const FIRST_PAGE: usize = 512;

/// Bytes of the frame in all of its pages. The helper call is skipped where there can be only one page: it costs more
/// than the rest.
#[inline(always)]
fn length(ctx: &XdpContext) -> usize {
    let first = ctx.data_end() - ctx.data();
    if first < FIRST_PAGE {
        return first;
    }
    // SAFETY: the context is valid.
    unsafe { bpf_xdp_get_buff_len(ctx.ctx) as usize }
}

/// The same pointer, which LLVM must take for another. Otherwise LLVM may check one copy of a pointer and read through
/// another, or truncate one to the 32 bits with which it was loaded; the verifier accepts neither.
#[inline(always)]
pub fn opaque(mut pointer: usize) -> usize {
    // SAFETY: has no effect. Not an empty string: that makes the BTF line info invalid.
    unsafe {
        asm!("{0} = {0}", inout(reg) pointer, options(nomem, nostack, preserves_flags, pure));
    }
    pointer
}

impl Frame for XdpFrame {
    #[inline(always)]
    fn len(&self) -> usize {
        self.length
    }

    #[inline(always)]
    fn u8(&self, at: usize) -> Option<u8> {
        self.read(at)
    }

    #[inline(always)]
    fn u16(&self, at: usize) -> Option<u16> {
        self.read(at).map(u16::from_be)
    }

    #[inline(always)]
    fn u32(&self, at: usize) -> Option<u32> {
        self.read(at).map(u32::from_be)
    }

    #[inline(always)]
    fn u64(&self, at: usize) -> Option<u64> {
        self.read(at).map(u64::from_be)
    }

    #[inline(always)]
    fn head(&self) -> Option<impl Head + use<>> {
        let start = opaque(self.data);
        if start + HEAD > self.end {
            return None;
        }
        Some(Front(start))
    }

    #[inline(always)]
    fn set_u16(&mut self, at: usize, value: u16) -> Option<()> {
        self.write(at, value.to_be())
    }

    #[inline(always)]
    fn set_u32(&mut self, at: usize, value: u32) -> Option<()> {
        self.write(at, value.to_be())
    }

    #[inline(always)]
    fn set_u64(&mut self, at: usize, value: u64) -> Option<()> {
        self.write(at, value.to_be())
    }

    #[inline(always)]
    fn shift(&mut self, by: i32) -> Option<()> {
        // SAFETY: the context is valid.
        let failed = unsafe { bpf_xdp_adjust_head(self.ctx, by) } != 0;
        // The verifier invalidates all pointers into the frame, whether the call failed or not.
        let ctx = XdpContext::new(self.ctx);
        self.data = opaque(ctx.data());
        self.end = opaque(ctx.data_end());
        self.length = length(&ctx);
        if failed { None } else { Some(()) }
    }
}

/// The front of a frame: a pointer to [`HEAD`] bytes that the verifier knows to be in the frame.
#[derive(Clone, Copy)]
struct Front(usize);

impl Front {
    #[inline(always)]
    fn read<T: Copy>(self, at: usize) -> T {
        // SAFETY: within the first `HEAD` bytes, which were checked; the offset is a constant, or the verifier would
        // refuse the program. Unaligned access as in `XdpFrame::read`.
        unsafe { *((self.0 + at) as *const T) }
    }
}

impl Head for Front {
    #[inline(always)]
    fn u8(self, at: usize) -> u8 {
        self.read(at)
    }

    #[inline(always)]
    fn u16(self, at: usize) -> u16 {
        u16::from_be(self.read(at))
    }

    #[inline(always)]
    fn u32(self, at: usize) -> u32 {
        u32::from_be(self.read(at))
    }

    #[inline(always)]
    fn u64(self, at: usize) -> u64 {
        u64::from_be(self.read(at))
    }
}
