//! The tables that evict their oldest entries (half-open flows, hosts), mapped: see the module of
//! `cordon_verdict::abi::BucketHeader`.

use std::path::Path;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use cordon_verdict::abi::{BUCKET_STRIDE, BucketHeader, CLAIMED, Entry, HOST_WORDS, Host};

use crate::error::Error;
use crate::mapped::Mapped;

/// A table that this process and the kernel share.
pub struct EvictingTable<const W: usize, V> {
    /// Buckets of [`BUCKET_STRIDE`] elements: a header with the tags of the entries, then the entries.
    entries: Mapped<Entry<W, V>>,
}

/// The number of an entry, and the tag that was found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRef {
    number: usize,
    tag: u32,
}

impl<const W: usize, V> EvictingTable<W, V> {
    /// Opens a pinned table.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Batch`].
    pub fn open(pins: &Path, name: &'static str) -> Result<EvictingTable<W, V>, Error> {
        let entries = Mapped::open(pins, name)?;
        Ok(EvictingTable { entries })
    }

    /// Calls `each` with every entry.
    pub fn each(&self, mut each: impl FnMut(EntryRef, [u64; W], V)) {
        let is_entry = |number: &usize| !number.is_multiple_of(BUCKET_STRIDE as usize);
        for number in (0..self.entries.count).filter(is_entry) {
            let tag = self.tag(number).load(Ordering::Acquire);
            if matches!(tag, 0 | CLAIMED) {
                continue;
            }
            let entry = self.entries.read(number);
            // The kernel has replaced or removed the entry while it was read.
            if self.tag(number).load(Ordering::Acquire) != tag {
                continue;
            }
            if let Some(Entry { key, value }) = entry {
                each(EntryRef { number, tag }, key, value);
            }
        }
    }

    /// The address of the value of an entry, for writing single words.
    fn value(&self, at: EntryRef) -> Option<*mut V> {
        let entry = self.entries.at(at.number)?;
        // SAFETY: within the mapping.
        Some(unsafe { &raw mut (*entry).value })
    }

    /// Removes an entry if `is_unchanged` holds for its value. `false` if not, or if the slot has another entry now.
    pub fn remove(&self, at: EntryRef, is_unchanged: impl FnOnce(&V) -> bool) -> bool {
        let entry = self.entries.read(at.number);
        if !entry.is_some_and(|entry| is_unchanged(&entry.value)) {
            return false;
        }
        self.tag(at.number)
            .compare_exchange(at.tag, 0, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    fn tag(&self, number: usize) -> &AtomicU32 {
        let (bucket, way) = (
            number / BUCKET_STRIDE as usize,
            number % BUCKET_STRIDE as usize - 1,
        );
        let first = self
            .entries
            .at(bucket * BUCKET_STRIDE as usize)
            .expect("a bucket");
        let header: *mut BucketHeader = first.cast();
        // SAFETY: within the mapping, which lasts as long as `self`; aligned; kernel and user space access it as one word.
        unsafe { AtomicU32::from_ptr(&raw mut (*header).tags[way]) }
    }
}

impl EvictingTable<HOST_WORDS, Host> {
    /// Sets whether a host has reached its quota of flows and may open no more: 1 or 0.
    pub fn throttle(&self, host: EntryRef, over: u16) {
        if let Some(host) = self.value(host) {
            // SAFETY: within the mapping, aligned, and kernel and user space access it as one word.
            let word = unsafe { AtomicU16::from_ptr(&raw mut (*host).limit.over) };
            word.store(over, Ordering::Relaxed);
        }
    }
}
