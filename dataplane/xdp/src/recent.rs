//! The tables that forget the oldest: how an entry is found, made and forgotten. What they are is said in
//! `cordon_verdict::abi::Ring`'s module.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};
use core::sync::atomic::{Ordering, compiler_fence};

use aya_ebpf::btf_maps::Array;
use cordon_verdict::Full;
use cordon_verdict::abi::{CLAIMED, Entry, RING, ROW, Ring, ring_tag, search};

use crate::maps::MAPPED;

const ORDER: AtomicOrdering = AtomicOrdering::SeqCst;

/// A table that forgets.
pub struct Recent<const W: usize, V: 'static, const ENTRIES: usize> {
    /// Rows of them, each with its ring in front.
    pub entries: &'static Array<Entry<W, V>, ENTRIES, MAPPED>,
    pub seed: u64,
}

/// Where a key is.
pub struct Seat<const W: usize, V: 'static> {
    row: Row,
    way: usize,
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
        // SAFETY: within the ring; volatile, because others write it.
        unsafe { self.row.at(self.way).read_volatile() == self.row.tag }
    }

    /// Forgets what is there, unless it is another's by now.
    #[inline(always)]
    pub fn leave(self) {
        let Row { tag, .. } = self.row;
        // SAFETY: within the ring, aligned, and accessed by everybody as one word.
        let _ = unsafe { atomic_cxchg::<u32, ORDER, ORDER>(self.row.at(self.way), tag, 0) };
    }

    /// Passes it over, should it be its turn to make place.
    #[inline(always)]
    fn pass_over(&self) {
        let turns = self.row.turns();
        // SAFETY: within the ring; volatile, because others write it.
        let turn = unsafe { turns.read_volatile() };
        if turn & (ROW - 1) == self.way as u32 {
            // SAFETY: within the ring, aligned, and accessed by everybody as one word.
            let _ = unsafe { atomic_cxchg::<u32, ORDER, ORDER>(turns, turn, turn + 1) };
        }
    }
}

/// The row of a key, and the number of the first of its entries.
struct Row {
    ring: *mut Ring,
    first: u32,
    tag: u32,
}

impl Row {
    /// Where the tag of an entry is.
    #[inline(always)]
    fn at(&self, way: usize) -> *mut u32 {
        // SAFETY: within the ring, as `RING` are.
        unsafe { (&raw mut (*self.ring).tags).cast::<u32>().add(way) }
    }

    /// Where the turn is.
    #[inline(always)]
    fn turns(&self) -> *mut u32 {
        // SAFETY: within the ring.
        unsafe { &raw mut (*self.ring).turn }
    }

    /// Whose turn it is, of eight.
    #[inline(always)]
    fn turn(&self) -> usize {
        // SAFETY: within the ring, aligned, and accessed by everybody as one word.
        let turn = unsafe { atomic_xadd::<u32, u32, ORDER>(self.turns(), 1) };
        (turn & (ROW - 1)) as usize
    }

    /// Which entry makes place.
    #[inline(always)]
    fn place(&self) -> usize {
        // SAFETY: within the ring; volatile, because others write it.
        let free = (0..RING).find(|way| unsafe { self.at(*way).read_volatile() } == 0);
        if let Some(way) = free {
            // SAFETY: within the ring, aligned, and accessed by everybody as one word.
            let (_, ours) = unsafe { atomic_cxchg::<u32, ORDER, ORDER>(self.at(way), 0, CLAIMED) };
            if ours {
                // Of all that are there now it is the last whose turn it is.
                // SAFETY: within the ring; volatile, because others read it.
                unsafe { self.turns().write_volatile(way as u32 + 1) };
                return way;
            }
        }
        match self.turn() {
            // There are only seven.
            RING.. => self.turn().min(RING - 1),
            way => way,
        }
    }

    /// Which entry has the tag.
    #[inline(always)]
    fn way(&self) -> Option<usize> {
        // SAFETY: within the ring; volatile, because others write it.
        (0..RING).find(|way| unsafe { self.at(*way).read_volatile() } == self.tag)
    }
}

impl<const W: usize, V: Copy, const ENTRIES: usize> Recent<W, V, ENTRIES> {
    #[inline(always)]
    fn row(&self, key: &[u64; W]) -> Option<Row> {
        const { assert!(ENTRIES.is_power_of_two()) };
        let search = search(key, self.seed, ENTRIES as u32 / ROW - 1);
        let [number, _] = search.lines;
        let ring = self.entries.get_ptr_mut(number * ROW)?;
        Some(Row {
            ring: ring.cast(),
            first: number * ROW + 1,
            tag: ring_tag(search.tag),
        })
    }

    #[inline(always)]
    fn entry(&self, row: &Row, way: usize) -> Option<&'static mut Entry<W, V>> {
        let entry = self.entries.get_ptr_mut(row.first + way as u32)?;
        // SAFETY: valid while the program runs. Other processors may write it, or give it to another key: every word of it
        // is meaningful by itself, and whoever acts on several looks at its tag again.
        Some(unsafe { &mut *entry })
    }

    /// Where a key is, if it is.
    #[inline(always)]
    pub fn seat(&self, key: &[u64; W]) -> Option<Seat<W, V>> {
        let row = self.row(key)?;
        let way = row.way()?;
        let entry = self.entry(&row, way)?;
        entry.is_of(key).then_some(Seat { row, way, entry })
    }

    /// What is kept under a key. Who is used is not who makes place.
    #[inline(always)]
    pub fn find(&self, key: &[u64; W]) -> Option<&'static mut V> {
        let seat = self.seat(key)?;
        seat.pass_over();
        Some(&mut seat.entry.value)
    }

    /// Keeps something under a key: in a free place, else in that of what was added the longest time ago. What another
    /// processor has added meanwhile stays as it is.
    #[inline(always)]
    pub fn add(&self, key: &[u64; W], value: V) -> Result<&'static mut V, Full> {
        let row = self.row(key).ok_or(Full)?;
        let way = match row.way() {
            Some(way) => {
                let there = self.entry(&row, way).ok_or(Full)?;
                if there.is_of(key) {
                    return Ok(&mut there.value);
                }
                // Another's, by a chance of one in 2^28: behind it this one would never be found.
                way
            }
            None => row.place(),
        };
        // SAFETY: within the ring; volatile, because others read it.
        unsafe { row.at(way).write_volatile(CLAIMED) };
        compiler_fence(Ordering::SeqCst);
        let entry = self.entry(&row, way).ok_or(Full)?;
        entry.key = *key;
        put(entry, value);
        compiler_fence(Ordering::SeqCst);
        // SAFETY: as above.
        unsafe { row.at(way).write_volatile(row.tag) };
        Ok(&mut entry.value)
    }
}

/// Writes a value, word by word: others may read it at the same time. A plain assignment of what is mostly zero becomes a
/// call of `memset`, which is a loop over bytes in a BPF program, and longer than the rest of adding an entry.
#[inline(always)]
fn put<const W: usize, V: Copy>(entry: &mut Entry<W, V>, value: V) {
    const { assert!(size_of::<V>() % 8 == 0) };
    let to = (&raw mut entry.value).cast::<u64>();
    let value = (&raw const value).cast::<u64>();
    for word in 0..size_of::<V>() / 8 {
        // SAFETY: within both; behind the words of a key, and so aligned. Volatile, so that the words stay apart.
        unsafe {
            to.add(word)
                .write_volatile(value.add(word).read_unaligned())
        };
    }
}
