//! One generation of the gateway's tables, and a change to it.
//!
//! The compiler writes a [`Generation`]; the kernel loader copies it into maps; the simulator judges packets by it.

mod change;
mod generation;
mod policy;
mod table;

pub use change::Change;
pub use generation::{Generation, Prefix};
pub use policy::PolicyTable;
pub use table::Table;
