//! The tables that forget the longest unused, in this process's memory: see `cordon_verdict::abi::Seats`' module.

use std::path::Path;
use std::sync::atomic::Ordering;

use cordon_verdict::abi::{AGE, Entry, IN_USE, Line, TAG, WAYS};

use crate::error::Error;
use crate::shared::Shared;

/// A table, shared with the kernel.
pub struct Recent<const W: usize, V> {
    index: Shared<Line>,
    entries: Shared<Entry<W, V>>,
}

/// Where something is: the number of its word and entry, and what the word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    number: usize,
    word: u64,
}

impl<const W: usize, V> Recent<W, V> {
    /// Opens a pinned table, by the names of its index and its entries.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Batch`].
    pub fn open(pins: &Path, [index, entries]: [&'static str; 2]) -> Result<Recent<W, V>, Error> {
        Ok(Recent {
            index: Shared::open(pins, index)?,
            entries: Shared::open(pins, entries)?,
        })
    }

    /// Calls `each` with everything that is kept.
    pub fn each(&self, mut each: impl FnMut(Seat, [u64; W], V)) {
        for number in 0..self.index.count * WAYS {
            let at = self.index.word(number / WAYS, number % WAYS);
            let word = at.load(Ordering::Acquire);
            if word & IN_USE == 0 {
                continue;
            }
            let entry = self.entries.read(number);
            // Another's by now, or nobody's.
            if (at.load(Ordering::Acquire) ^ word) & TAG != 0 {
                continue;
            }
            if let Some(Entry { key, value }) = entry {
                each(Seat { number, word }, key, value);
            }
        }
    }

    /// Where the value of a seat is, for single words of it to be written.
    pub fn value(&self, seat: Seat) -> Option<*mut V> {
        let entry = self.entries.at(seat.number)?;
        // SAFETY: within the mapping.
        Some(unsafe { &raw mut (*entry).value })
    }

    /// Forgets what is at a seat. `false` if it was used meanwhile, or is another's.
    pub fn forget(&self, seat: Seat) -> bool {
        self.index
            .word(seat.number / WAYS, seat.number % WAYS)
            .compare_exchange(
                seat.word,
                seat.word & AGE,
                Ordering::SeqCst,
                Ordering::SeqCst,
            )
            .is_ok()
    }
}
