//! The records of every table: what the kernel and user space agree on, byte for byte.
//!
//! Every record is `repr(C)`, has its padding written out, contains no `bool` and no `Option`, and has
//! its size asserted. Any change here changes [`VERSION`].

mod control;
mod copies;
mod event;
mod flow;
pub mod frozen;
mod recent;
mod records;
pub mod steps;
mod table;
mod who;

pub use control::{AGE_SECONDS, CONTAIN, Control, LOCKDOWN, POSTURES, SEVER};
pub use copies::{Copies, CopyTo, Copying, Span, copy_index, span_index};
pub use event::{EVENT_DROP, EVENT_FLOW, Event};
pub use flow::{
    Flow, FlowKey4, FlowKey6, Fragments, FragmentsKey, Limit, Ruling, Way, way_attachment, way_mac,
    way_word,
};
pub use recent::{CLAIMED, HOST_WORDS, Host, RING, ROW, Ring, ring_tag};
pub use records::*;
pub use table::{EMPTY, Entry, Line, OVERFLOW, Search, TAG, WAYS, WORDS4, WORDS6, lines, search};
pub use who::{Address, Device, Network};

/// The version of this ABI. A program and a loader of different versions refuse each other.
pub const VERSION: u32 = 6;
