//! `cordon` as people and programs meet it: the real program against a gateway that is played on a Unix socket.
//! What it prints is compared with `tests/snapshots`; `CORDON_UPDATE_SNAPSHOTS=1` writes them anew.

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
