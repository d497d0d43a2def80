//! The records of every table: what the kernel and user space agree on, byte for byte.
//!
//! Every record is `repr(C)`, has its padding written out, contains no `bool` and no `Option`, and has
//! its size asserted. Any change here changes [`VERSION`].

mod control;
mod copies;
pub mod cuckoo;
mod event;
mod evicting;
mod flow;
mod identity;
mod records;
mod table;
pub mod trie;

pub use control::{AGE_SECONDS, CONTAIN, Control, LOCKDOWN, POSTURES, SEVER};
pub use copies::{Copies, CopyMetadata, CopyTarget, Span, copy_index, span_index};
pub use event::{EVENT_DROP, EVENT_FLOW, Event};
pub use evicting::{
    BUCKET_ENTRIES, BUCKET_STRIDE, BucketHeader, CLAIMED, HOST_WORDS, Host, bucket_tag,
};
pub use flow::{
    Flow, FlowKey4, FlowKey6, FlowPath, Fragments, FragmentsKey, Limit, Ruling, path_attachment,
    path_mac, path_word,
};
pub use identity::{Address, Device, Network};
pub use records::*;
pub use table::{EMPTY, Entry, Line, OVERFLOW, Search, TAG, WAYS, WORDS4, WORDS6, lines, search};

/// The version of this ABI. A program and a loader of different versions refuse each other.
pub const VERSION: u32 = 8;
