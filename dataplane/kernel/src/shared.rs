//! Arrays of the kernel's in this process's memory.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use aya::maps::MapData;
use cordon_verdict::abi::{Entry, Line};

use crate::error::Error;
use crate::maps::{of, pinned};

/// An array of the kernel's, mapped.
pub struct Shared<T> {
    memory: NonNull<T>,
    /// How many elements it has.
    pub count: usize,
}

// SAFETY: the memory stays mapped until it is dropped, and is accessed by atomic or volatile words only.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Maps a pinned array.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Batch`].
    pub fn open(pins: &Path, name: &'static str) -> Result<Shared<T>, Error> {
        Shared::map(&pinned(pins, name)?, name)
    }

    /// Maps an array.
    ///
    /// # Errors
    /// As [`Shared::open`].
    pub fn map(map: &MapData, name: &'static str) -> Result<Shared<T>, Error> {
        let count = map.info().map_err(of(name))?.max_entries() as usize;
        let wrong = |source| Error::Batch { name, source };
        // SAFETY: no address is asked for, and the length is the map's; what is mapped is touched by this type alone.
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
            return Err(wrong(io::Error::last_os_error()));
        }
        let memory =
            NonNull::new(memory.cast()).ok_or_else(|| wrong(io::Error::other("at zero")))?;
        Ok(Shared { memory, count })
    }

    /// Where an element is.
    pub fn at(&self, number: usize) -> Option<*mut T> {
        // SAFETY: one of those that are mapped.
        (number < self.count).then(|| unsafe { self.memory.as_ptr().add(number) })
    }
}

impl Shared<Line> {
    /// A word of the index of a table.
    pub fn word(&self, line: usize, way: usize) -> &AtomicU64 {
        let line = self.at(line).expect("a line of the index");
        // SAFETY: within the mapping, which lasts as long as `self`; aligned; everybody accesses it as one word.
        unsafe { AtomicU64::from_ptr(&raw mut (*line).0[way]) }
    }
}

impl<const W: usize, V> Shared<Entry<W, V>> {
    /// An entry, as it is.
    pub fn read(&self, number: usize) -> Option<Entry<W, V>> {
        // SAFETY: within the mapping. Volatile, because the kernel writes at the same time: every word of an entry is
        // meaningful by itself.
        self.at(number)
            .map(|entry| unsafe { entry.read_volatile() })
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: what `open` mapped, and nothing refers to it any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.count * size_of::<T>()) };
    }
}
