//! The test matrix: protocol x direction x attachment kind x posture, and the frames that every guard drops.
//!
//! [`table`] holds the expected result of every cell, written by hand. [`topology`] is the site of the cells, once for
//! each kind of attachment; [`frames`] builds the frames; [`run`] has each cell judged by the XDP program, in user
//! space and by the oracle, and compares all three with the table.

pub mod expect;
pub mod frames;
pub mod guards;
pub mod protocols;
pub mod run;
pub mod table;
pub mod topology;

pub use run::{Outcome, Tables, run};
pub use table::{GUARDS, Guarded, MATRIX, Row};
