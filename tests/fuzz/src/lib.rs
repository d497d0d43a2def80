//! What must hold for any bytes. Each function takes an input of a fuzzer and panics if something does not hold;
//! `targets/` hands them to libFuzzer, `tests/` replays what is kept.

mod api;
mod frames;
mod policy;

pub use api::api;
pub use frames::{finds, frames};
pub use policy::policy;

/// Between the files of a policy directory, and between the connections to the API. A line of its own, so that a
/// person can write an input, and short enough that a fuzzer finds it.
pub const SEPARATOR: &[u8] = b"\n=====\n";

/// The parts of an input.
fn parts(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let whole = rest?;
        let at = whole
            .windows(SEPARATOR.len())
            .position(|window| window == SEPARATOR);
        let (part, behind) = match at {
            Some(at) => (&whole[..at], Some(&whole[at + SEPARATOR.len()..])),
            None => (whole, None),
        };
        rest = behind;
        Some(part)
    })
}
