//! Compares three decisions on every frame: the XDP program in the kernel, the same verdict in user space, and the
//! oracle.

mod decision;
mod faults;
mod history;
mod kernel;
mod kinds;
mod shrink;
mod sides;
mod tally;
mod ticks;
mod wire;

pub(crate) use decision::hex;
pub use decision::{Decision, Verdict, port_of};
pub use faults::{COPIES_ARE_NOT_COUNTED, FAULTS, Fault, RESERVE_IS_NOT_KEPT};
pub use history::{Scenario, Settings, Step};
pub use kernel::{Kernel, in_namespace};
pub use shrink::shrink;
pub use sides::{Difference, Sides};
pub use tally::{BACK, STITCHED, Tally};
pub use ticks::{in_one_tick, next_tick};
