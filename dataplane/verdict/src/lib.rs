//! The one decision: a frame and the tables in, a verdict out.
//!
//! The same source is compiled for the kernel (the XDP program) and for user space (explain, the
//! shadow policy, tests). It neither allocates nor panics, and every way to fail is a drop with a named [`Reason`].
//!
//! Start reading at [`path::walk`]: the packet path, in order, on one screen.
#![no_std]

pub mod abi;
mod account;
mod address;
mod admit;
mod authorise;
mod canonical;
mod fast_path;
mod flow;
mod forward;
mod fragment;
mod frame;
mod group;
mod half_open;
mod identify;
mod judge;
mod link_control;
mod membership;
mod neighbour;
mod other;
mod packet;
mod parse;
pub mod path;
pub mod protocol;
mod proxy;
mod reason;
mod related;
pub mod stage;
mod step;
mod tables;
mod track;
mod walk;

pub use account::dropped;
pub use address::{Ip, MAC_GROUP, Mac};
pub use authorise::Denied;
pub use fast_path::{FastPath, fast_path};
pub use forward::{attachment_copy, flood_copy, outer_type};
pub use frame::{Frame, HEAD, Head};
pub use judge::{Outcome, judge};
pub use reason::Reason;
pub use step::{Egress, Extended, InFlight, Passed, Pending, Rewriting, Step, UpperLayer};
pub use tables::{Full, Tables};
