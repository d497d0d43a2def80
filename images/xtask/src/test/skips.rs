//! Tests that may be skipped. A test that lacks something it cannot do without says so past the test harness:
//! `writeln!(std::io::stdout(), "SKIPPED {name}: {why}")`, and returns. Whatever is not here counts as failed.

/// A test's name as it says it itself, and why that is all right.
pub const ALLOWED: &[(&str, &str)] = &[];
