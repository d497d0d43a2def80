//! Tests that may be skipped. A test that cannot run writes `SKIPPED {name}: {why}` directly to standard output, past the
//! capture of the test harness (`writeln!(std::io::stdout(), ...)`), and returns. A skip that is not listed here counts as
//! a failure.

/// The name that the test prints, and why it may be skipped.
pub const ALLOWED: &[(&str, &str)] = &[];
