//! What comes round every two seconds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cordon_kernel::Error;
use cordon_verdict::abi::AGE_SECONDS;

use super::{Engine, Gateway};
use crate::names::Named;

/// How often what is left of orders and trials is written down. A reboot may add as much to them.
const NOTED: Duration = Duration::from_secs(60);
/// Places of flows that are made free at a time, and how long others have for the engine then.
const TIDIED: usize = 4096;
const BETWEEN: Duration = Duration::from_millis(1);
/// For how long it is told that unlisted hosts have crowded the flow table.
const TOLD: Duration = Duration::from_secs(60);

impl Gateway {
    /// Sweeps the flow table, ends what is over, retries what failed.
    pub fn tick(&self) {
        let job = {
            let mut engine = self.engine();
            engine.tick();
            engine.job()
        };
        // Whoever wants to give an order gets in between.
        while self.engine().tidy() {
            std::thread::sleep(BETWEEN);
        }
        if let Some(job) = job {
            self.work(job);
        }
    }
}

impl Engine {
    fn tick(&mut self) {
        let done = self
            .end_orders()
            .and_then(|()| self.straighten_posture())
            .and_then(|()| self.sweep());
        self.warn("data plane", done.err().map(complaint));
        if self.dirty || (self.state.is_timed() && self.saved.elapsed() >= NOTED) {
            let _ = self.save();
        }
        if !self.state.unlisted.is_empty() {
            self.list_orders();
        }
        self.attach_ports();
    }

    /// A change of posture that the kernel did not take is tried again.
    fn straighten_posture(&mut self) -> Result<(), Error> {
        let posture = self.plane.control()?.posture;
        self.look_at_rules(posture)?;
        self.change_posture()
    }

    fn sweep(&mut self) -> Result<(), Error> {
        // By the monotonic clock, and not faster after a pause: flows cannot show their life while nobody counts.
        if self.aged.elapsed() >= Duration::from_secs(AGE_SECONDS) {
            self.aged = Instant::now();
            self.plane.age()?;
        }
        let silences = self.silences();
        let current = self.current.clone();
        let listed = |member: u64| {
            let listed = |named: &Arc<Named>| {
                named.generation(|tables| tables.devices.get(&member).is_some())
            };
            current.as_ref().is_none_or(listed)
        };
        self.swept = self.plane.sweep(&|entry| silences.of(entry), &listed)?;
        self.forgotten += self.swept.forgotten;
        self.tell_of_surplus();
        Ok(())
    }

    /// Makes places free that the sweep took flows from, as many as take some ten milliseconds; says whether there are
    /// more.
    fn tidy(&mut self) -> bool {
        self.plane.tidy(TIDIED).unwrap_or_else(|error| {
            self.warn("data plane", Some(complaint(error)));
            false
        })
    }

    /// Somebody is filling the table: it is told for as long as it goes on, and a minute more.
    fn tell_of_surplus(&mut self) {
        if self.swept.surplus > 0 {
            self.crowded = Some(Instant::now());
            let text = "the flow table is nearly full, and unlisted hosts have most of it: flows of those who have most give \
                        way, and are judged again; see who they are with `cordon flows --state established`";
            self.warn("flow table", Some(text.to_owned()));
        } else if self.crowded.is_some_and(|since| since.elapsed() >= TOLD) {
            self.crowded = None;
            self.warn("flow table", None);
        }
    }
}

fn complaint(error: Error) -> String {
    format!("the data plane does not answer as it should: {error}")
}
