//! The tables of established flows: how an entry is looked up and added. Their layout, and which side may use an entry
//! when, are described in `cordon_verdict::abi::Line`'s module.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_or, atomic_xadd};
use core::sync::atomic::{Ordering, compiler_fence};

use cordon_verdict::Full;
use cordon_verdict::abi::{EMPTY, Flow, OVERFLOW, Search, TAG, WAYS, search};

use crate::maps::{Table, USED};

const ORDER: AtomicOrdering = AtomicOrdering::SeqCst;

impl<const W: usize, const LINES: usize, const FLOWS: usize> Table<W, LINES, FLOWS> {
    /// Looks up a flow.
    #[inline(always)]
    pub fn find(&self, key: &[u64; W]) -> Option<&'static mut Flow> {
        let word = self.word(&search(key, self.seed, self.mask))?;
        let entry = self.entries.get_ptr_mut(word as u32)?;
        // SAFETY: valid while the program runs; user space frees an entry only when no packet can use it. Other
        // processors may write the same flow: each word is valid by itself.
        let entry = unsafe { &mut *entry };
        entry.has_key(key).then_some(&mut entry.value)
    }

    /// The word of the index with a tag.
    #[inline(always)]
    fn word(&self, search: &Search) -> Option<u64> {
        for line in search.lines {
            let line = self.index.get_ptr(line)?;
            let mut overflow = 0;
            for way in 0..WAYS {
                // SAFETY: within the line; volatile, because other processors write it.
                let word = unsafe { (&raw const (*line).0[way]).read_volatile() };
                if word & (TAG ^ OVERFLOW) == search.tag {
                    return Some(word);
                }
                overflow = word & OVERFLOW;
            }
            if overflow == 0 {
                return None;
            }
        }
        None
    }

    /// Adds a flow that is not in the table, if `is_current` holds after the flow was copied. If two processors add the
    /// same flow at once there are two entries: look-ups find one, and the other ages out.
    #[inline(always)]
    pub fn add(
        &self,
        key: &[u64; W],
        flow: &Flow,
        is_current: impl FnOnce() -> bool,
    ) -> Result<(), Full> {
        let search = search(key, self.seed, self.mask);
        // Another flow has the same tag and is found first: this one stays half-open.
        if self.word(&search).is_some() {
            return Err(Full);
        }
        let number = self.take()?;
        let entry = self.entries.get_ptr_mut(number).ok_or(Full)?;
        // SAFETY: valid, and used by no other processor until it is published.
        let entry = unsafe { &mut *entry };
        entry.key = *key;
        entry.value = *flow;
        compiler_fence(Ordering::SeqCst);
        if is_current() && self.publish(&search, number) {
            return Ok(());
        }
        let _ = self.spare.push(number, 0);
        Err(Full)
    }

    /// An unused entry: from the free list, else one that was never used.
    #[inline(always)]
    fn take(&self) -> Result<u32, Full> {
        if let Ok(Some(number)) = self.spare.pop() {
            return Ok(number);
        }
        let used = USED.get_ptr_mut(self.used).ok_or(Full)?;
        // SAFETY: valid, aligned, and always changed in this way.
        let number = unsafe { atomic_xadd::<u64, u64, ORDER>(used, 1) };
        if number >= u32::MAX as u64 {
            return Err(Full);
        }
        Ok(number as u32)
    }

    /// Publishes an entry in one of its lines. Returns whether one had room.
    #[inline(always)]
    fn publish(&self, search: &Search, number: u32) -> bool {
        for line in search.lines {
            let Some(line) = self.index.get_ptr_mut(line) else {
                return false;
            };
            for way in 0..WAYS {
                // SAFETY: within the line, aligned, and always accessed as one word.
                let at = unsafe { &raw mut (*line).0[way] };
                // SAFETY: as above.
                let there = unsafe { at.read_volatile() };
                if there & !OVERFLOW != EMPTY {
                    continue;
                }
                let word = search.tag | there | number as u64;
                // SAFETY: as above. The standard library has no compare-and-swap for this target, though the kernel has
                // (Linux 5.12).
                let (_, published) = unsafe { atomic_cxchg::<u64, ORDER, ORDER>(at, there, word) };
                if published {
                    return true;
                }
            }
            // SAFETY: as above. Set before the flow is published in the other line.
            unsafe { atomic_or::<u64, u64, ORDER>(&raw mut (*line).0[WAYS - 1], OVERFLOW) };
        }
        false
    }
}
