//! A bare Linux bridge: the reference without a gateway.

use anyhow::Result;

use super::gateway::{Gateway, GatewayCounters};
use crate::namespace::ip;

/// A bridge in one namespace.
pub struct Bridge;

impl Bridge {
    /// Sets up a bridge in the calling thread's namespace.
    ///
    /// # Errors
    /// The error of `ip`.
    pub fn new() -> Result<Bridge> {
        ip("link add bridge0 type bridge mcast_snooping 0")?;
        for port in ["eth1", "eth2"] {
            ip(&format!("link set {port} master bridge0"))?;
        }
        ip("link set bridge0 up")?;
        Ok(Bridge)
    }
}

impl Gateway for Bridge {
    fn counters(&mut self) -> Result<GatewayCounters> {
        Ok(GatewayCounters::default())
    }

    fn established(&mut self) -> Result<u64> {
        Ok(0)
    }

    fn flush_flows(&mut self) -> Result<()> {
        Ok(())
    }

    fn description(&self) -> String {
        "a bare Linux bridge".to_owned()
    }
}
