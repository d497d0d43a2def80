//! Runs the real `cordon` against a simulated gateway on a Unix socket, and compares its output with `tests/snapshots`.
//! `CORDON_UPDATE_SNAPSHOTS=1` rewrites them.

mod errors;
mod fake;
mod help;
mod order;
mod pipes;
mod policy;
mod run;
mod snapshot;
mod tables;
mod terminal;
mod values;
mod watch;
