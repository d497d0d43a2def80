//! One measurement, and whether it can be believed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::unistd::{Pid, gettid};

use crate::bed::{Bed, Counts};
use crate::noise::{Noise, Ticks};
use crate::processor;

/// Frames before every measurement: caches and branch predictors are the last case's.
const WARM_UP: u32 = 100_000;
/// One frame in so many may be lost, be a stray, or need a second look, before a measurement counts for nothing.
const TOLERANCE: u64 = 10_000;
/// What was sent did not last until the end of the measurement, so many times in a row.
const TRIES: usize = 6;

/// One measurement.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Million frames a second that arrived.
    pub mpps: f64,
    /// What else the machine did.
    pub noise: Noise,
    /// What is wrong with it, if anything.
    pub wrong: Vec<String>,
}

/// Sends for `seconds`, and counts what arrives. `guess` is how many million frames a second to expect.
///
/// # Errors
/// If the kernel does not send.
pub fn take(bed: &mut Bed, flows: u32, seconds: f64, guess: f64, sender: usize) -> Result<Sample> {
    let mut guess = guess;
    for _ in 0..TRIES {
        // The measurement has to be over before the last frame is sent.
        let frames = (guess * 1e6 * (seconds * 1.1 + 0.05)) as u32;
        let before = bed.counts(flows)?;
        let rate = rate(bed, flows, frames, seconds, sender)?;
        let after = bed.counts(flows)?;
        if let Some((mpps, noise)) = rate {
            let wrong = wrong(&before, &after);
            return Ok(Sample { mpps, noise, wrong });
        }
        guess *= 1.5;
    }
    bail!("frames are sent faster and faster: no rate can be taken")
}

/// The rate between two looks at the sink while frames are sent; `None` if they did not last.
fn rate(
    bed: &Bed,
    flows: u32,
    frames: u32,
    seconds: f64,
    sender: usize,
) -> Result<Option<(f64, Noise)>> {
    let generator = bed.generator(flows)?;
    let under_way = bed.arrived()?.ours + u64::from(WARM_UP) + 1000;
    let done = AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let sent = processor::on(sender, || {
                // The other end waits for it.
                let _ = tell.send(gettid());
                generator.send(WARM_UP)?;
                generator.send(frames)
            });
            done.store(true, Ordering::Release);
            sent
        });
        let over = || done.load(Ordering::Acquire);
        let sent_by = told
            .recv_timeout(Duration::from_secs(10))
            .unwrap_or(Pid::this());
        while bed.arrived()?.ours < under_way && !over() {
            thread::sleep(Duration::from_millis(1));
        }
        let noise = Ticks::now(sender);
        let first = look(bed, sent_by)?;
        thread::sleep(Duration::from_secs_f64(seconds));
        let last = look(bed, sent_by)?;
        let noise = noise.zip(Ticks::now(sender));
        let lasted = !over();
        sending
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let elapsed = last.at.duration_since(first.at);
        let waited = last.waited.saturating_sub(first.waited);
        let sending = elapsed.saturating_sub(waited).as_secs_f64();
        let mpps = (last.arrived - first.arrived) as f64 / sending / 1e6;
        let noise = noise.map_or_else(Noise::default, |(before, after)| before.until(after));
        let noise = Noise {
            waited: waited.as_secs_f64() / elapsed.as_secs_f64(),
            ..noise
        };
        Ok(lasted.then_some((mpps, noise)))
    })
}

/// What there is to see at one moment.
struct Look {
    at: Instant,
    /// How long the sender has waited for its processor.
    waited: Duration,
    /// Frames that have arrived.
    arrived: u64,
}

/// Looks; and again, if this thread was held up meanwhile.
fn look(bed: &Bed, sent_by: Pid) -> Result<Look> {
    loop {
        let at = Instant::now();
        let waited = processor::waited(sent_by).unwrap_or_default();
        let arrived = bed.arrived()?.ours;
        if at.elapsed() < Duration::from_micros(500) {
            return Ok(Look {
                at,
                waited,
                arrived,
            });
        }
    }
}

/// Compares what was counted at either end and in the middle.
fn wrong(before: &Counts, after: &Counts) -> Vec<String> {
    let sent = after.sent - before.sent;
    let arrived = after.arrived.ours - before.arrived.ours;
    let strays = after.arrived.others - before.arrived.others;
    let few = sent / TOLERANCE;
    let mut wrong = Vec::new();
    let mut say = |count: u64, what: &str| {
        if count > few {
            wrong.push(format!("{count} of {sent} frames {what}"));
        }
    };
    say(sent.abs_diff(arrived), "were sent and did not arrive");
    say(strays, "arrived that nobody sent");
    if let (Some(before), Some(after)) = (before.account.passed, after.account.passed) {
        say(
            (after - before).abs_diff(arrived),
            "are what the gateway's count of passed frames is off by",
        );
    }
    if let (Some(before), Some(after)) = (before.account.opened, after.account.opened) {
        say(
            after.saturating_sub(before),
            "opened a flow instead of being of one",
        );
    }
    for (reason, count) in &after.account.dropped {
        let was = before
            .account
            .dropped
            .iter()
            .find(|(name, _)| name == reason);
        let was = was.map_or(0, |(_, count)| *count);
        say(
            count.saturating_sub(was),
            &format!("were dropped: {reason}"),
        );
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateways::Account;
    use crate::programs::Arrived;

    fn counts(sent: u64, ours: u64, passed: u64, dropped: u64) -> Counts {
        Counts {
            sent,
            arrived: Arrived { ours, others: 0 },
            account: Account {
                passed: Some(passed),
                opened: Some(0),
                dropped: vec![("no-rule".to_owned(), dropped)],
            },
        }
    }

    #[test]
    fn what_adds_up_is_believed() {
        let wrong = wrong(
            &counts(10, 10, 10, 5),
            &counts(1_000_010, 1_000_009, 1_000_010, 6),
        );
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn what_does_not_add_up_is_said() {
        let wrong = wrong(
            &counts(0, 0, 0, 0),
            &counts(1_000_000, 900_000, 1_000_000, 100_000),
        );
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[2].contains("no-rule"), "{wrong:?}");
    }
}
