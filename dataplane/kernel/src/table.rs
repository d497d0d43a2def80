//! The tables of established flows, in this process's memory: see `cordon_verdict::abi::Line`'s module.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use aya::maps::{Array, MapData, MapError, Stack};
use cordon_verdict::abi::{EMPTY, Entry, Flow, Line, OVERFLOW, TAG, WAYS};

use crate::barrier;
use crate::error::Error;
use crate::maps::{of, typed};
use crate::shared::Shared;

/// The maps of a table.
pub struct Names {
    pub index: &'static str,
    pub entries: &'static str,
    pub spare: &'static str,
    /// Which element of `USED` is this table's.
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

/// Where a flow is: line and word of the index, and what the word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    line: usize,
    way: usize,
    word: u64,
}

impl Place {
    /// The number of its entry.
    pub fn number(self) -> usize {
        number(self.word)
    }
}

/// A table, shared with the kernel.
pub struct Table<const W: usize> {
    index: Shared<Line>,
    entries: Shared<Entry<W, Flow>>,
    spare: Stack<MapData, u32>,
    names: Names,
}

impl<const W: usize> Table<W> {
    /// Opens a pinned table.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Batch`].
    pub fn open(pins: &Path, names: Names) -> Result<Table<W>, Error> {
        Ok(Table {
            index: Shared::open(pins, names.index)?,
            entries: Shared::open(pins, names.entries)?,
            spare: typed(pins, names.spare)?,
            names,
        })
    }

    /// How many flows it has room for.
    pub fn room(&self) -> usize {
        self.entries.count
    }

    /// Calls `each` with every flow.
    pub fn each(&self, mut each: impl FnMut(Place, [u64; W], Flow)) {
        for line in 0..self.index.count {
            for way in 0..WAYS {
                let word = self.word(line, way).load(Ordering::Acquire);
                if word & !OVERFLOW == EMPTY {
                    continue;
                }
                if let Some(Entry { key, value }) = self.entries.read(number(word)) {
                    each(Place { line, way, word }, key, value);
                }
            }
        }
    }

    /// Takes away the ruling of a flow, in place, so that its next packet is judged.
    pub fn retire(&self, place: Place) {
        if let Some(entry) = self.entries.at(number(place.word)) {
            // SAFETY: within the mapping, aligned, and written as a whole by everybody.
            let judged = unsafe { AtomicU64::from_ptr(&raw mut (*entry).value.judged) };
            judged.store(0, Ordering::Release);
        }
    }

    /// Lets no packet find a flow any more. `false` if it is not there.
    pub fn withdraw(&self, place: Place) -> bool {
        self.word(place.line, place.way)
            .compare_exchange(
                place.word,
                place.word & OVERFLOW,
                Ordering::SeqCst,
                Ordering::SeqCst,
            )
            .is_ok()
    }

    /// Publishes a flow again that was withdrawn, once no packet can be using it unseen, if one has used it since it was seen
    /// last at `seen`. Says whether it is there again.
    pub fn take_back(&self, place: Place, seen: u16) -> bool {
        let used = self
            .entries
            .read(number(place.word))
            .is_some_and(|entry| entry.value.seen != seen);
        let publish_again = |word: u64| (word & !OVERFLOW == EMPTY).then_some(word | place.word);
        used && self
            .word(place.line, place.way)
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, publish_again)
            .is_ok()
    }

    /// Makes the entry of a flow spare that was withdrawn, once no packet uses it.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn discard(&mut self, place: Place) -> Result<(), Error> {
        let number = number(place.word) as u32;
        self.spare.push(number, 0).map_err(of(self.names.spare))
    }

    /// Makes entries spare again that whoever was here before had withdrawn and was killed: every one that was used, is
    /// not published and is not spare. `used` is the map of that name.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Barrier`].
    pub fn recover(&mut self, used: &Array<MapData, u64>) -> Result<(), Error> {
        let used = used.get(&self.names.used, 0).map_err(of("USED"))?;
        let used = usize::try_from(used)
            .unwrap_or(usize::MAX)
            .min(self.entries.count);
        // Packets find no spare ones meanwhile, and take those that were never used.
        self.drain()?;
        // A packet that took one before has published it by then, or, having found no room in the index, put it back.
        barrier::wait()?;
        self.drain()?;
        let mut published = vec![false; used];
        self.each(|place, _, _| {
            if let Some(published) = published.get_mut(number(place.word)) {
                *published = true;
            }
        });
        // The lowest on top: what is used should lie close together.
        for number in (0..used).rev().filter(|number| !published[*number]) {
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
