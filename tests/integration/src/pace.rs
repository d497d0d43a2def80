//! Chooses random moments to interrupt an operation, about as often before its end as after.

use std::time::Duration;

/// Picks random delays around the duration of an operation, which it estimates from earlier rounds.
#[derive(Debug)]
pub struct Pace {
    rounds: u32,
    estimate: Duration,
    /// How often the interrupt came before the end, and after.
    interrupts: [u32; 2],
}

impl Pace {
    /// For this many rounds at least, with a first estimate of the duration.
    pub fn new(rounds: u32, estimate: Duration) -> Pace {
        Pace {
            rounds,
            estimate,
            interrupts: [0; 2],
        }
    }

    /// The next delay.
    pub fn delay(&self) -> Duration {
        self.estimate.mul_f64(2.0 * fastrand::f64())
    }

    /// Records whether the operation was done when it was interrupted.
    pub fn record(&mut self, done: bool) {
        self.interrupts[usize::from(done)] += 1;
        self.estimate = self.estimate.mul_f64(if done { 0.8 } else { 1.25 });
    }

    /// Whether there were enough rounds, with at least a quarter of them on either side. It panics after three times
    /// the rounds.
    pub fn is_enough(&self) -> bool {
        let [before, after] = self.interrupts;
        let enough = before + after >= self.rounds && before.min(after) >= self.rounds / 4;
        let hopeless = !enough && before + after > 3 * self.rounds;
        assert!(!hopeless, "always too early or too late: {self:?}");
        enough
    }
}
