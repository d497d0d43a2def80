//! Clocks: wall time for display; time since boot for every decision.

use std::time::{Duration, SystemTime};

use cordon_policy::Date;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The clocks of the engine.
pub trait Clock: Send + Sync {
    /// Wall time.
    fn wall(&self) -> SystemTime;

    /// Time since boot, including suspend. Cannot be set.
    fn since_boot(&self) -> Duration;

    /// The boot ID of the kernel; none if it cannot be read.
    fn boot(&self) -> Option<&str>;
}

/// The clocks of the machine.
pub struct System {
    boot: Option<String>,
}

impl System {
    /// Reads the boot ID.
    pub fn new() -> System {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        System {
            boot: boot.map(|boot| boot.trim().to_owned()),
        }
    }
}

impl Clock for System {
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn since_boot(&self) -> Duration {
        read(ClockId::CLOCK_BOOTTIME)
    }

    fn boot(&self) -> Option<&str> {
        self.boot.as_deref()
    }
}

fn read(clock: ClockId) -> Duration {
    // Cannot fail with a valid clock and buffer. 0 makes nothing expire and no flow idle.
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// A time as RFC 3339 in UTC, to the millisecond.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// The date of a time in UTC, the same for every site of an organisation.
pub fn date(time: SystemTime) -> Date {
    let text = rfc3339(time);
    let day = text.get(..10).and_then(|day| day.parse().ok());
    // Before 1970 or after 9999 the clock is wrong: the first day that exists lets no rule expire.
    day.or_else(|| Date::new(1970, 1, 1))
        .expect("1970-01-01 is a date")
}

/// The wall time of a monotonic time in nanoseconds, as in the data plane's events.
pub fn wall(at: u64) -> SystemTime {
    let now = read(ClockId::CLOCK_MONOTONIC);
    SystemTime::now() - now.saturating_sub(Duration::from_nanos(at))
}

/// A timer by time since boot: setting the wall clock has no effect on it.
///
/// After a reboot the time since boot restarts, and how long the machine was off is known from the wall clock only,
/// which may be wrong. So that time does not count: the timer continues with what remained when it was last stored. It
/// never expires early, and late by the time that the machine was off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Countdown {
    /// The boot that `over_at` belongs to.
    boot: Option<String>,
    /// Time since boot at which it expires.
    over_at: Duration,
    /// Time that remained when this was last stored.
    left: Duration,
}

impl Countdown {
    /// Starts it now.
    pub fn start(clock: &dyn Clock, time: Duration) -> Countdown {
        Countdown {
            boot: clock.boot().map(str::to_owned),
            over_at: clock.since_boot() + time,
            left: time,
        }
    }

    /// Time until it expires.
    pub fn remaining(&self, clock: &dyn Clock) -> Duration {
        if self.counts_in(clock) {
            self.over_at.saturating_sub(clock.since_boot())
        } else {
            self.left
        }
    }

    /// Whether it has expired.
    pub fn is_expired(&self, clock: &dyn Clock) -> bool {
        self.remaining(clock).is_zero()
    }

    /// The same timer, with what remains as of now, to be stored.
    pub fn refreshed(&self, clock: &dyn Clock) -> Countdown {
        Countdown::start(clock, self.remaining(clock))
    }

    /// When it expires by the wall clock, for display.
    pub fn until(&self, clock: &dyn Clock) -> String {
        rfc3339(clock.wall() + self.remaining(clock))
    }

    fn counts_in(&self, clock: &dyn Clock) -> bool {
        self.boot.is_some() && self.boot.as_deref() == clock.boot()
    }
}

#[cfg(any(test, feature = "stand-ins"))]
pub mod fake {
    use std::sync::Mutex;

    use super::*;

    /// Clocks that a test sets.
    pub struct Fake {
        boot: String,
        now: Mutex<(SystemTime, Duration)>,
    }

    impl Fake {
        pub fn new(boot: &str) -> Fake {
            let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000);
            Fake {
                boot: boot.to_owned(),
                now: Mutex::new((noon, Duration::from_secs(100))),
            }
        }

        /// Advances both clocks.
        pub fn advance(&self, seconds: u64) {
            let mut now = self.now.lock().expect("no panic");
            now.0 += Duration::from_secs(seconds);
            now.1 += Duration::from_secs(seconds);
        }

        /// Advances the wall clock alone, as by setting it.
        pub fn jump(&self, seconds: u64) {
            self.now.lock().expect("no panic").0 += Duration::from_secs(seconds);
        }
    }

    impl Clock for Fake {
        fn wall(&self) -> SystemTime {
            self.now.lock().expect("no panic").0
        }

        fn since_boot(&self) -> Duration {
            self.now.lock().expect("no panic").1
        }

        fn boot(&self) -> Option<&str> {
            Some(&self.boot)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake::Fake;
    use super::*;

    #[test]
    fn a_countdown_expires_after_its_time_and_not_before() {
        let clock = Fake::new("a");
        let countdown = Countdown::start(&clock, Duration::from_secs(60));
        clock.advance(59);
        assert!(!countdown.is_expired(&clock));
        clock.advance(1);
        assert!(countdown.is_expired(&clock));
    }

    #[test]
    fn setting_the_wall_clock_does_not_change_a_countdown() {
        let clock = Fake::new("a");
        let countdown = Countdown::start(&clock, Duration::from_secs(60));
        clock.jump(10 * 365 * 86400);
        assert!(!countdown.is_expired(&clock));
        assert_eq!(countdown.remaining(&clock), Duration::from_secs(60));
    }

    #[test]
    fn the_time_that_the_machine_was_off_does_not_count() {
        let before = Fake::new("a");
        let countdown = Countdown::start(&before, Duration::from_secs(600));
        before.advance(60);
        let written = countdown.refreshed(&before);
        let after = Fake::new("b");
        after.jump(7 * 86400);
        after.advance(100_000);
        assert_eq!(written.remaining(&after), Duration::from_secs(540));
        let resumed = written.refreshed(&after);
        after.advance(540);
        assert!(resumed.is_expired(&after));
    }

    #[test]
    fn the_date_is_in_utc() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(951_782_400);
        assert_eq!(date(time).to_string(), "2000-02-29");
    }
}
