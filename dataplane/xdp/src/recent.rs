//! The tables that forget the longest unused: how an entry is found, made and forgotten. What they are is said in
//! `cordon_verdict::abi::Seats`' module.

use core::intrinsics::{AtomicOrdering, atomic_cxchg};
use core::sync::atomic::{Ordering, compiler_fence};

use aya_ebpf::btf_maps::Array;
use cordon_verdict::Full;
use cordon_verdict::abi::{AGE, CLAIMED, Entry, Line, Seats, TAG, WAYS, search};

use crate::frame::opaque;
use crate::maps::MAPPED;

const ORDER: AtomicOrdering = AtomicOrdering::SeqCst;
/// How often somebody else may be faster.
const ATTEMPTS: usize = 2;

/// A table that forgets.
pub struct Recent<const W: usize, V: 'static, const LINES: usize, const ENTRIES: usize> {
    pub index: &'static Array<Line, LINES, MAPPED>,
    pub entries: &'static Array<Entry<W, V>, ENTRIES, MAPPED>,
    pub seed: u64,
}

/// Where a key is.
pub struct Seat<const W: usize, V: 'static> {
    row: Row,
    seats: Seats,
    way: usize,
    word: u64,
    entry: &'static mut Entry<W, V>,
}

impl<const W: usize, V> Seat<W, V> {
    /// What is there.
    #[inline(always)]
    pub fn value(&self) -> &V {
        &self.entry.value
    }

    /// Whether it is still that.
    #[inline(always)]
    pub fn is_taken(&self) -> bool {
        self.row.read(self.way) & TAG == self.row.tag
    }

    /// Forgets what is there, unless it is another's by now.
    #[inline(always)]
    pub fn leave(self) {
        self.row.exchange(self.way, self.word, self.word & AGE);
    }
}

/// A line of the index, and the number of the first of its entries.
struct Row {
    line: *mut Line,
    first: u32,
    tag: u64,
}

impl Row {
    #[inline(always)]
    fn word(&self, way: usize) -> *mut u64 {
        // SAFETY: within the line, as `WAYS` are.
        unsafe {
            (&raw mut (*self.line).0)
                .cast::<u64>()
                .add(way & (WAYS - 1))
        }
    }

    #[inline(always)]
    fn seats(&self) -> Seats {
        let mut seats = Seats::new(self.read(0));
        for way in 0..WAYS {
            seats.see(way, self.read(way), self.tag, |number| {
                opaque(number as usize) as u64
            });
        }
        seats
    }

    #[inline(always)]
    fn read(&self, way: usize) -> u64 {
        // SAFETY: within the line; volatile, because others write it.
        unsafe { self.word(way).read_volatile() }
    }

    /// Puts a word in the place of another, if that is still there.
    #[inline(always)]
    fn exchange(&self, way: usize, old: u64, new: u64) -> bool {
        // SAFETY: within the line, aligned, and accessed by everybody as one word.
        let (_, done) = unsafe { atomic_cxchg::<u64, ORDER, ORDER>(self.word(way), old, new) };
        done
    }
}

impl<const W: usize, V: Copy, const LINES: usize, const ENTRIES: usize>
    Recent<W, V, LINES, ENTRIES>
{
    #[inline(always)]
    fn row(&self, key: &[u64; W]) -> Option<Row> {
        const { assert!(LINES.is_power_of_two() && LINES * WAYS == ENTRIES) };
        let search = search(key, self.seed, LINES as u32 - 1);
        let [number, _] = search.lines;
        Some(Row {
            line: self.index.get_ptr_mut(number)?,
            first: number * WAYS as u32,
            tag: search.tag,
        })
    }

    #[inline(always)]
    fn entry(&self, row: &Row, way: usize) -> Option<&'static mut Entry<W, V>> {
        let entry = self.entries.get_ptr_mut(row.first + way as u32)?;
        // SAFETY: valid while the program runs. Other processors may write it, or give it to another key: every word of it
        // is meaningful by itself, and whoever acts on several looks for it again.
        Some(unsafe { &mut *entry })
    }

    /// Where a key is, if it is.
    #[inline(always)]
    pub fn seat(&self, key: &[u64; W]) -> Option<Seat<W, V>> {
        let row = self.row(key)?;
        let seats = row.seats();
        let way = seats.found()?;
        let word = row.read(way);
        let entry = self.entry(&row, way)?;
        // Taken by another since the tag was seen.
        if word & TAG != row.tag || !entry.is_of(key) {
            return None;
        }
        Some(Seat {
            row,
            seats,
            way,
            word,
            entry,
        })
    }

    /// What is kept under a key.
    #[inline(always)]
    pub fn find(&self, key: &[u64; W]) -> Option<&'static mut V> {
        let seat = self.seat(key)?;
        if seat.word as u32 != seat.seats.latest() {
            let word = seat.row.tag | seat.seats.next();
            seat.row.exchange(seat.way, seat.word, word);
        }
        Some(&mut seat.entry.value)
    }

    /// Keeps something under a key, in the place of what was used the longest time ago.
    #[inline(always)]
    pub fn add(&self, key: &[u64; W], value: V) -> Result<&'static mut V, Full> {
        let row = self.row(key).ok_or(Full)?;
        for _ in 0..ATTEMPTS {
            let seats = row.seats();
            let way = seats.place().ok_or(Full)?;
            let word = row.read(way);
            if word & TAG == CLAIMED || !row.exchange(way, word, CLAIMED | seats.next()) {
                continue;
            }
            let entry = self.entry(&row, way).ok_or(Full)?;
            entry.key = *key;
            entry.value = value;
            compiler_fence(Ordering::SeqCst);
            // SAFETY: within the line, aligned, and nobody else's since it was claimed.
            unsafe { row.word(way).write_volatile(row.tag | seats.next()) };
            return Ok(&mut entry.value);
        }
        Err(Full)
    }
}
