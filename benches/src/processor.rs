//! Pins threads to processors. Sender, gateway and sink share one, because a veth delivers a frame on the processor
//! that sends it.

use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, gettid};

use crate::namespace::tool;

/// Runs a job on one processor, with real-time priority.
///
/// # Errors
/// The job's error.
pub fn run_on<T: Send>(processor: usize, job: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pinned = || {
        pin(processor, Pid::from_raw(0))?;
        prioritise(gettid());
        job()
    };
    thread::scope(|scope| {
        let thread = scope.spawn(pinned);
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Pins a thread, 0 for this one, to one processor.
///
/// # Errors
/// If there is no such processor.
pub fn pin(processor: usize, thread: Pid) -> Result<()> {
    let mut processors = CpuSet::new();
    processors
        .set(processor)
        .context("there is no such processor")?;
    sched_setaffinity(thread, &processors)
        .with_context(|| format!("there is no processor {processor}"))
}

/// Gives a thread real-time priority.
pub fn prioritise(thread: Pid) {
    // Niceness counts only among the processes of one terminal (autogroup in sched(7)). If real-time priority is not
    // available, `waited` shows the effect.
    let _ = tool("chrt", &["--fifo", "--pid", "1", &thread.to_string()]);
}

/// How long a thread of this process has been runnable without running, so far.
pub fn waited(thread: Pid) -> Option<Duration> {
    let path = format!("/proc/self/task/{thread}/schedstat");
    let text = fs::read_to_string(path).ok()?;
    let nanoseconds = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// The last processor: most interrupts go to the first ones.
pub fn last() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get) - 1
}

/// Another processor, if there is one.
pub fn other_than(processor: usize) -> usize {
    (0..=last())
        .find(|other| *other != processor)
        .unwrap_or(processor)
}
