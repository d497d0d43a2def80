//! Cordon, with its own program, loader, policy and compiler, as the daemon uses them.

use anyhow::{Context as _, Error, Result};
use cordon_kernel::{Dataplane, Options, SweepLimits, TableBytes};
use cordon_policy::{Date, Rejected};

use super::gateway::{Gateway, GatewayCounters};
use crate::policy;
use crate::traffic::Site;

/// Cordon in one namespace.
pub struct Cordon {
    dataplane: Dataplane,
    rules: usize,
}

impl Cordon {
    /// Sets up Cordon in the calling thread's namespace, pinned in `pins`.
    ///
    /// # Errors
    /// If the policy is invalid, or the kernel refuses the program.
    pub fn new(site: Site, pins: &str) -> Result<Cordon> {
        let validated =
            cordon_policy::from_sources(&policy::sources(site)).map_err(first_problem)?;
        // No rule expires, so any date will do.
        let today = Date::new(2026, 1, 1).context("the date is valid")?;
        let compiled = cordon_compile::compile(&validated.policy, today).map_err(first_problem)?;
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

/// An error with the first problem of a policy.
fn first_problem(rejected: Rejected) -> Error {
    let first = rejected.problems.first().map(ToString::to_string);
    Error::from(rejected).context(first.unwrap_or_default())
}

impl Gateway for Cordon {
    fn counters(&mut self) -> Result<GatewayCounters> {
        let slot = self.dataplane.control()?.slot;
        let passed = self.dataplane.rule_counters(slot, self.rules)?;
        let mut dropped = Vec::new();
        for (reason, counter) in self.dataplane.drops()? {
            if counter.packets != 0 {
                dropped.push((reason.name().to_owned(), counter.packets));
            }
        }
        Ok(GatewayCounters {
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

    fn flush_flows(&mut self) -> Result<()> {
        // After one more tick, every flow has been idle for longer than zero ticks.
        self.dataplane.age()?;
        self.dataplane.sweep(&SweepLimits {
            tcp: 0,
            datagram: 0,
            unanswered: 0,
            closed: 0,
            quota: u32::MAX,
            ..SweepLimits::default()
        })?;
        Ok(())
    }

    fn memory(&self) -> Result<u64> {
        let TableBytes {
            policy,
            flows,
            other,
        } = self.dataplane.table_bytes()?;
        let policy = policy.context("the inner maps can be opened by CAP_SYS_ADMIN alone")?;
        Ok(policy + flows + other)
    }

    fn description(&self) -> String {
        format!(
            "bridged, tagged, {} rules compiled from a policy directory",
            self.rules
        )
    }
}
