//! Periodic work, every two seconds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cordon_kernel::Error;
use cordon_verdict::abi::AGE_SECONDS;

use super::gateway::{Engine, Gateway};
use crate::active_policy::ActivePolicy;

/// How often running timers are stored. A reboot may lengthen them by as much.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);
/// Entries of removed flows that are freed at a time with the engine held.
const RECLAIM_BATCH: usize = 4096;
/// The pause between, for others to get the engine.
const RECLAIM_PAUSE: Duration = Duration::from_millis(1);
/// For how long after its last occurrence the warning about unlisted hosts stays.
const WARNING_HOLD_TIME: Duration = Duration::from_secs(60);

impl Gateway {
    /// Sweeps the flow table, ends expired orders, retries what failed.
    pub fn tick(&self) {
        let job = {
            let mut engine = self.engine();
            engine.tick();
            engine.next_job()
        };
        // Orders get the engine in between.
        while self.engine().reclaim() {
            std::thread::sleep(RECLAIM_PAUSE);
        }
        if let Some(job) = job {
            self.run(job);
        }
    }
}

impl Engine {
    fn tick(&mut self) {
        let done = self
            .end_orders()
            .and_then(|()| self.reapply_posture())
            .and_then(|()| self.sweep());
        self.warn("data plane", done.err().map(dataplane_warning));
        if self.dirty || (self.state.is_timed() && self.last_saved.elapsed() >= SAVE_INTERVAL) {
            let _ = self.save();
        }
        if !self.state.unlisted.is_empty() {
            self.list_orders();
        }
        self.attach_ports();
    }

    /// Retries a change of posture that the kernel did not accept.
    fn reapply_posture(&mut self) -> Result<(), Error> {
        let posture = self.plane.control()?.posture;
        self.sample_rule_counters(posture)?;
        self.change_posture()
    }

    fn sweep(&mut self) -> Result<(), Error> {
        // By the monotonic clock, and without catching up after a pause: flows are not marked as seen while the clock
        // stands.
        if self.last_aged.elapsed() >= Duration::from_secs(AGE_SECONDS) {
            self.last_aged = Instant::now();
            self.plane.age()?;
        }
        let idle_timeouts = self.idle_timeouts();
        let current = self.current.clone();
        let listed = |fdb_key: u64| {
            let listed = |active: &Arc<ActivePolicy>| {
                active.generation(|tables| tables.devices.get(&fdb_key).is_some())
            };
            current.as_ref().is_none_or(listed)
        };
        self.swept = self
            .plane
            .sweep(&|entry| idle_timeouts.of(entry), &listed)?;
        self.flows_removed += self.swept.removed;
        self.warn_of_unlisted_excess();
        Ok(())
    }

    /// Frees entries of flows that the sweep removed, as many as take some ten milliseconds; returns whether there are
    /// more.
    fn reclaim(&mut self) -> bool {
        self.plane.reclaim(RECLAIM_BATCH).unwrap_or_else(|error| {
            self.warn("data plane", Some(dataplane_warning(error)));
            false
        })
    }

    /// Warns while unlisted hosts fill the flow table, and a minute after.
    fn warn_of_unlisted_excess(&mut self) {
        if self.swept.excess > 0 {
            self.unlisted_excess_since = Some(Instant::now());
            let text = "the flow table is nearly full, and unlisted hosts have most of it: flows of the hosts that have most are \
                        removed, and judged again at their next packet; list them with `cordon flows --state established`";
            self.warn("flow table", Some(text.to_owned()));
        } else if self
            .unlisted_excess_since
            .is_some_and(|since| since.elapsed() >= WARNING_HOLD_TIME)
        {
            self.unlisted_excess_since = None;
            self.warn("flow table", None);
        }
    }
}

fn dataplane_warning(error: Error) -> String {
    format!("the data plane reports an error: {error}")
}
