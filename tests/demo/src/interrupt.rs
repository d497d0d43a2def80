//! Removes the hospital at once on SIGINT, SIGTERM and SIGHUP.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use cordon_lab::{Kept, Lab, Plan};
use tokio::signal::unix::{SignalKind, signal};

/// The name of the current lab. The lock is held while a lab is raised, dropped or removed.
static CURRENT: Mutex<Option<String>> = Mutex::new(None);

/// Exit code as a shell reports it for a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Starts a thread that handles the signals.
pub fn listen() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot wait for signals")?;
    let mut signals = {
        let _inside = runtime.enter();
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        let signals = kinds
            .into_iter()
            .map(signal)
            .collect::<io::Result<Vec<_>>>();
        signals.context("cannot wait for signals")?
    };
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let [interrupt, terminate, hangup] = signals.as_mut_slice() else {
                    return;
                };
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            clear_up()
        })
        .context("cannot wait for signals")?;
    Ok(())
}

fn clear_up() {
    // Both locks are held until exit: no act raises or drops a lab, and none prints errors of the removed hospital.
    let current = lock();
    let _stdout = io::stdout().lock();
    eprintln!("\nInterrupted. Removing the hospital.");
    if let Some(name) = current.as_ref() {
        // The act may still start programs or write files in the meantime: remove a second time.
        let again = || {
            std::thread::sleep(Duration::from_millis(300));
            cordon_lab::remove(name)
        };
        if let Err(error) = cordon_lab::remove(name)
            .and_then(|()| again())
            .or_else(|_| again())
        {
            eprintln!("{name} could not be removed completely: {error}");
        }
    }
    std::process::exit(INTERRUPTED);
}

fn lock() -> MutexGuard<'static, Option<String>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lab that is removed on drop and on a signal.
pub struct Raised(Option<Lab>);

impl Raised {
    /// Raises a lab.
    pub fn raise(plan: Plan) -> Result<Raised> {
        let mut current = lock();
        let lab = Lab::raise(plan)?;
        *current = Some(lab.name().to_owned());
        Ok(Raised(Some(lab)))
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        self.0.as_ref().expect("is set until it is kept or dropped")
    }

    /// Keeps the lab.
    pub fn keep(mut self) -> Result<Kept> {
        let mut current = lock();
        let lab = self.0.take().expect("is set until it is kept or dropped");
        let kept = lab.keep()?;
        *current = None;
        Ok(kept)
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        if let Some(lab) = self.0.take() {
            let mut current = lock();
            drop(lab);
            *current = None;
        }
    }
}
