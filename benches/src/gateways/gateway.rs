//! The interface of a gateway under test.

use anyhow::Result;

/// A kind of gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A Linux bridge.
    Bridge,
    /// `XDP_REDIRECT` only.
    Redirect,
    /// nftables.
    Nftables,
    /// Cordon.
    Cordon,
}

impl Kind {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bridge => "bridge",
            Kind::Redirect => "redirect",
            Kind::Nftables => "nftables",
            Kind::Cordon => "cordon",
        }
    }
}

/// A gateway's own counters since it was set up. None where it has no such counter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayCounters {
    /// Frames passed.
    pub passed: Option<u64>,
    /// Flows opened.
    pub opened: Option<u64>,
    /// Frames dropped, by reason.
    pub dropped: Vec<(String, u64)>,
}

/// A gateway under test.
pub trait Gateway: Send + Sync {
    /// Its counters.
    ///
    /// # Errors
    /// If they cannot be read.
    fn counters(&mut self) -> Result<GatewayCounters>;

    /// The number of established flows: both ends have sent.
    ///
    /// # Errors
    /// If it cannot be read.
    fn established(&mut self) -> Result<u64>;

    /// Removes all flows.
    ///
    /// # Errors
    /// If the kernel refuses.
    fn flush_flows(&mut self) -> Result<()>;

    /// The kernel memory of its tables, in bytes.
    ///
    /// # Errors
    /// If the kernel does not report it.
    fn memory(&self) -> Result<u64> {
        Ok(0)
    }

    /// A line that describes its setup, for the report.
    fn description(&self) -> String;
}
