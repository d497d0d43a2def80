//! Ctrl-C and its like: the hospital goes away at once, whatever is being played.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use cordon_lab::{Kept, Lab, Plan};
use tokio::signal::unix::{SignalKind, signal};

/// The name of the lab that is up. Whoever raises, drops or removes it holds the lock meanwhile.
static UP: Mutex<Option<String>> = Mutex::new(None);

/// As a shell reports a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Takes the signals from now on, on a thread of its own.
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
    // Held until the end: no act raises or drops anything, and none tells of what fails because its hospital is gone.
    let up = lock();
    let _silence = io::stdout().lock();
    eprintln!("\nInterrupted: taking the hospital down.");
    if let Some(name) = up.as_ref() {
        // What is being played may still start or write something: that goes at the second time.
        let again = || {
            std::thread::sleep(Duration::from_millis(300));
            cordon_lab::remove(name)
        };
        if let Err(error) = cordon_lab::remove(name)
            .and_then(|()| again())
            .or_else(|_| again())
        {
            eprintln!("Not all of {name} could be removed: {error}");
        }
    }
    std::process::exit(INTERRUPTED);
}

fn lock() -> MutexGuard<'static, Option<String>> {
    UP.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lab that goes away at its end, at a panic, and at Ctrl-C.
pub struct Raised(Option<Lab>);

impl Raised {
    /// Raises it.
    pub fn raise(plan: Plan) -> Result<Raised> {
        let mut up = lock();
        let lab = Lab::raise(plan)?;
        *up = Some(lab.name().to_owned());
        Ok(Raised(Some(lab)))
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        self.0
            .as_ref()
            .expect("is there until it is kept or dropped")
    }

    /// Leaves it up.
    pub fn keep(mut self) -> Result<Kept> {
        let mut up = lock();
        let lab = self.0.take().expect("is there until it is kept or dropped");
        let kept = lab.keep()?;
        *up = None;
        Ok(kept)
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        if let Some(lab) = self.0.take() {
            let mut up = lock();
            drop(lab);
            *up = None;
        }
    }
}
