//! Kills the daemon of a test before a chosen step, in place of `kill -9`.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The payload of the panic that kills the daemon.
pub const KILLED: &str = "killed";

/// Counts the steps that change the kernel or the disk, and panics before a chosen one.
#[derive(Default)]
pub struct KillSwitch {
    taken: AtomicUsize,
    kill_before: AtomicUsize,
}

impl KillSwitch {
    /// Kills before the step with this number, from 1, counted from now; 0 for never.
    pub fn kill_before(&self, step: usize) {
        self.taken.store(0, Ordering::SeqCst);
        self.kill_before.store(step, Ordering::SeqCst);
    }

    /// How many steps have been taken since.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// Takes a step.
    pub fn step(&self) {
        let step = self.taken.fetch_add(1, Ordering::SeqCst) + 1;
        if step == self.kill_before.load(Ordering::SeqCst) {
            // Without the panic hook, which would print it.
            std::panic::resume_unwind(Box::new(KILLED));
        }
    }
}
