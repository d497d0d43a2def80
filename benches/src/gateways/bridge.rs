//! A bare Linux bridge: what there was before there was a gateway.

use anyhow::Result;

use super::{Account, Gateway};
use crate::namespace::ip;

/// A bridge in one namespace.
pub struct Bridge;

impl Bridge {
    /// In the calling thread's namespace.
    ///
    /// # Errors
    /// What `ip` says.
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
    fn account(&mut self) -> Result<Account> {
        Ok(Account::default())
    }

    fn established(&mut self) -> Result<u64> {
        Ok(0)
    }

    fn forget(&mut self) -> Result<()> {
        Ok(())
    }

    fn described(&self) -> String {
        "a bare Linux bridge".to_owned()
    }
}
