//! Shared parts of the integration tests: the differential test, the test matrix, and tests with real programs over a
//! real gateway.

pub mod accounts;
pub mod chatter;
pub mod differential;
pub mod disk;
pub mod exposition;
pub mod generate;
pub mod hospital;
pub mod matrix;
pub mod pace;
pub mod programs;
<<<<<<< HEAD
pub mod properties;
=======
pub mod recorder;
>>>>>>> h2/wires
pub mod steps;
pub mod watcher;
pub mod wires;
