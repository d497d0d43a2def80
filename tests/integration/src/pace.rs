//! When to strike: at random, and as often before something is done as after.

use std::time::Duration;

/// Picks delays around the time that something takes, which it learns.
#[derive(Debug)]
pub struct Pace {
    usual: Duration,
    /// How often it struck before, and after.
    struck: [u32; 2],
}

/// Strikes of either kind that say something, and how many there are at most in all.
const ENOUGH: u32 = 6;
const AT_LEAST: u32 = 20;
const AT_MOST: u32 = 60;

impl Pace {
    /// Begins with a guess.
    pub fn new(usual: Duration) -> Pace {
        Pace {
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

    /// Whether that was enough. It panics if it never will be.
    pub fn is_enough(&self) -> bool {
        let [before, after] = self.struck;
        let enough = before + after >= AT_LEAST && before >= ENOUGH && after >= ENOUGH;
        assert!(
            enough || before + after < AT_MOST,
            "always too early or too late: {self:?}"
        );
        enough
    }
}
