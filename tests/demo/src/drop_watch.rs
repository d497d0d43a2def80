//! `cordon watch --drops`, running in the background.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cordon_protocol::Event;

use crate::hospital::Hospital;

/// Time limit for the first event.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A running `cordon watch --drops` and its output so far.
pub struct DropWatch {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl DropWatch {
    /// Starts it with an output format.
    fn start(hospital: &Hospital, form: &str) -> Result<DropWatch> {
        let mut command = hospital.lab().gateway().cordon_command()?;
        command.args(["--output", form, "watch", "--drops"]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("running cordon watch")?;
        let output = child.stdout.take().context("cordon watch has no output")?;
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let of_reader = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                of_reader
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        });
        Ok(DropWatch { child, lines })
    }

    /// Starts it in table and in JSON format. Calls `provoke`, which makes the gateway drop a packet, until both have
    /// printed an event: from then on no event is missed.
    pub fn both(
        hospital: &Hospital,
        mut provoke: impl FnMut() -> Result<()>,
    ) -> Result<[DropWatch; 2]> {
        let both = [
            DropWatch::start(hospital, "table")?,
            DropWatch::start(hospital, "json")?,
        ];
        let began = Instant::now();
        while both.iter().any(|watching| watching.lines().is_empty()) {
            if began.elapsed() > TIMEOUT {
                bail!("cordon watch prints no drops");
            }
            provoke()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(both)
    }

    /// The lines printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The lines parsed as events.
    pub fn events(&self) -> Result<Vec<Event>> {
        let lines = self.lines();
        let events = lines.iter().map(|line| serde_json::from_str(line));
        events
            .collect::<Result<_, _>>()
            .context("reading the output of cordon watch")
    }
}

impl Drop for DropWatch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
