//! The gateway: the real daemon in its namespace, and the real command line.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::mount::{MsFlags, mount};

use crate::error::{Error, Result};
use crate::node::Node;
use crate::process::{Output, Process};

const METRICS_PORT: u16 = 9469;
/// How long the daemon may take to be ready.
const START: Duration = Duration::from_secs(60);
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);
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

    /// The policy directory: the gateway's own copy, to be changed at will.
    pub fn policy(&self) -> &Path {
        &self.policy
    }

    /// Where the daemon keeps what survives it.
    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// Where what is in the kernel is pinned, a bpf file system of the lab's own.
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

    /// What is in the configuration file unless [`Gateway::configure`] changes it.
    pub fn default_config(&self) -> String {
        format!(
            "state = {:?}\npins = {:?}\n\n[socket]\npath = {:?}\n\n[metrics]\nlisten = \"127.0.0.1:{METRICS_PORT}\"\n",
            self.state(),
            self.pins().join("cordon"),
            self.socket(),
        )
    }

    /// Writes the configuration file; the daemon reads it when it is started.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn configure(&self, config: &str) -> Result<()> {
        fs::write(self.config(), config)
            .map_err(Error::io(format!("writing {}", self.config().display())))
    }

    /// Starts the daemon, and returns when it is ready.
    ///
    /// # Errors
    /// [`Error::NotBuilt`]; [`Error::Ended`] or [`Error::TimedOut`], with what it wrote.
    pub fn start(&self) -> Result<()> {
        self.start_program(&Gateway::program()?)
    }

    /// The daemon that [`Gateway::start`] starts.
    ///
    /// # Errors
    /// [`Error::NotBuilt`].
    pub fn program() -> Result<PathBuf> {
        binary("cordond")
    }

    /// Starts another daemon than this build's: an earlier or later version.
    ///
    /// # Errors
    /// [`Error::Ended`] or [`Error::TimedOut`], with what it wrote.
    pub fn start_program(&self, program: &Path) -> Result<()> {
        let mut daemon = self.lock();
        if let Some(daemon) = daemon.as_mut()
            && daemon.is_running()?
        {
            return Err(Error::Plan("the gateway's daemon runs already".to_owned()));
        }
        let mut command = Command::new(program);
        command.arg("--config").arg(self.config());
        let files = self.directory.join("cordond");
        let started = daemon.insert(self.node.start(&mut command, &files)?);
        started.wait_until("readiness of", START, |_| {
            get(&self.socket(), "/v1/status").is_ok_and(|(code, _)| code == 200)
        })
    }

    /// Starts it, and applies the policy directory.
    ///
    /// # Errors
    /// Those of [`Gateway::start`]; [`Error::Command`] if the policy is refused.
    pub fn start_with_policy(&self) -> Result<()> {
        self.start()?;
        self.apply()
    }

    /// Kills the daemon, as a crash would. What it put into the kernel stays.
    ///
    /// # Errors
    /// [`Error::Plan`] if it does not run.
    pub fn kill(&self) -> Result<()> {
        self.running(|daemon| daemon.kill().map(drop))
    }

    /// Stops the daemon as an operator would. What it put into the kernel stays.
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

    /// What the daemon wrote since it was last started.
    pub fn log(&self) -> String {
        match self.lock().as_ref() {
            Some(daemon) => daemon.stdout() + &daemon.stderr(),
            None => String::new(),
        }
    }

    /// Applies the policy directory with `cordon apply`.
    ///
    /// # Errors
    /// [`Error::Command`] with what it says if it does not succeed.
    pub fn apply(&self) -> Result<()> {
        self.must(&["apply", &self.policy.display().to_string()])
            .map(drop)
    }

    /// Runs `cordon` with these arguments, on this gateway. How it ends is the caller's to judge.
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
        Process::start(&mut command, &files)?.wait(PATIENCE)
    }

    /// Runs `cordon`, which must succeed, and answers what it wrote.
    ///
    /// # Errors
    /// [`Error::Command`] with what it says if it does not succeed.
    pub fn must(&self, arguments: &[&str]) -> Result<String> {
        let output = self.cordon(arguments)?;
        if output.success() {
            return Ok(output.stdout);
        }
        Err(Error::Command {
            command: format!("cordon {}", arguments.join(" ")),
            said: format!("{}{} ({})", output.stdout, output.stderr, output.status),
        })
    }

    /// Runs `cordon --output json`, which must succeed, and answers what it wrote.
    ///
    /// # Errors
    /// [`Error::Command`] if it does not succeed, [`Error::Io`] if what it writes is no JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let said = self.must(&[&["--output", "json"], arguments].concat())?;
        serde_json::from_str(&said).map_err(Error::io(format!(
            "reading what cordon {} wrote",
            arguments.join(" ")
        )))
    }

    /// The beginning of a `cordon` command on this gateway.
    ///
    /// # Errors
    /// [`Error::NotBuilt`].
    pub fn cordon_command(&self) -> Result<Command> {
        let mut command = Command::new(binary("cordon")?);
        command.arg("--socket").arg(self.socket());
        Ok(command)
    }

    /// Asks the daemon's API: the status code and the body of the answer.
    ///
    /// # Errors
    /// [`Error::Io`] if nobody answers.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        get(&self.socket(), path).map_err(Error::io(format!("asking cordond for {path}")))
    }

    /// The metrics as Prometheus sees them.
    ///
    /// # Errors
    /// [`Error::Io`] if nobody answers.
    pub fn metrics(&self) -> Result<String> {
        let ask = || {
            let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, METRICS_PORT))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            ask(socket, "/metrics")
        };
        let (_, body) = self
            .node
            .run(ask)?
            .map_err(Error::io("asking cordond for its metrics"))?;
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
        Err(Error::Plan("the gateway's daemon does not run".to_owned()))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file system for pins that is the lab's own, so that they go away with it.
fn mount_pins(at: &Path) -> Result<()> {
    fs::create_dir_all(at).map_err(Error::io(format!("making {}", at.display())))?;
    mount(Some("bpf"), at, Some("bpf"), MsFlags::empty(), None::<&str>).map_err(Error::io(format!(
        "mounting a bpf file system at {}",
        at.display()
    )))
}

/// A program of this workspace, from the build that the calling program is of.
fn binary(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().map_err(Error::io("finding this program"))?;
    let mut directory = program.parent().unwrap_or(Path::new("."));
    // Tests and examples are one below.
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

fn get(socket: &Path, path: &str) -> std::io::Result<(u16, String)> {
    let socket = UnixStream::connect(socket)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    ask(socket, path)
}

/// HTTP/1.0: the answer ends with the connection.
fn ask(mut socket: impl Read + Write, path: &str) -> std::io::Result<(u16, String)> {
    write!(socket, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    match code {
        Some(code) => Ok((code, body.to_owned())),
        None => Err(std::io::Error::other(format!("no HTTP answer: {head:?}"))),
    }
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
