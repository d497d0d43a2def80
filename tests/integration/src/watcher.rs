//! Runs `cordon watch` and collects its output.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use cordon_lab::{Error, Gateway, Result};

/// A running `cordon watch`, which ends when this is dropped.
pub struct Watcher {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Watcher {
    /// Starts it with these arguments. It misses events from before it is connected: callers repeat their action until
    /// an event appears.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(gateway: &Gateway, arguments: &[&str]) -> Result<Watcher> {
        let mut command = gateway.cordon_command()?;
        command.arg("watch").args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|source| Error::Io {
            what: "starting cordon watch".to_owned(),
            source,
        })?;
        let stdout = child.stdout.take();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&lines);
        // The thread ends with the program.
        std::thread::spawn(move || {
            for line in stdout
                .into_iter()
                .flat_map(|stdout| BufReader::new(stdout).lines())
            {
                let Ok(line) = line else { return };
                heard
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        });
        Ok(Watcher { child, lines })
    }

    /// What it has printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
