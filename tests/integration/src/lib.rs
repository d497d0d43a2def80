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
pub mod properties;
pub mod recorder;
pub mod steps;
pub mod watcher;
pub mod wires;
