//! The gateway of a lab: the real daemon in its namespace, and the real command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::mount::{MsFlags, mount};

use crate::error::{Error, Result};
use crate::http;
use crate::node::Node;
use crate::process::{Output, Process};

const METRICS_PORT: u16 = 9469;
/// Time limit for the daemon to be ready.
const START: Duration = Duration::from_secs(60);
/// Time limit of a command or a request.
const TIMEOUT: Duration = Duration::from_secs(60);
const BUILD: &str = "cargo build -p cordon-gateway -p cordon-cli";

/// The gateway of a lab.
pub struct Gateway {
    node: Node,
    directory: PathBuf,
    policy: PathBuf,
    daemon: Mutex<Option<Process>>,
    commands: Mutex<u32>,
}

impl Gateway {
    pub(crate) fn new(node: Node, lab: &Path, policy: Option<PathBuf>) -> Result<Gateway> {
        let directory = lab.join("gateway");
        let gateway = Gateway {
            node,
            policy: directory.join("policy"),
            directory,
            daemon: Mutex::default(),
            commands: Mutex::default(),
        };
        mount_pins(&gateway.pins())?;
        let policy_to = &gateway.policy;
        fs::create_dir_all(policy_to)
            .and_then(|()| match policy {
                Some(from) => copy_files(&from, policy_to),
                None => Ok(()),
            })
            .map_err(Error::io(format!(
                "copying the policy to {}",
                policy_to.display()
            )))?;
        gateway.configure(&gateway.default_config())?;
        Ok(gateway)
    }

    /// Its namespace.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The policy directory: a copy, which tests may change.
    pub fn policy(&self) -> &Path {
        &self.policy
    }

    /// The daemon's state directory.
    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// The bpf file system for the daemon's pins. Every lab has its own.
    pub fn pins(&self) -> PathBuf {
        self.directory.join("bpf")
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("cordond.sock")
    }

    /// The daemon's configuration file.
    pub fn config(&self) -> PathBuf {
        self.directory.join("gateway.toml")
    }

    /// The initial content of the configuration file.
    pub fn default_config(&self) -> String {
        format!(
            "state = {:?}\npins = {:?}\n\n[socket]\npath = {:?}\n\n[metrics]\nlisten = \"127.0.0.1:{METRICS_PORT}\"\n",
            self.state(),
            self.pins().join("cordon"),
            self.socket(),
        )
    }

    /// Writes the configuration file. The daemon reads it at its next start.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn configure(&self, config: &str) -> Result<()> {
        fs::write(self.config(), config)
            .map_err(Error::io(format!("writing {}", self.config().display())))
    }

    /// Starts the daemon. Returns when it is ready.
    ///
    /// # Errors
    /// [`Error::NotBuilt`]; [`Error::Ended`] or [`Error::TimedOut`], with the daemon's output.
    pub fn start(&self) -> Result<()> {
        self.start_program(&Gateway::program()?)
    }

    /// The path of the daemon that [`Gateway::start`] starts.
    ///
    /// # Errors
    /// [`Error::NotBuilt`].
    pub fn program() -> Result<PathBuf> {
        binary("cordond")
    }

    /// Starts another version of the daemon than this build's.
    ///
    /// # Errors
    /// [`Error::Ended`] or [`Error::TimedOut`], with the daemon's output.
    pub fn start_program(&self, program: &Path) -> Result<()> {
        let mut daemon = self.lock();
        if let Some(daemon) = daemon.as_mut()
            && daemon.is_running()?
        {
            return Err(Error::Plan(
                "the gateway's daemon is already running".to_owned(),
            ));
        }
        let mut command = Command::new(program);
        command.arg("--config").arg(self.config());
        let files = self.directory.join("cordond");
        let started = daemon.insert(self.node.start(&mut command, &files)?);
        started.wait_until("readiness of", START, |_| {
            http::get_unix(&self.socket(), "/v1/status", TIMEOUT).is_ok_and(|(code, _)| code == 200)
        })
    }

    /// Starts the daemon and applies the policy directory.
    ///
    /// # Errors
    /// Those of [`Gateway::start`]; [`Error::Command`] if the policy is refused.
    pub fn start_with_policy(&self) -> Result<()> {
        self.start()?;
        self.apply()
    }

    /// Kills the daemon, as a crash would. Its XDP programs and maps stay.
    ///
    /// # Errors
    /// [`Error::Plan`] if it does not run.
    pub fn kill(&self) -> Result<()> {
        self.running(|daemon| daemon.kill().map(drop))
    }

    /// Stops the daemon as an operator would. Its XDP programs and maps stay.
    ///
    /// # Errors
    /// [`Error::Plan`] if it does not run; [`Error::TimedOut`].
    pub fn stop(&self) -> Result<()> {
        self.running(|daemon| daemon.terminate().map(drop))
    }

    /// The daemon's process ID.
    ///
    /// # Errors
    /// [`Error::Plan`] if it does not run.
    pub fn pid(&self) -> Result<u32> {
        self.running(|daemon| Ok(daemon.pid()))
    }

    /// The daemon's output since its last start.
    pub fn log(&self) -> String {
        match self.lock().as_ref() {
            Some(daemon) => daemon.stdout() + &daemon.stderr(),
            None => String::new(),
        }
    }

    /// Applies the policy directory with `cordon apply`.
    ///
    /// # Errors
    /// [`Error::Command`] with its output if it fails.
    pub fn apply(&self) -> Result<()> {
        self.must(&["apply", &self.policy.display().to_string()])
            .map(drop)
    }

    /// Runs `cordon` with these arguments on this gateway. The caller checks its exit status.
    ///
    /// # Errors
    /// [`Error::NotBuilt`]; [`Error::TimedOut`].
    pub fn cordon(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.cordon_command()?;
        command.args(arguments);
        let number = {
            let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
            *commands += 1;
            *commands
        };
        let files = self.directory.join(format!("cordon-{number}"));
        Process::start(&mut command, &files)?.wait(TIMEOUT)
    }

    /// Runs `cordon`, which must succeed, and returns its output.
    ///
    /// # Errors
    /// [`Error::Command`] with its output if it fails.
    pub fn must(&self, arguments: &[&str]) -> Result<String> {
        let output = self.cordon(arguments)?;
        if output.success() {
            return Ok(output.stdout);
        }
        Err(Error::Command {
            command: format!("cordon {}", arguments.join(" ")),
            output: format!("{}{} ({})", output.stdout, output.stderr, output.status),
        })
    }

    /// Runs `cordon --output json`, which must succeed, and returns its output.
    ///
    /// # Errors
    /// [`Error::Command`] if it fails, [`Error::Io`] if its output is not JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let output = self.must(&[&["--output", "json"], arguments].concat())?;
        serde_json::from_str(&output).map_err(Error::io(format!(
            "reading the output of cordon {}",
            arguments.join(" ")
        )))
    }

    /// A `cordon` command for this gateway; the caller adds arguments.
    ///
    /// # Errors
    /// [`Error::NotBuilt`].
    pub fn cordon_command(&self) -> Result<Command> {
        let mut command = Command::new(binary("cordon")?);
        command.arg("--socket").arg(self.socket());
        Ok(command)
    }

    /// Sends a GET request to the daemon's API. Returns status code and body.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no answer.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        http::get_unix(&self.socket(), path, TIMEOUT)
            .map_err(Error::io(format!("requesting {path} from cordond")))
    }

    /// The metrics in Prometheus text format.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no answer.
    pub fn metrics(&self) -> Result<String> {
        let request = || http::get_local(METRICS_PORT, "/metrics", TIMEOUT);
        let (_, body) = self
            .node
            .run(request)?
            .map_err(Error::io("requesting the metrics of cordond"))?;
        Ok(body)
    }

    pub(crate) fn keep_running(&self) {
        if let Some(daemon) = self.lock().as_mut() {
            daemon.keep_running();
        }
    }

    fn running<T>(&self, work: impl FnOnce(&mut Process) -> Result<T>) -> Result<T> {
        if let Some(daemon) = self.lock().as_mut()
            && daemon.is_running()?
        {
            return work(daemon);
        }
        Err(Error::Plan(
            "the gateway's daemon is not running".to_owned(),
        ))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Mounts a bpf file system for the lab's pins, so that they are removed with the lab.
fn mount_pins(at: &Path) -> Result<()> {
    fs::create_dir_all(at).map_err(Error::io(format!("making {}", at.display())))?;
    mount(Some("bpf"), at, Some("bpf"), MsFlags::empty(), None::<&str>).map_err(Error::io(format!(
        "mounting a bpf file system at {}",
        at.display()
    )))
}

/// A program of this workspace, from the same build as the calling program.
fn binary(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().map_err(Error::io("finding this program"))?;
    let mut directory = program.parent().unwrap_or(Path::new("."));
    // Tests and examples are in a subdirectory.
    if directory.ends_with("deps") || directory.ends_with("examples") {
        directory = directory.parent().unwrap_or(directory);
    }
    let path = directory.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let release = if directory.ends_with("release") {
        " --release"
    } else {
        ""
    };
    Err(Error::NotBuilt {
        path,
        build: format!("{BUILD}{release}"),
    })
}

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy_files(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
