//! Tests with real programs over a real gateway.

pub mod differential;
pub mod generate;
