//! The XDP program in the kernel: loaded, attached, pinned, updated, read.
//!
//! [`Dataplane::open`] takes over what is pinned or starts anew; [`Dataplane::attach`] makes a network
//! interface a port; [`Dataplane::install`] puts a policy into force, [`Dataplane::set_posture`] a posture.
//! Both return only when no packet is judged by the old one any more.

mod barrier;
mod batch;
mod bpffs;
mod copier;
mod counters;
mod error;
mod events;
mod flows;
mod frozen;
mod idle;
mod install;
mod maps;
mod memory;
mod nic;
mod ports;
mod program;
mod queue;
mod raw;
mod recent;
mod run;
mod share;
mod shared;
mod steps;
mod sweep;
mod table;
mod wire;

pub use counters::{Drops, total};
pub use error::Error;
pub use events::Events;
pub use flows::FlowEntry;
pub use idle::{Idle, Silence};
pub use install::{Installed, Stager};
pub use memory::TableBytes;
pub use nic::Nic;
pub use program::{Dataplane, Opened, Options};
pub use run::Run;
pub use sweep::Swept;
