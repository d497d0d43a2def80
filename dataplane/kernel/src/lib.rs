//! The XDP program in the kernel: loads, attaches, pins, updates and reads it.
//!
//! [`Dataplane::open`] takes over the pinned program, replaces it, or loads it; [`Dataplane::attach`] makes a network interface a
//! port; [`Dataplane::install`] puts a policy into force, [`Dataplane::set_posture`] a posture. Both return only when no
//! packet is judged by the old one any more.

// In layers, the lowest first: a module uses modules of lower layers only. `tests/layers.rs` checks it.

// Layer: errors, records and the file system.
mod bpffs;
mod error;
mod flow_entry;
mod raw;

// Layer: system calls.
mod barrier;
mod batch;
mod capacity;
mod nic;
mod peer;
mod pins;

// Layer: one map or one interface at a time.
mod idle_timeout;
mod mapped;
mod per_processor;
mod qdisc;
mod tc;

// Layer: tables inside maps.
mod cuckoo;
mod evicting_table;
mod flow_table;
mod trie;

// Layer: all maps of the program.
mod maps;

// Layer: writing generations, loading programs.
mod program;
mod tag_tables;

mod stager;

// Layer: the handle that operations work on.
mod dataplane;

// Layer: operations, each file an `impl Dataplane`.
mod counters;
mod events;
mod flows;
mod install;
mod memory;
mod ports;
mod run;

mod census;

mod unlisted;

mod sweep;

mod open;

pub use counters::Drops;
pub use dataplane::Dataplane;
pub use error::Error;
pub use events::Events;
pub use flow_entry::FlowEntry;
pub use idle_timeout::{IdleTimeout, SweepLimits};
pub use install::Installed;
pub use memory::TableBytes;
pub use nic::Nic;
pub use open::{Opened, Options};
pub use peer::peer_groups;
pub use per_processor::total;
pub use run::Run;
pub use stager::Stager;
pub use sweep::Swept;
