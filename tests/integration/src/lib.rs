//! Tests with real programs over a real gateway.
