//! Ending early: Ctrl-C takes effect between two measurements, and everything is taken down as at the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{SigSet, Signal};

static STOPPED: AtomicBool = AtomicBool::new(false);

/// Takes Ctrl-C and its like from now on. To be called before any thread is started: they inherit what is blocked, so
/// that no measurement is interrupted half way.
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
                // Asked twice. The namespaces and pins go with the process anyway.
                std::process::exit(130);
            }
            eprintln!("\nstopping after this measurement");
        }
    });
    Ok(())
}

/// An error once someone wants to stop.
///
/// # Errors
/// Then.
pub fn check() -> Result<()> {
    if STOPPED.load(Ordering::Relaxed) {
        bail!("stopped");
    }
    Ok(())
}
