//! Long-running commands: shows progress and elapsed time, and logs the output.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Short enough to show each second, and to notice the end of a short step.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How often progress is printed where a line cannot be overwritten, as in a log file.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(30);
/// Lines of the log that an error shows: enough for a compiler's last error.
const TAIL_LINES: usize = 25;

/// Runs commands one after another, and writes their output to a file.
pub struct Steps {
    log: PathBuf,
}

impl Steps {
    pub fn new(log: PathBuf) -> Result<Steps> {
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        File::create(&log).with_context(|| log.display().to_string())?;
        Ok(Steps { log })
    }

    /// Runs a command until it exits. The error shows the end of its output.
    pub fn run(&self, what: &str, command: &mut Command) -> Result<()> {
        let started = Instant::now();
        let mut log = OpenOptions::new().append(true).open(&self.log)?;
        writeln!(log, "\n# {what}\n# {command:?}")?;
        let before = log.metadata()?.len();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
        let status = watch(what, child, started)?;
        let seconds = started.elapsed().as_secs_f32();
        if status.success() {
            finish(&format!("  {what}: done in {seconds:.1} s"));
            return Ok(());
        }
        finish(&format!("  {what}: failed after {seconds:.1} s"));
        bail!(
            "{what} failed ({status}). The end of {}:\n{}",
            self.log.display(),
            tail(&self.log, before)
        );
    }
}

fn watch(what: &str, mut child: Child, started: Instant) -> Result<ExitStatus> {
    let terminal = io::stdout().is_terminal();
    let mut last_printed = started;
    if !terminal {
        println!("  {what} ...");
    }
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let seconds = started.elapsed().as_secs();
        if terminal {
            print!("\r  {what} ... {seconds} s");
            io::stdout().flush()?;
        } else if last_printed.elapsed() >= PROGRESS_INTERVAL {
            println!("  {what} ... {seconds} s");
            last_printed = Instant::now();
        }
        sleep(POLL_INTERVAL);
    }
}

/// Overwrites the line that counted the seconds.
fn finish(line: &str) {
    let erase = if io::stdout().is_terminal() {
        "\r\x1b[K"
    } else {
        ""
    };
    println!("{erase}{line}");
}

fn tail(log: &Path, from: u64) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let own = bytes.get(from as usize..).unwrap_or_default();
    let text = String::from_utf8_lossy(own);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len().saturating_sub(TAIL_LINES);
    lines[last..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_failed_step_shows_its_own_output() {
        let log = std::env::temp_dir().join(format!("cordon-step-{}", std::process::id()));
        let steps = Steps::new(log.clone()).expect("can write there");
        steps
            .run("the first", Command::new("echo").arg("of the first"))
            .expect("works");
        let error = steps
            .run(
                "the second",
                Command::new("sh").args(["-c", "echo because >&2; exit 3"]),
            )
            .expect_err("fails")
            .to_string();
        fs::remove_file(&log).expect("was made");
        assert!(error.contains("the second failed"), "{error}");
        assert!(error.contains("because"), "{error}");
        assert!(!error.contains("of the first"), "{error}");
    }
}
