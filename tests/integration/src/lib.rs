//! Tests with real programs over a real gateway.

pub mod chatter;
pub mod differential;
pub mod generate;
pub mod hospital;
pub mod wires;
