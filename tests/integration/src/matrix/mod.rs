//! The test matrix: protocol x direction x attachment kind x posture, and what every guard stops.
//!
//! [`table`] is to be read: what becomes of every cell is written there, by hand. [`world`] is the ward that the cells
//! are about, once for each kind of attachment; [`protocols`] makes the frames; [`run`] has each cell judged by the XDP
//! program, in user space and by the oracle, and compares all three with the table.

pub mod expect;
pub mod guards;
pub mod protocols;
pub mod run;
pub mod table;
pub mod world;

pub use run::{Outcome, Tables, run};
pub use table::{GUARDS, Guarded, MATRIX, Row};
