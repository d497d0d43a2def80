//! One frame, three opinions: the XDP program in the kernel, the same verdict in user space, and the oracle.

mod faults;
mod history;
mod kernel;
mod kinds;
mod said;
mod shrink;
mod sides;
mod tally;
mod wire;

pub use faults::{COPIES_ARE_NOT_COUNTED, FAULTS, Fault};
pub use history::{Scenario, Settings, Step};
pub use kernel::{Kernel, in_namespace};
pub use said::{Said, Verdict, port_of};
pub use shrink::shrink;
pub use sides::{Difference, Sides};
pub use tally::{BACK, STITCHED, Tally};
