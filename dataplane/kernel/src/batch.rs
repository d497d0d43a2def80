//! Many map elements in one system call: `BPF_MAP_UPDATE_BATCH` and `BPF_MAP_LOOKUP_BATCH` (Linux 5.6).

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use crate::error::Error;
use crate::raw::{Counters, Record, bytes};

const UPDATE_BATCH: libc::c_long = 26;
const LOOKUP_BATCH: libc::c_long = 24;

/// Elements in one call: enough to make the call cheap, few enough for the kernel's own copy of them.
const CHUNK: usize = 16384;

/// The `batch` member of the kernel's `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bpf(command: libc::c_long, attributes: &mut Attributes) -> io::Result<()> {
    // SAFETY: `attributes` has the kernel's layout for these commands and is passed with its size; the callers below
    // borrow the buffers that it points to for the length of the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<Attributes>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Writes `values` at `keys` of the map `name`.
///
/// # Errors
/// [`Error::Batch`]; the elements before the one that failed have been written.
pub fn update<K: Record, V: Record>(
    name: &'static str,
    map: BorrowedFd<'_>,
    keys: &[K],
    values: &[V],
) -> Result<(), Error> {
    update_all(map, keys, values).map_err(|source| Error::Batch { name, source })
}

fn update_all<K: Record, V: Record>(
    map: BorrowedFd<'_>,
    keys: &[K],
    values: &[V],
) -> io::Result<()> {
    for (keys, values) in keys.chunks(CHUNK).zip(values.chunks(CHUNK)) {
        update_one(map, bytes(keys), bytes(values), keys.len())?;
    }
    Ok(())
}

/// Writes `count` entries of a hash table, on all processors: on one, a large table takes about a second.
///
/// # Errors
/// As [`update`].
pub fn fill<'a, K: Record + Send + Sync, V: Record + Send + Sync>(
    name: &'static str,
    map: BorrowedFd<'_>,
    count: usize,
    entries: impl Iterator<Item = (&'a K, &'a V)> + Send,
) -> Result<(), Error> {
    fill_all(map, count, entries).map_err(|source| Error::Batch { name, source })
}

fn fill_all<'a, K: Record + Send + Sync, V: Record + Send + Sync>(
    map: BorrowedFd<'_>,
    count: usize,
    entries: impl Iterator<Item = (&'a K, &'a V)> + Send,
) -> io::Result<()> {
    let entries = Mutex::new(entries);
    let work = || {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        loop {
            keys.clear();
            values.clear();
            {
                let mut entries = lock(&entries);
                let chunk = entries.by_ref().take(CHUNK);
                chunk.for_each(|(key, value)| {
                    keys.push(*key);
                    values.push(*value);
                });
            }
            if keys.is_empty() {
                return Ok(());
            }
            update_all(map, &keys, &values)?;
            if keys.len() < CHUNK {
                return Ok(());
            }
        }
    };
    // For few entries, starting threads costs more than it saves.
    if count <= 4 * CHUNK {
        return work();
    }
    let helpers = thread::available_parallelism().map_or(0, |all| all.get() - 1);
    thread::scope(|scope| {
        let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
        let done = work();
        let others = helpers.into_iter().map(|helper| {
            helper
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a writing thread panicked")))
        });
        others.fold(done, io::Result::and)
    })
}

/// Writes values of the per-processor map `name` at `keys`.
///
/// # Errors
/// As [`update`].
pub fn update_per_processor(
    name: &'static str,
    map: BorrowedFd<'_>,
    keys: &[u32],
    values: Counters<'_>,
) -> Result<(), Error> {
    let per_chunk = CHUNK * values.processors;
    for (keys, values) in keys.chunks(CHUNK).zip(values.counters.chunks(per_chunk)) {
        update_one(map, bytes(keys), bytes(values), keys.len())
            .map_err(|source| Error::Batch { name, source })?;
    }
    Ok(())
}

fn update_one(map: BorrowedFd<'_>, keys: &[u8], values: &[u8], count: usize) -> io::Result<()> {
    let mut attributes = Attributes {
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count: count as u32,
        map_fd: map.as_raw_fd() as u32,
        ..Attributes::default()
    };
    bpf(UPDATE_BATCH, &mut attributes)
}

/// Reads `count` elements of an array from `first` on, `value` bytes each. This saves the time for the unused rest of a
/// large array.
///
/// # Errors
/// The kernel's.
pub fn lookup_range(
    map: BorrowedFd<'_>,
    first: u32,
    count: usize,
    value: usize,
    mut each: impl FnMut(&[u8], &[u8]),
) -> io::Result<()> {
    let mut keys = vec![0u8; CHUNK.min(count) * size_of::<u32>()];
    let mut values = vec![0u8; CHUNK.min(count) * value];
    // The kernel starts a batch after the key that `in_batch` points to.
    let mut position = first.checked_sub(1).map(u32::to_ne_bytes);
    let mut left = count;
    while left > 0 {
        let mut next = [0; 4];
        let mut attributes = Attributes {
            in_batch: position.as_ref().map_or(0, |key| key.as_ptr() as u64),
            out_batch: next.as_mut_ptr() as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: CHUNK.min(left) as u32,
            map_fd: map.as_raw_fd() as u32,
            ..Attributes::default()
        };
        let last = match bpf(LOOKUP_BATCH, &mut attributes) {
            Ok(()) => false,
            // With ENOENT the kernel marks the last batch.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            Err(error) => return Err(error),
        };
        let read = attributes.count as usize;
        keys.chunks_exact(size_of::<u32>())
            .zip(values.chunks_exact(value))
            .take(read)
            .for_each(|(key, value)| each(key, value));
        if last {
            return Ok(());
        }
        left -= read.min(left);
        position = Some(next);
    }
    Ok(())
}
