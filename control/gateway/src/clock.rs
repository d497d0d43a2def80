//! Time: the wall's for people, the kernel's for everything that is decided by it.

use std::time::{Duration, SystemTime};

use cordon_policy::Date;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The clocks that the engine goes by.
pub trait Clock: Send + Sync {
    /// The wall's.
    fn wall(&self) -> SystemTime;

    /// Time since the machine was booted, suspended or not. Nobody can set it.
    fn since_boot(&self) -> Duration;

    /// Which boot that is; none if the system does not say.
    fn boot(&self) -> Option<&str>;
}

/// The machine's own.
pub struct System {
    boot: Option<String>,
}

impl System {
    /// Reads which boot this is.
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
    // It cannot fail with a valid clock and buffer; 0 makes nothing look over or idle.
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// A point in time, as RFC 3339 in UTC, to the millisecond.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// The day of a point in time, in UTC: the same everywhere in an organisation.
pub fn date(time: SystemTime) -> Date {
    let text = rfc3339(time);
    let day = text.get(..10).and_then(|day| day.parse().ok());
    // A clock before 1970 or after 9999 is no clock; the first day there is lets no rule expire.
    day.or_else(|| Date::new(1970, 1, 1))
        .expect("1970-01-01 is a day")
}

/// The wall time of a monotonic time in nanoseconds, as the data plane's events are stamped.
pub fn wall(at: u64) -> SystemTime {
    let now = read(ClockId::CLOCK_MONOTONIC);
    SystemTime::now() - now.saturating_sub(Duration::from_nanos(at))
}

/// Something that is over after a time, whatever becomes of the wall's clock: what decides is the time since boot.
///
/// After a reboot that time begins anew, and how long the machine was off only the wall's clock could tell, which
/// may have jumped. So the time that it was off does not count: what was left when it was last written down is
/// left again. It is never over early, and late by as long as the machine was off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Countdown {
    /// The boot that `over_at` counts from.
    boot: Option<String>,
    /// Time since boot when it is over.
    over_at: Duration,
    /// What was left when this was last written down.
    left: Duration,
}

impl Countdown {
    /// From now on.
    pub fn start(clock: &dyn Clock, time: Duration) -> Countdown {
        Countdown {
            boot: clock.boot().map(str::to_owned),
            over_at: clock.since_boot() + time,
            left: time,
        }
    }

    /// How long until it is over.
    pub fn left(&self, clock: &dyn Clock) -> Duration {
        if self.counts_in(clock) {
            self.over_at.saturating_sub(clock.since_boot())
        } else {
            self.left
        }
    }

    /// Whether it is over.
    pub fn is_over(&self, clock: &dyn Clock) -> bool {
        self.left(clock).is_zero()
    }

    /// The same, as it is to be written down now.
    pub fn refreshed(&self, clock: &dyn Clock) -> Countdown {
        Countdown::start(clock, self.left(clock))
    }

    /// When it is over by the wall's clock, for people.
    pub fn until(&self, clock: &dyn Clock) -> String {
        rfc3339(clock.wall() + self.left(clock))
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

        /// Time passes.
        pub fn pass(&self, seconds: u64) {
            let mut now = self.now.lock().expect("no panic");
            now.0 += Duration::from_secs(seconds);
            now.1 += Duration::from_secs(seconds);
        }

        /// Someone sets the wall's clock.
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
    fn it_is_over_after_its_time_and_not_before() {
        let clock = Fake::new("a");
        let countdown = Countdown::start(&clock, Duration::from_secs(60));
        clock.pass(59);
        assert!(!countdown.is_over(&clock));
        clock.pass(1);
        assert!(countdown.is_over(&clock));
    }

    #[test]
    fn a_jump_of_the_wall_clock_changes_nothing() {
        let clock = Fake::new("a");
        let countdown = Countdown::start(&clock, Duration::from_secs(60));
        clock.jump(10 * 365 * 86400);
        assert!(!countdown.is_over(&clock));
        assert_eq!(countdown.left(&clock), Duration::from_secs(60));
    }

    #[test]
    fn the_time_a_machine_was_off_does_not_count() {
        let before = Fake::new("a");
        let countdown = Countdown::start(&before, Duration::from_secs(600));
        before.pass(60);
        let written = countdown.refreshed(&before);
        let after = Fake::new("b");
        after.jump(7 * 86400);
        after.pass(100_000);
        assert_eq!(written.left(&after), Duration::from_secs(540));
        let goes_on = written.refreshed(&after);
        after.pass(540);
        assert!(goes_on.is_over(&after));
    }

    #[test]
    fn the_day_is_in_utc() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(951_782_400);
        assert_eq!(date(time).to_string(), "2000-02-29");
    }
}
