//! The tables of established flows, mapped: see the module of `cordon_verdict::abi::Line`.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use aya::maps::{Array, MapData, MapError, Stack};
use cordon_verdict::abi::{EMPTY, Entry, Flow, Line, OVERFLOW, TAG, WAYS};

use crate::barrier;
use crate::error::Error;
use crate::mapped::Mapped;
use crate::pins::{of, typed};

/// The names of the maps of a table.
pub struct Names {
    pub index: &'static str,
    pub entries: &'static str,
    pub spare: &'static str,
    /// The index of this table's counter in `USED`.
    pub used: u32,
}

/// IPv4 flows.
pub const FLOWS4: Names = Names {
    index: "INDEX4",
    entries: "FLOWS4",
    spare: "SPARE4",
    used: 0,
};

/// IPv6 flows.
pub const FLOWS6: Names = Names {
    index: "INDEX6",
    entries: "FLOWS6",
    spare: "SPARE6",
    used: 1,
};

/// A slot of the index of a flow table, and the index word that was found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexSlot {
    line: usize,
    way: usize,
    word: u64,
}

impl IndexSlot {
    /// The number of the entry that the word refers to.
    pub fn number(self) -> usize {
        number(self.word)
    }
}

/// The index slot of an IPv4 or IPv6 flow.
#[derive(Clone, Copy)]
pub enum FlowSlot {
    V4(IndexSlot),
    V6(IndexSlot),
}

impl FlowSlot {
    /// The number of its entry.
    pub fn number(self) -> usize {
        match self {
            FlowSlot::V4(slot) | FlowSlot::V6(slot) => slot.number(),
        }
    }
}

/// A table that this process and the kernel share.
pub struct FlowTable<const W: usize> {
    index: Mapped<Line>,
    entries: Mapped<Entry<W, Flow>>,
    spare: Stack<MapData, u32>,
    names: Names,
}

impl<const W: usize> FlowTable<W> {
    /// Opens a pinned table.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Batch`].
    pub fn open(pins: &Path, names: Names) -> Result<FlowTable<W>, Error> {
        Ok(FlowTable {
            index: Mapped::open(pins, names.index)?,
            entries: Mapped::open(pins, names.entries)?,
            spare: typed(pins, names.spare)?,
            names,
        })
    }

    /// The number of flows it can hold.
    pub fn capacity(&self) -> usize {
        self.entries.count
    }

    /// Calls `each` with every flow.
    pub fn each(&self, mut each: impl FnMut(IndexSlot, [u64; W], Flow)) {
        for line in 0..self.index.count {
            for way in 0..WAYS {
                let word = self.word(line, way).load(Ordering::Acquire);
                if word & !OVERFLOW == EMPTY {
                    continue;
                }
                if let Some(Entry { key, value }) = self.entries.read(number(word)) {
                    each(IndexSlot { line, way, word }, key, value);
                }
            }
        }
    }

    /// Invalidates the ruling of a flow, so that its next packet is judged.
    pub fn invalidate(&self, slot: IndexSlot) {
        if let Some(entry) = self.entries.at(number(slot.word)) {
            // SAFETY: within the mapping, aligned, and kernel and user space write it as one word.
            let judged = unsafe { AtomicU64::from_ptr(&raw mut (*entry).value.judged) };
            judged.store(0, Ordering::Release);
        }
    }

    /// Removes a flow from the index, so that no further packet finds it. `false` if the slot has changed.
    pub fn unlink(&self, slot: IndexSlot) -> bool {
        self.word(slot.line, slot.way)
            .compare_exchange(
                slot.word,
                slot.word & OVERFLOW,
                Ordering::SeqCst,
                Ordering::SeqCst,
            )
            .is_ok()
    }

    /// Puts an unlinked flow back into the index if a packet has used it since `seen`, and returns whether it did. Call it
    /// after a grace period: then no packet can still be using the entry.
    pub fn relink_if_used(&self, slot: IndexSlot, seen: u16) -> bool {
        let used = self
            .entries
            .read(number(slot.word))
            .is_some_and(|entry| entry.value.seen != seen);
        let relink = |word: u64| (word & !OVERFLOW == EMPTY).then_some(word | slot.word);
        used && self
            .word(slot.line, slot.way)
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, relink)
            .is_ok()
    }

    /// Makes the entry of an unlinked flow available for new flows. Call it after a grace period.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn free(&mut self, slot: IndexSlot) -> Result<(), Error> {
        let number = number(slot.word) as u32;
        self.spare.push(number, 0).map_err(of(self.names.spare))
    }

    /// Rebuilds the list of spare entries: every entry that was used before and that the index does not refer to. A daemon
    /// that was killed during a sweep leaves such entries behind. `used` is the map `USED`.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Barrier`].
    pub fn recover(&mut self, used: &Array<MapData, u64>) -> Result<(), Error> {
        let used = used.get(&self.names.used, 0).map_err(of("USED"))?;
        let used = usize::try_from(used)
            .unwrap_or(usize::MAX)
            .min(self.entries.count);
        // Without spare entries, packets take entries that were never used.
        self.drain()?;
        // A packet that took a spare entry before has linked it by then, or put it back because the index was full.
        barrier::wait()?;
        self.drain()?;
        let mut linked = vec![false; used];
        self.each(|slot, _, _| {
            if let Some(linked) = linked.get_mut(number(slot.word)) {
                *linked = true;
            }
        });
        // The lowest on top of the stack: used entries should lie close together.
        for number in (0..used).rev().filter(|number| !linked[*number]) {
            self.spare
                .push(number as u32, 0)
                .map_err(of(self.names.spare))?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), Error> {
        loop {
            match self.spare.pop(0) {
                Ok(_) => {}
                Err(MapError::ElementNotFound) => return Ok(()),
                Err(error) => return Err(of(self.names.spare)(error)),
            }
        }
    }

    fn word(&self, line: usize, way: usize) -> &AtomicU64 {
        self.index.word(line, way)
    }
}

fn number(word: u64) -> usize {
    (word & !TAG) as usize
}
