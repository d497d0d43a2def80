//! The tables that evict the oldest entry: how an entry is looked up, added and removed. Their layout is described in
//! `cordon_verdict::abi::BucketHeader`'s module.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};
use core::sync::atomic::{Ordering, compiler_fence};

use aya_ebpf::btf_maps::Array;
use cordon_verdict::Full;
use cordon_verdict::abi::{
    BUCKET_ENTRIES, BUCKET_STRIDE, BucketHeader, CLAIMED, Entry, bucket_tag, search,
};

use crate::maps::MAPPED;

const ORDER: AtomicOrdering = AtomicOrdering::SeqCst;

/// A table that evicts.
pub struct EvictingTable<const W: usize, V: 'static, const ENTRIES: usize> {
    /// Buckets of entries, each with its header in front.
    pub entries: &'static Array<Entry<W, V>, ENTRIES, MAPPED>,
    pub seed: u64,
}

/// The entry of a key.
pub struct BucketEntry<const W: usize, V: 'static> {
    bucket: Bucket,
    slot: usize,
    entry: &'static mut Entry<W, V>,
}

impl<const W: usize, V> BucketEntry<W, V> {
    /// The value.
    #[inline(always)]
    pub fn value(&self) -> &V {
        &self.entry.value
    }

    /// Whether the entry still belongs to the key.
    #[inline(always)]
    pub fn is_current(&self) -> bool {
        // SAFETY: within the header; volatile, because others write it.
        unsafe { self.bucket.tag_at(self.slot).read_volatile() == self.bucket.tag }
    }

    /// Removes the entry, unless it belongs to another key by now.
    #[inline(always)]
    pub fn remove(self) {
        let Bucket { tag, .. } = self.bucket;
        // SAFETY: within the header, aligned, and always accessed as one word.
        let _ = unsafe { atomic_cxchg::<u32, ORDER, ORDER>(self.bucket.tag_at(self.slot), tag, 0) };
    }

    /// Skips the entry if it is the next victim.
    #[inline(always)]
    fn spare(&self) {
        let victim = self.bucket.victim();
        // SAFETY: within the header; volatile, because others write it.
        let next = unsafe { victim.read_volatile() };
        if next & (BUCKET_STRIDE - 1) == self.slot as u32 {
            // SAFETY: within the header, aligned, and always accessed as one word.
            let _ = unsafe { atomic_cxchg::<u32, ORDER, ORDER>(victim, next, next + 1) };
        }
    }
}

/// The bucket of a key: its header, the number of its first entry, and the key's tag.
struct Bucket {
    header: *mut BucketHeader,
    first: u32,
    tag: u32,
}

impl Bucket {
    /// The tag of an entry.
    #[inline(always)]
    fn tag_at(&self, slot: usize) -> *mut u32 {
        // SAFETY: within the header, for slots below `BUCKET_ENTRIES`.
        unsafe { (&raw mut (*self.header).tags).cast::<u32>().add(slot) }
    }

    /// The counter that selects the next victim.
    #[inline(always)]
    fn victim(&self) -> *mut u32 {
        // SAFETY: within the header.
        unsafe { &raw mut (*self.header).victim }
    }

    /// Advances the counter; returns the victim, of 0 to 7.
    #[inline(always)]
    fn advance(&self) -> usize {
        // SAFETY: within the header, aligned, and always accessed as one word.
        let victim = unsafe { atomic_xadd::<u32, u32, ORDER>(self.victim(), 1) };
        (victim & (BUCKET_STRIDE - 1)) as usize
    }

    /// The slot for a new entry: a free one, else the victim.
    #[inline(always)]
    fn slot_for_new(&self) -> usize {
        // SAFETY: within the header; volatile, because others write it.
        let free =
            (0..BUCKET_ENTRIES).find(|slot| unsafe { self.tag_at(*slot).read_volatile() } == 0);
        if let Some(slot) = free {
            // SAFETY: within the header, aligned, and always accessed as one word.
            let (_, ours) =
                unsafe { atomic_cxchg::<u32, ORDER, ORDER>(self.tag_at(slot), 0, CLAIMED) };
            if ours {
                // Of the present entries this one is to be evicted last.
                // SAFETY: within the header; volatile, because others read it.
                unsafe { self.victim().write_volatile(slot as u32 + 1) };
                return slot;
            }
        }
        match self.advance() {
            // There are only seven entries.
            BUCKET_ENTRIES.. => self.advance().min(BUCKET_ENTRIES - 1),
            slot => slot,
        }
    }

    /// The slot whose tag is the key's.
    #[inline(always)]
    fn slot(&self) -> Option<usize> {
        // SAFETY: within the header; volatile, because others write it.
        (0..BUCKET_ENTRIES).find(|slot| unsafe { self.tag_at(*slot).read_volatile() } == self.tag)
    }
}

impl<const W: usize, V: Copy, const ENTRIES: usize> EvictingTable<W, V, ENTRIES> {
    #[inline(always)]
    fn bucket(&self, key: &[u64; W]) -> Option<Bucket> {
        const { assert!(ENTRIES.is_power_of_two()) };
        let search = search(key, self.seed, ENTRIES as u32 / BUCKET_STRIDE - 1);
        let [number, _] = search.lines;
        let header = self.entries.get_ptr_mut(number * BUCKET_STRIDE)?;
        Some(Bucket {
            header: header.cast(),
            first: number * BUCKET_STRIDE + 1,
            tag: bucket_tag(search.tag),
        })
    }

    #[inline(always)]
    fn entry(&self, bucket: &Bucket, slot: usize) -> Option<&'static mut Entry<W, V>> {
        let entry = self.entries.get_ptr_mut(bucket.first + slot as u32)?;
        // SAFETY: valid while the program runs. Other processors may write the entry or give it to another key: each
        // word is valid by itself, and a caller that needs several consistent words checks the tag afterwards.
        Some(unsafe { &mut *entry })
    }

    /// The entry of a key, if there is one.
    #[inline(always)]
    pub fn entry_of(&self, key: &[u64; W]) -> Option<BucketEntry<W, V>> {
        let bucket = self.bucket(key)?;
        let slot = bucket.slot()?;
        let entry = self.entry(&bucket, slot)?;
        entry.has_key(key).then_some(BucketEntry {
            bucket,
            slot,
            entry,
        })
    }

    /// The value of a key. An entry that is in use is not evicted next.
    #[inline(always)]
    pub fn find(&self, key: &[u64; W]) -> Option<&'static mut V> {
        let found = self.entry_of(key)?;
        found.spare();
        Some(&mut found.entry.value)
    }

    /// Adds a value: in a free slot, else in that of the entry that was added first. If another processor has added the
    /// key meanwhile, its value stays.
    #[inline(always)]
    pub fn add(&self, key: &[u64; W], value: V) -> Result<&'static mut V, Full> {
        let bucket = self.bucket(key).ok_or(Full)?;
        let slot = match bucket.slot() {
            Some(slot) => {
                let there = self.entry(&bucket, slot).ok_or(Full)?;
                if there.has_key(key) {
                    return Ok(&mut there.value);
                }
                // The same tag for another key, a chance of one in 2^28. Its entry is overwritten: in any other slot
                // this one would never be found.
                slot
            }
            None => bucket.slot_for_new(),
        };
        // SAFETY: within the header; volatile, because others read it.
        unsafe { bucket.tag_at(slot).write_volatile(CLAIMED) };
        compiler_fence(Ordering::SeqCst);
        let entry = self.entry(&bucket, slot).ok_or(Full)?;
        entry.key = *key;
        put(entry, value);
        compiler_fence(Ordering::SeqCst);
        // SAFETY: as above.
        unsafe { bucket.tag_at(slot).write_volatile(bucket.tag) };
        Ok(&mut entry.value)
    }
}

/// Writes a value word by word, because other processors may read it at the same time. A plain assignment of a mostly
/// zero value becomes a call of `memset`, which in a BPF program is a loop over bytes, and slower than the rest of an
/// insertion.
#[inline(always)]
fn put<const W: usize, V: Copy>(entry: &mut Entry<W, V>, value: V) {
    const { assert!(size_of::<V>().is_multiple_of(8)) };
    let to = (&raw mut entry.value).cast::<u64>();
    let value = (&raw const value).cast::<u64>();
    for word in 0..size_of::<V>() / 8 {
        // SAFETY: within both; aligned, because it follows the words of a key. Volatile, so that the stores are not
        // merged.
        unsafe {
            to.add(word)
                .write_volatile(value.add(word).read_unaligned())
        };
    }
}
