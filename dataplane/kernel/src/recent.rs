//! The tables that forget the oldest, in this process's memory: see `cordon_verdict::abi::BucketHeader`'s module.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use cordon_verdict::abi::{CLAIMED, Entry, BUCKET_STRIDE, BucketHeader};

use crate::error::Error;
use crate::shared::Shared;

/// A table, shared with the kernel.
pub struct Recent<const W: usize, V> {
    /// Rows of them, each with its ring in front.
    entries: Shared<Entry<W, V>>,
}

/// Where something is: the number of its entry, and its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    number: usize,
    tag: u32,
}

impl<const W: usize, V> Recent<W, V> {
    /// Opens a pinned table.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Batch`].
    pub fn open(pins: &Path, name: &'static str) -> Result<Recent<W, V>, Error> {
        let entries = Shared::open(pins, name)?;
        Ok(Recent { entries })
    }

    /// Calls `each` with everything that is kept.
    pub fn each(&self, mut each: impl FnMut(Seat, [u64; W], V)) {
        let rings = |number: &usize| !number.is_multiple_of(BUCKET_STRIDE as usize);
        for number in (0..self.entries.count).filter(rings) {
            let tag = self.tag(number).load(Ordering::Acquire);
            if matches!(tag, 0 | CLAIMED) {
                continue;
            }
            let entry = self.entries.read(number);
            // Another's by now, or nobody's.
            if self.tag(number).load(Ordering::Acquire) != tag {
                continue;
            }
            if let Some(Entry { key, value }) = entry {
                each(Seat { number, tag }, key, value);
            }
        }
    }

    /// Where the value of a seat is, for single words of it to be written.
    pub fn value(&self, seat: Seat) -> Option<*mut V> {
        let entry = self.entries.at(seat.number)?;
        // SAFETY: within the mapping.
        Some(unsafe { &raw mut (*entry).value })
    }

    /// Forgets what is at a seat, if it `is_so` still. `false` if not, or if it is another's.
    pub fn forget(&self, seat: Seat, is_so: impl FnOnce(&V) -> bool) -> bool {
        let entry = self.entries.read(seat.number);
        if !entry.is_some_and(|entry| is_so(&entry.value)) {
            return false;
        }
        self.tag(seat.number)
            .compare_exchange(seat.tag, 0, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    fn tag(&self, number: usize) -> &AtomicU32 {
        let (row, way) = (number / BUCKET_STRIDE as usize, number % BUCKET_STRIDE as usize - 1);
        let first = self.entries.at(row * BUCKET_STRIDE as usize).expect("a row");
        let ring: *mut BucketHeader = first.cast();
        // SAFETY: within the mapping, which lasts as long as `self`; aligned; everybody accesses it as one word.
        unsafe { AtomicU32::from_ptr(&raw mut (*ring).tags[way]) }
    }
}
