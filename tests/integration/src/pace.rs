//! When to strike: at random, and as often before something is done as after.

use std::time::Duration;

/// Picks delays around the time that something takes, which it learns.
#[derive(Debug)]
pub struct Pace {
    rounds: u32,
    usual: Duration,
    /// How often it struck before, and after.
    struck: [u32; 2],
}

impl Pace {
    /// For this many rounds at least, beginning with a guess.
    pub fn new(rounds: u32, usual: Duration) -> Pace {
        Pace {
            rounds,
            usual,
            struck: [0; 2],
        }
    }

    /// The next delay.
    pub fn delay(&self) -> Duration {
        self.usual.mul_f64(2.0 * fastrand::f64())
    }

    /// Notes whether it was done when struck.
    pub fn note(&mut self, done: bool) {
        self.struck[usize::from(done)] += 1;
        self.usual = self.usual.mul_f64(if done { 0.8 } else { 1.25 });
    }

    /// Whether that was enough: a quarter of the rounds of either kind. It panics if it never will be.
    pub fn is_enough(&self) -> bool {
        let [before, after] = self.struck;
        let enough = before + after >= self.rounds && before.min(after) >= self.rounds / 4;
        let hopeless = !enough && before + after > 3 * self.rounds;
        assert!(!hopeless, "always too early or too late: {self:?}");
        enough
    }
}
