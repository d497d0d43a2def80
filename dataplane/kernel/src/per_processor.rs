//! Per-processor maps: reading the values of all processors, and sums of counters.

use std::os::fd::BorrowedFd;

use cordon_verdict::abi::Counter;

use crate::batch;
use crate::error::Error;
use crate::raw::{Record, record};

/// The sum of a counter over all processors.
pub fn total(values: &[Counter]) -> Counter {
    values
        .iter()
        .fold(Counter::default(), |sum, value| Counter {
            packets: sum.packets.wrapping_add(value.packets),
            bytes: sum.bytes.wrapping_add(value.bytes),
        })
}

/// The number of values that a per-processor map has for each key.
///
/// # Errors
/// [`Error::Batch`].
pub fn processors() -> Result<usize, Error> {
    aya::util::nr_cpus().map_err(|(_, source)| Error::Batch {
        name: "processors",
        source,
    })
}

/// Calls `each` with the index of every element and its values, one for each processor.
///
/// # Errors
/// [`Error::Batch`].
pub fn each<T: Record>(
    map: BorrowedFd<'_>,
    name: &'static str,
    each: impl FnMut(u32, &[T]),
) -> Result<(), Error> {
    range(map, name, 0, usize::MAX, each)
}

/// As [`each`], for `count` elements from `first` on.
///
/// # Errors
/// [`Error::Batch`].
pub fn range<T: Record>(
    map: BorrowedFd<'_>,
    name: &'static str,
    first: u32,
    count: usize,
    mut each: impl FnMut(u32, &[T]),
) -> Result<(), Error> {
    let processors = processors()?;
    // The kernel rounds every processor's value up to eight bytes.
    let size = size_of::<T>().next_multiple_of(8);
    let mut values = Vec::with_capacity(processors);
    batch::lookup_range(map, first, count, size * processors, |key, bytes| {
        values.clear();
        values.extend(bytes.chunks_exact(size).filter_map(record::<T>));
        if let Some(index) = record::<u32>(key) {
            each(index, &values);
        }
    })
    .map_err(|source| Error::Batch { name, source })
}
