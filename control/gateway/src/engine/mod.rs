//! The state of the daemon and its operations, behind one lock.
//!
//! One invariant holds throughout: *at every moment the kernel is at least as closed as the store says*. So a change
//! that closes is put into the kernel first and stored then; a change that opens is stored first. If the daemon is
//! killed between the two, more is closed than was acknowledged, never less; `restore.rs` reconciles the two.

mod apply;
mod commit_confirm;
mod compile;
mod counter_history;
mod counting;
mod gateway;
mod idle;
mod install;
mod jobs;
mod mtu;
mod orders;
mod port_list;
mod ports;
mod recompile;
mod renumbering;
mod restore;
mod slot_contents;
mod staging;
mod tick;

#[cfg(any(test, feature = "stand-ins"))]
mod stand_in;
#[cfg(test)]
pub mod tests;

pub use counter_history::Counts;
pub use gateway::{Gateway, InForce, Parts};
pub use orders::{Caller, order_seconds};
#[cfg(any(test, feature = "stand-ins"))]
pub use stand_in::stand_in;
