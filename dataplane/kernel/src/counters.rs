//! Counters, summed over processors.

use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::IterableMap as _;
use cordon_verdict::Reason;
use cordon_verdict::abi::{Counter, Sampling};

use crate::batch;
use crate::error::Error;
use crate::program::Dataplane;
use crate::raw::{Record, record};

/// Dropped frames, by reason.
pub type Drops = Vec<(Reason, Counter)>;

impl Dataplane {
    /// What was dropped since the program was loaded, by reason; reasons that dropped nothing included.
    ///
    /// # Errors
    /// [`Error::Batch`].
    pub fn drops(&self) -> Result<Drops, Error> {
        let mut by_number = [Counter::default(); 256];
        each(
            self.maps.drops.map().fd().as_fd(),
            "DROP_COUNTERS",
            |index, values| {
                if let Some(to) = by_number.get_mut(index as usize) {
                    *to = total(values);
                }
            },
        )?;
        Ok(Reason::ALL
            .iter()
            .map(|reason| (*reason, by_number[*reason as usize]))
            .collect())
    }

    /// Events that could not be told of, since the program was loaded.
    ///
    /// # Errors
    /// [`Error::Batch`].
    pub fn events_lost(&self) -> Result<u64, Error> {
        let mut lost = 0;
        each(
            self.maps.sampling.map().fd().as_fd(),
            "SAMPLING",
            |_, values: &[Sampling]| {
                lost = values.iter().map(|sampling| sampling.lost).sum();
            },
        )?;
        Ok(lost)
    }
}

/// The sum of one counter's values on each processor.
pub fn total(values: &[Counter]) -> Counter {
    values
        .iter()
        .fold(Counter::default(), |sum, value| Counter {
            packets: sum.packets.wrapping_add(value.packets),
            bytes: sum.bytes.wrapping_add(value.bytes),
        })
}

/// How many processors a per-processor map has values for.
///
/// # Errors
/// [`Error::Batch`] if the kernel does not say.
pub fn processors() -> Result<usize, Error> {
    aya::util::nr_cpus().map_err(|(_, source)| Error::Batch {
        name: "processors",
        source,
    })
}

/// Calls `each` with the index and the values, one a processor, of every element.
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

/// As [`each`], of `count` elements from `first` on.
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
