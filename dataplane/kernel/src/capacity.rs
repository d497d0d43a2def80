//! How many entries tables have room for.

use crate::error::Error;

/// Entries beyond those of a generation, so that devices can be added without rewriting a table.
const SPARE: usize = 1024;

/// The capacity of a table that is made for so many entries: a sixteenth and [`SPARE`] more.
pub fn room(entries: usize) -> u32 {
    (entries + entries / 16 + SPARE) as u32
}

/// Checks a count against a limit.
///
/// # Errors
/// [`Error::TooMany`].
pub fn fits(what: &'static str, count: usize, limit: usize) -> Result<(), Error> {
    if count > limit {
        Err(Error::TooMany { what, count, limit })
    } else {
        Ok(())
    }
}
