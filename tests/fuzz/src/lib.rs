//! Checks for fuzzing. Each function takes an input and panics if a property is violated. `targets/` passes them to
//! libFuzzer, `tests/` replays the stored inputs.

mod api;
mod frames;
mod policy;

pub use api::api;
pub use frames::{finds, frames};
pub use policy::policy;

/// Separates the files of a policy directory, and the connections to the API. It is a line, so that inputs can be
/// written by hand, and short, so that a fuzzer finds it.
pub const SEPARATOR: &[u8] = b"\n=====\n";

/// The parts of an input, between separators.
fn parts(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let whole = rest?;
        let at = whole
            .windows(SEPARATOR.len())
            .position(|window| window == SEPARATOR);
        let (part, after) = match at {
            Some(at) => (&whole[..at], Some(&whole[at + SEPARATOR.len()..])),
            None => (whole, None),
        };
        rest = after;
        Some(part)
    })
}
