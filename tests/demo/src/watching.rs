//! `cordon watch`, running beside the story.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cordon_protocol::Event;

use crate::hospital::Hospital;

/// How long it may take to hear something.
const PATIENCE: Duration = Duration::from_secs(15);

/// What it tells, until this is stopped or dropped.
pub struct Watching {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Watching {
    /// Starts it, as people see it or as programs do.
    fn start(hospital: &Hospital, form: &str) -> Result<Watching> {
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
        let theirs = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                theirs
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        });
        Ok(Watching { child, lines })
    }

    /// Starts it both ways. Nothing is missed from then on: `provoke` makes the gateway drop something, until each has
    /// told of it.
    pub fn both(
        hospital: &Hospital,
        mut provoke: impl FnMut() -> Result<()>,
    ) -> Result<[Watching; 2]> {
        let both = [
            Watching::start(hospital, "table")?,
            Watching::start(hospital, "json")?,
        ];
        let began = Instant::now();
        while both.iter().any(|watching| watching.lines().is_empty()) {
            if began.elapsed() > PATIENCE {
                bail!("cordon watch tells of nothing that is dropped");
            }
            provoke()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(both)
    }

    /// What it told so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The same, as events.
    pub fn events(&self) -> Result<Vec<Event>> {
        let lines = self.lines();
        let events = lines.iter().map(|line| serde_json::from_str(line));
        events
            .collect::<Result<_, _>>()
            .context("reading what cordon watch tells")
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
