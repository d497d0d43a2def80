//! The sender's processor. Sender, gateway and sink all run there: a veth hands a frame over on the processor that
//! sends it.

use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, gettid};

use crate::namespace::tool;

/// Does something on one processor, ahead of whatever else wants it.
///
/// # Errors
/// What `job` says.
pub fn on<T: Send>(processor: usize, job: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pinned = || {
        stay(processor, Pid::from_raw(0))?;
        ahead(gettid());
        job()
    };
    thread::scope(|scope| {
        let thread = scope.spawn(pinned);
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Has a thread, 0 for this one, stay on one processor.
///
/// # Errors
/// If there is no such processor.
pub fn stay(processor: usize, thread: Pid) -> Result<()> {
    let mut one = CpuSet::new();
    one.set(processor).context("there is no such processor")?;
    sched_setaffinity(thread, &one).with_context(|| format!("there is no processor {processor}"))
}

/// Has a thread go ahead of whatever else wants its processor.
pub fn ahead(thread: Pid) {
    // Real-time, because niceness counts only among the processes of one terminal (autogroup in sched(7)). Where it is
    // not to be had, `waited` tells.
    let _ = tool("chrt", &["--fifo", "--pid", "1", &thread.to_string()]);
}

/// How long a thread of this process has been ready to run and kept waiting, so far.
pub fn waited(thread: Pid) -> Option<Duration> {
    let path = format!("/proc/self/task/{thread}/schedstat");
    let text = fs::read_to_string(path).ok()?;
    let nanoseconds = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// The last one: what interrupts there are mostly go to the first.
pub fn last() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get) - 1
}

/// Another one, if there is one.
pub fn other_than(processor: usize) -> usize {
    (0..=last())
        .find(|other| *other != processor)
        .unwrap_or(processor)
}
