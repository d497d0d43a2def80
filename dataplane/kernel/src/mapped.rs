//! Array maps, mapped into this process's memory.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use aya::maps::MapData;
use cordon_verdict::abi::{Entry, Line};

use crate::error::Error;
use crate::pins::{of, pinned};

/// `BPF_F_MMAPABLE` and `BPF_F_INNER_MAP`: an inner map that can be mapped, and whose size may differ between slots.
pub const INNER_MAP_FLAGS: u32 = 1 << 10 | 1 << 12;

/// An array map of `T`, mapped into memory that this process and the kernel share.
pub struct Mapped<T> {
    memory: NonNull<T>,
    /// The number of elements.
    pub count: usize,
}

// SAFETY: the memory stays mapped until `self` is dropped, and is accessed by atomic or volatile words only.
unsafe impl<T> Send for Mapped<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Mapped<T> {}

impl<T> Mapped<T> {
    /// Maps a pinned array.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Batch`].
    pub fn open(pins: &Path, name: &'static str) -> Result<Mapped<T>, Error> {
        Mapped::map(&pinned(pins, name)?, name)
    }

    /// Maps an array.
    ///
    /// # Errors
    /// As [`Mapped::open`].
    pub fn map(map: &MapData, name: &'static str) -> Result<Mapped<T>, Error> {
        let count = map.info().map_err(of(name))?.max_entries() as usize;
        let failed = |source| Error::Batch { name, source };
        // SAFETY: the kernel chooses the address, and the length is the map's; only this type accesses the mapping.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                count * size_of::<T>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.fd().as_fd().as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(failed(io::Error::last_os_error()));
        }
        let memory =
            NonNull::new(memory.cast()).ok_or_else(|| failed(io::Error::other("at zero")))?;
        Ok(Mapped { memory, count })
    }

    /// The address of an element.
    pub fn at(&self, number: usize) -> Option<*mut T> {
        // SAFETY: one of the mapped elements.
        (number < self.count).then(|| unsafe { self.memory.as_ptr().add(number) })
    }
}

impl Mapped<Line> {
    /// A word of the index of a flow table.
    pub fn word(&self, line: usize, way: usize) -> &AtomicU64 {
        let line = self.at(line).expect("a line of the index");
        // SAFETY: within the mapping, which lasts as long as `self`; aligned; kernel and user space access it as one word.
        unsafe { AtomicU64::from_ptr(&raw mut (*line).0[way]) }
    }
}

impl<const W: usize, V> Mapped<Entry<W, V>> {
    /// A copy of an entry.
    pub fn read(&self, number: usize) -> Option<Entry<W, V>> {
        // SAFETY: within the mapping. Volatile, because the kernel writes at the same time: every word of an entry is
        // meaningful by itself.
        self.at(number)
            .map(|entry| unsafe { entry.read_volatile() })
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: `map` mapped it with this length, and nothing refers to it any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.count * size_of::<T>()) };
    }
}
