//! Counters, summed over processors.

use std::os::fd::AsFd;

use aya::maps::IterableMap as _;
use cordon_verdict::Reason;
use cordon_verdict::abi::{Counter, RULES, Sampling, rule_index};

use crate::dataplane::Dataplane;
use crate::error::Error;
use crate::per_processor::{each, range, total};

/// Dropped frames, by reason.
pub type Drops = Vec<(Reason, Counter)>;

impl Dataplane {
    /// The drop counters since the program was loaded, of every reason.
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

    /// The number of events that were lost since the program was loaded, because the ring was full.
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

    /// The counters of the first `limit` rules of a slot, summed over processors. Trailing zeroes are left out.
    ///
    /// # Errors
    /// [`Error::Batch`].
    pub fn rule_counters(&self, slot: u8, limit: usize) -> Result<Vec<Counter>, Error> {
        let mut counted = vec![Counter::default(); limit.min(RULES)];
        let map = self.maps.rules.map().fd().as_fd();
        let (first, count) = (rule_index(slot, 0), counted.len());
        range(map, "RULE_COUNTERS", first, count, |index, values| {
            if let Some(to) = counted.get_mut((index - first) as usize) {
                *to = total(values);
            }
        })?;
        while counted.last() == Some(&Counter::default()) {
            counted.pop();
        }
        Ok(counted)
    }
}
