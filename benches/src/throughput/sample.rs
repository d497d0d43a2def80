//! One throughput measurement, and whether its counters add up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::unistd::{Pid, gettid};

use crate::bed::{Bed, Counts};
use crate::processor;

use super::noise::{Noise, Ticks};

/// Frames before every measurement, because caches and branch predictors are warm for the previous case.
const WARM_UP: u32 = 100_000;
/// A measurement is wrong if more than one frame in this many was lost, unexpected, or opened a flow.
const TOLERANCE: u64 = 10_000;
/// The most attempts to send frames until the end of the measurement.
const TRIES: usize = 6;

/// One measurement.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The rate of received frames, in millions a second.
    pub mpps: f64,
    /// Other load on the machine.
    pub noise: Noise,
    /// What does not add up.
    pub wrong: Vec<String>,
}

/// Sends for `seconds`, and counts received frames. `guess` is the expected rate in million frames a second.
///
/// # Errors
/// If the kernel does not send the frames.
pub fn take(bed: &mut Bed, flows: u32, seconds: f64, guess: f64, sender: usize) -> Result<Sample> {
    let mut guess = guess;
    for _ in 0..TRIES {
        // Sending must last longer than the measurement.
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
    bail!("frames do not last until the end of the measurement")
}

/// The rate between two readings of the sink while frames are sent; `None` if sending ended before.
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
    let (thread_id, started) = mpsc::channel();
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let sent = processor::run_on(sender, || {
                // The receiver waits for it.
                let _ = thread_id.send(gettid());
                generator.send(WARM_UP)?;
                generator.send(frames)
            });
            done.store(true, Ordering::Release);
            sent
        });
        let is_done = || done.load(Ordering::Acquire);
        let sent_by = started
            .recv_timeout(Duration::from_secs(10))
            .unwrap_or(Pid::this());
        while bed.arrived()?.ours < under_way && !is_done() {
            thread::sleep(Duration::from_millis(1));
        }
        let noise = Ticks::now(sender);
        let first = read(bed, sent_by)?;
        thread::sleep(Duration::from_secs_f64(seconds));
        let last = read(bed, sent_by)?;
        let noise = noise.zip(Ticks::now(sender));
        let lasted = !is_done();
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

/// Counters at one moment.
struct Reading {
    at: Instant,
    /// How long the sender has waited for its processor.
    waited: Duration,
    /// Frames received.
    arrived: u64,
}

/// Reads the counters, and again if this thread was interrupted.
fn read(bed: &Bed, sent_by: Pid) -> Result<Reading> {
    loop {
        let at = Instant::now();
        let waited = processor::waited(sent_by).unwrap_or_default();
        let arrived = bed.arrived()?.ours;
        if at.elapsed() < Duration::from_micros(500) {
            return Ok(Reading {
                at,
                waited,
                arrived,
            });
        }
    }
}

/// Compares the counters of sender, sink and gateway.
fn wrong(before: &Counts, after: &Counts) -> Vec<String> {
    let sent = after.sent - before.sent;
    let arrived = after.arrived.ours - before.arrived.ours;
    let strays = after.arrived.others - before.arrived.others;
    let few = sent / TOLERANCE;
    let mut wrong = Vec::new();
    let mut report = |count: u64, what: &str| {
        if count > few {
            wrong.push(format!("{count} of {sent} frames {what}"));
        }
    };
    report(sent.abs_diff(arrived), "were sent and not received");
    report(strays, "were received but not sent");
    if let (Some(before), Some(after)) = (before.counters.passed, after.counters.passed) {
        report(
            (after - before).abs_diff(arrived),
            "are the error of the gateway's count of passed frames",
        );
    }
    if let (Some(before), Some(after)) = (before.counters.opened, after.counters.opened) {
        report(after.saturating_sub(before), "opened a new flow");
    }
    for (reason, count) in &after.counters.dropped {
        let was = before
            .counters
            .dropped
            .iter()
            .find(|(name, _)| name == reason);
        let was = was.map_or(0, |(_, count)| *count);
        report(
            count.saturating_sub(was),
            &format!("were dropped: {reason}"),
        );
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateways::GatewayCounters;
    use crate::programs::Received;

    fn counts(sent: u64, ours: u64, passed: u64, dropped: u64) -> Counts {
        Counts {
            sent,
            arrived: Received { ours, others: 0 },
            counters: GatewayCounters {
                passed: Some(passed),
                opened: Some(0),
                dropped: vec![("no-rule".to_owned(), dropped)],
            },
        }
    }

    #[test]
    fn matching_counters_are_accepted() {
        let wrong = wrong(
            &counts(10, 10, 10, 5),
            &counts(1_000_010, 1_000_009, 1_000_010, 6),
        );
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn counters_that_do_not_add_up_are_reported() {
        let wrong = wrong(
            &counts(0, 0, 0, 0),
            &counts(1_000_000, 900_000, 1_000_000, 100_000),
        );
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[2].contains("no-rule"), "{wrong:?}");
    }
}
