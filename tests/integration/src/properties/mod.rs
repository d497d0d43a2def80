//! Checks of the verdict that know no rule of its specification: they compare runs of the simulated gateway with each
//! other, and what leaves with the RFCs and the policy.

pub mod attack;
pub mod canonical;
pub mod continuity;
pub mod crossing;
pub mod exhaustion;
pub mod free_bits;
pub mod host;
pub mod interference;
pub mod kinds;
pub mod order;
pub mod repair;
pub mod router;
pub mod site;
pub mod traffic;

/// A number from the environment, or its default.
pub fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not `{text}`")),
        Err(_) => default,
    }
}
