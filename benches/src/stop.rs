//! Interruption: Ctrl-C takes effect between two measurements, and everything is cleaned up as at the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{SigSet, Signal};

static STOPPED: AtomicBool = AtomicBool::new(false);

/// Handles SIGINT, SIGTERM and SIGHUP from now on. To be called before any thread is started: threads inherit the
/// blocked signals, so that no measurement is interrupted half way.
///
/// # Errors
/// If the kernel refuses.
pub fn listen() -> Result<()> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect();
    signals.thread_block().context("cannot block signals")?;
    thread::spawn(move || {
        while signals.wait().is_ok() {
            if STOPPED.swap(true, Ordering::Relaxed) {
                // A second signal. The namespaces and pins are removed with the process anyway.
                std::process::exit(130);
            }
            eprintln!("\nstopping after this measurement");
        }
    });
    Ok(())
}

/// Fails once the benchmark is interrupted.
///
/// # Errors
/// If it is interrupted.
pub fn check() -> Result<()> {
    if STOPPED.load(Ordering::Relaxed) {
        bail!("stopped");
    }
    Ok(())
}
