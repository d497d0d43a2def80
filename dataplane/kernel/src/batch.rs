//! Many map elements in one system call: `BPF_MAP_UPDATE_BATCH` and `BPF_MAP_LOOKUP_BATCH` (Linux 5.6).

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use crate::raw::{Counters, Record, bytes};

const UPDATE_BATCH: libc::c_long = 26;
const LOOKUP_BATCH: libc::c_long = 24;

/// Elements of one call: large enough to make the call cheap, small enough for the kernel's own copy.
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
    // SAFETY: `attributes` is the kernel's layout for these commands, and says its size; the buffers that it
    // points to are borrowed by the callers below for the length of the call.
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

/// Writes `values` at `keys`.
///
/// # Errors
/// The kernel's; elements before the one at fault have been written.
pub fn update<K: Record, V: Record>(
    map: BorrowedFd<'_>,
    keys: &[K],
    values: &[V],
) -> io::Result<()> {
    for (keys, values) in keys.chunks(CHUNK).zip(values.chunks(CHUNK)) {
        update_one(map, bytes(keys), bytes(values), keys.len())?;
    }
    Ok(())
}

/// Writes `count` entries of a hash table, on as many processors as there are: a large table takes a second or so on one.
///
/// # Errors
/// As [`update`].
pub fn fill<'a, K: Record + Send, V: Record + Send>(
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
            update(map, &keys, &values)?;
            if keys.len() < CHUNK {
                return Ok(());
            }
        }
    };
    // Few entries are written before a thread is started.
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
                .unwrap_or_else(|_| Err(io::Error::other("a thread that wrote it gave up")))
        });
        others.fold(done, io::Result::and)
    })
}

/// Writes values of a per-processor map at `keys`.
///
/// # Errors
/// As [`update`].
pub fn update_per_processor(
    map: BorrowedFd<'_>,
    keys: &[u32],
    values: Counters<'_>,
) -> io::Result<()> {
    let per_chunk = CHUNK * values.processors;
    for (keys, values) in keys.chunks(CHUNK).zip(values.counters.chunks(per_chunk)) {
        update_one(map, bytes(keys), bytes(values), keys.len())?;
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

/// Reads `count` elements of an array from `first` on: of a large array of which little is used, a fraction of the
/// time.
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
    // Where a batch starts is told by the key before.
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
            // ENOENT is how the kernel says that this was the last batch.
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
