//! Cordon: its own program, loader, policy and compiler, as the daemon would use them.

use anyhow::{Context as _, Error, Result};
use cordon_kernel::{Dataplane, Idle, Options, TableBytes};
use cordon_policy::{Date, Rejected};

use super::{Account, Gateway};
use crate::policy;
use crate::traffic::Site;

/// Cordon in one namespace.
pub struct Cordon {
    dataplane: Dataplane,
    rules: usize,
}

impl Cordon {
    /// In the calling thread's namespace, pinned in `pins`.
    ///
    /// # Errors
    /// If the policy is refused, or the kernel refuses the program.
    pub fn new(site: Site, pins: &str) -> Result<Cordon> {
        let validated = cordon_policy::from_sources(&policy::sources(site)).map_err(said)?;
        // No rule of it expires: any day will do.
        let today = Date::new(2026, 1, 1).context("there is such a day")?;
        let compiled = cordon_compile::compile(&validated.policy, today).map_err(said)?;
        let (mut dataplane, _) = Dataplane::open(&Options::new(pins))?;
        for (port, nic) in ["eth1", "eth2"].into_iter().enumerate() {
            dataplane.attach(port as u16, nic)?;
        }
        dataplane.install(&compiled.generation, compiled.rules, 0)?;
        Ok(Cordon {
            dataplane,
            rules: compiled.rules,
        })
    }
}

/// The first of what is wrong with a policy.
fn said(rejected: Rejected) -> Error {
    let first = rejected.problems.first().map(ToString::to_string);
    Error::from(rejected).context(first.unwrap_or_default())
}

impl Gateway for Cordon {
    fn account(&mut self) -> Result<Account> {
        let slot = self.dataplane.control()?.slot;
        let passed = self.dataplane.rule_counters(slot, self.rules)?;
        let mut dropped = Vec::new();
        for (reason, counter) in self.dataplane.drops()? {
            if counter.packets != 0 {
                dropped.push((reason.name().to_owned(), counter.packets));
            }
        }
        Ok(Account {
            passed: Some(passed.iter().map(|counter| counter.packets).sum()),
            opened: None,
            dropped,
        })
    }

    fn established(&mut self) -> Result<u64> {
        let mut established = 0;
        self.dataplane
            .flows(|entry| established += u64::from(entry.answered()));
        Ok(established)
    }

    fn forget(&mut self) -> Result<()> {
        // One tick on, everything has been idle for longer than nothing.
        self.dataplane.age()?;
        self.dataplane.sweep(&Idle {
            tcp: 0,
            datagram: 0,
            unanswered: 0,
            closed: 0,
            quota: u32::MAX,
            ..Idle::default()
        })?;
        Ok(())
    }

    fn memory(&self) -> Result<u64> {
        let TableBytes {
            policy,
            flows,
            other,
        } = self.dataplane.table_bytes()?;
        Ok(policy + flows + other)
    }

    fn described(&self) -> String {
        format!(
            "bridged, tagged, {} rules compiled from a policy directory",
            self.rules
        )
    }
}
