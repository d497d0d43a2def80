//! Programs of a lab.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::{Error, Result};
use crate::tools;

/// Polling interval.
const PAUSE: Duration = Duration::from_millis(5);

/// A running program whose output goes to files. Dropping it kills its process group.
#[derive(Debug)]
pub struct Process {
    what: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    ended: bool,
    detached: bool,
}

/// Exit status and output of a program that has ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Whether the exit status is 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }
}

impl Process {
    /// Starts a program that writes to `FILES.out` and `FILES.err`.
    pub(crate) fn start(command: &mut Command, files: &Path) -> Result<Process> {
        let what = tools::line(command);
        let (stdout, stderr) = (files.with_added("out"), files.with_added("err"));
        let create = |path: &Path| {
            File::create(path).map_err(Error::io(format!("creating {}", path.display())))
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(create(&stdout)?)
            .stderr(create(&stderr)?)
            // A process group of its own: its children can be killed with it, and Ctrl-C on a terminal does not reach
            // it.
            .process_group(0)
            .spawn()
            .map_err(Error::io(format!("starting `{what}`")))?;
        Ok(Process {
            what,
            child,
            stdout,
            stderr,
            ended: false,
            detached: false,
        })
    }

    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.poll()?.is_none())
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if it does not. The program then still runs.
    pub fn wait(&mut self, within: Duration) -> Result<Output> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.poll()? {
                return Ok(Output {
                    status,
                    stdout: self.stdout(),
                    stderr: self.stderr(),
                });
            }
            if start.elapsed() > within {
                return Err(self.timed_out("the end of", within));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until its standard output or standard error contains `words`.
    ///
    /// # Errors
    /// [`Error::TimedOut`]; [`Error::Ended`] if the program ends before.
    pub fn wait_for(&mut self, words: &str, within: Duration) -> Result<()> {
        self.wait_until(&format!("{words:?} from"), within, |process| {
            process.stdout().contains(words) || process.stderr().contains(words)
        })
    }

    /// Waits until a condition is true, as long as the program runs.
    pub(crate) fn wait_until(
        &mut self,
        what: &str,
        within: Duration,
        mut condition: impl FnMut(&Process) -> bool,
    ) -> Result<()> {
        let start = Instant::now();
        loop {
            let ended = self.poll()?;
            if condition(self) {
                return Ok(());
            }
            if let Some(status) = ended {
                return Err(Error::Ended {
                    what: self.what.clone(),
                    status: status.to_string(),
                    log: self.stdout() + &self.stderr(),
                });
            }
            if start.elapsed() > within {
                return Err(self.timed_out(what, within));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Kills its process group (`SIGKILL`), as a crash would.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL);
        self.reap()
    }

    /// Sends `SIGTERM` and waits until it has ended.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if it does not within ten seconds.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM);
        Ok(self.wait(Duration::from_secs(10))?.status)
    }

    /// Lets the program run until its lab is removed.
    pub fn detach(mut self) {
        self.keep_running();
    }

    pub(crate) fn keep_running(&mut self) {
        self.detached = true;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if !self.ended {
            // The process may have ended already.
            let _ = killpg(Pid::from_raw(self.child.id() as i32), signal);
        }
    }

    fn poll(&mut self) -> Result<Option<ExitStatus>> {
        let status = self
            .child
            .try_wait()
            .map_err(Error::io(format!("waiting for `{}`", self.what)))?;
        self.ended |= status.is_some();
        Ok(status)
    }

    fn reap(&mut self) -> Result<ExitStatus> {
        let status = self
            .child
            .wait()
            .map_err(Error::io(format!("waiting for `{}`", self.what)))?;
        self.ended = true;
        Ok(status)
    }

    fn timed_out(&self, what: &str, after: Duration) -> Error {
        Error::TimedOut {
            what: format!("{what} `{}`", self.what),
            after,
            log: self.stdout() + &self.stderr(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.detached && !self.ended {
            let _ = self.kill();
        }
    }
}

fn text(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

trait WithAdded {
    fn with_added(&self, extension: &str) -> PathBuf;
}

impl WithAdded for Path {
    fn with_added(&self, extension: &str) -> PathBuf {
        let mut name = self.as_os_str().to_owned();
        name.push(".");
        name.push(extension);
        name.into()
    }
}
