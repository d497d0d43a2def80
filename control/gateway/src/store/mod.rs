//! The persistent state: the last valid policy, the posture, the orders.
//!
//! Every file is written under a second name, synced, renamed, and its directory synced: a power cut leaves the old
//! file or the new one.
//!
//! ```text
//! state.json          which policy, which quarantines: what counts
//! policy/<hash>.json  the sources of a policy
//! orders.jsonl        every order, one a line, in order of sequence
//! kernel.json         what the kernel's tables were filled with; of no use after a reboot
//! ```

mod directory;
mod error;
#[cfg(any(test, feature = "stand-ins"))]
pub mod fake;
mod hash;
mod lock;
mod persistence;
#[cfg(test)]
mod tests;

pub use directory::Directory;
pub use error::StoreError;
pub use hash::hash_of;
pub use lock::lock;
pub use persistence::Store;
