//! Unnamed network namespaces and a private bpf file system, which are removed with the process however it ends.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use std::{process, thread};

use anyhow::{Context as _, Result, bail, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// Where programs are pinned, in a private mount.
pub const PINS: &str = "/sys/fs/bpf/cordon-bench";

/// Mounts a private bpf file system for the process. To be called before any thread is started.
///
/// # Errors
/// If the process lacks the privileges.
pub fn mount_private_bpf() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)
        .context("cannot make a mount namespace: the benchmark runs as root")?;
    let none: Option<&str> = None;
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(none, "/", none, private, none).context("cannot make mounts private")?;
    mount(
        Some("bpf"),
        "/sys/fs/bpf",
        Some("bpf"),
        MsFlags::empty(),
        none,
    )
    .context("cannot mount a bpf file system at /sys/fs/bpf")
}

/// A network namespace without a name.
pub struct Namespace(File);

impl Namespace {
    /// A new namespace, without IPv6, so that the kernel sends no frames of its own.
    ///
    /// # Errors
    /// If the process lacks the privileges.
    pub fn new() -> Result<Namespace> {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET)
                .context("cannot make a network namespace: the benchmark runs as root")?;
            for scope in ["all", "default"] {
                // Absent where the kernel has no IPv6.
                let _ = set(&format!("net/ipv6/conf/{scope}/disable_ipv6"), "1");
            }
            let file = File::open("/proc/thread-self/ns/net").context("cannot open a namespace")?;
            Ok(Namespace(file))
        };
        thread::scope(|scope| join(scope.spawn(make)))
    }

    /// Runs a job in it.
    ///
    /// # Errors
    /// The job's error.
    pub fn run<T: Send>(&self, job: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let enter = || {
            setns(&self.0, CloneFlags::CLONE_NEWNET).context("cannot enter a namespace")?;
            job()
        };
        thread::scope(|scope| join(scope.spawn(enter)))
    }

    /// Its path, as an argument of `ip`.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.0.as_raw_fd())
    }

    /// A veth pair between `name` here and `other` in another namespace.
    ///
    /// # Errors
    /// The error of `ip`.
    pub fn cable(&self, name: &str, to: &Namespace, other: &str) -> Result<()> {
        let there = to.path();
        self.run(|| {
            ip(&format!(
                "link add {name} type veth peer name {other} netns {there}"
            ))
        })?;
        for (namespace, end) in [(self, name), (to, other)] {
            namespace.run(|| {
                // VLAN tags must stay in the frames.
                tool("ethtool", &["-K", end, "txvlan", "off", "rxvlan", "off"])?;
                ip(&format!("link set {end} up"))
            })?;
        }
        Ok(())
    }

    /// Writes a setting of an interface that exists only in `/sys`.
    ///
    /// # Errors
    /// If there is no such setting.
    pub fn set_interface(&self, name: &str, setting: &str, value: &str) -> Result<()> {
        self.run(|| {
            // `/sys` shows the interfaces of the namespace that it was mounted in.
            let none: Option<&str> = None;
            let here = std::env::temp_dir().join(format!("cordon-bench-sys-{}", process::id()));
            fs::create_dir_all(&here)?;
            mount(Some("sysfs"), &here, Some("sysfs"), MsFlags::empty(), none)
                .context("cannot mount /sys for a namespace")?;
            let file = here.join(format!("class/net/{name}/{setting}"));
            let written = fs::write(&file, value)
                .with_context(|| format!("cannot set {setting} of {name} to {value}"));
            umount2(&here, MntFlags::MNT_DETACH).context("cannot unmount it")?;
            fs::remove_dir(&here)?;
            written
        })
    }

    /// A macvlan of an interface here, as `name` in another namespace.
    ///
    /// # Errors
    /// The error of `ip`.
    pub fn macvlan(&self, of: &str, name: &str, mac: &str, to: &Namespace) -> Result<()> {
        let there = to.path();
        self.run(|| {
            ip(&format!(
                "link add link {of} name {name} address {mac} type macvlan mode private"
            ))?;
            ip(&format!("link set {name} netns {there}"))
        })
    }
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Writes a sysctl, in the namespace of the calling thread.
///
/// # Errors
/// If it does not exist.
pub fn set(setting: &str, value: &str) -> Result<()> {
    fs::write(format!("/proc/sys/{setting}"), value)
        .with_context(|| format!("cannot set {setting} to {value}"))
}

/// Reads a numeric sysctl.
///
/// # Errors
/// If it does not exist.
pub fn get(setting: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/sys/{setting}"))
        .with_context(|| format!("cannot read {setting}"))?;
    text.trim()
        .parse()
        .with_context(|| format!("{setting} is not a number"))
}

/// Packets that an interface of the calling thread's namespace has sent.
///
/// # Errors
/// If the counters cannot be read.
pub fn transmitted(interface: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/net/dev").context("cannot read net/dev")?;
    let prefix = format!("{interface}:");
    text.lines()
        .find_map(|line| line.trim_start().strip_prefix(&prefix))
        .and_then(|line| line.split_whitespace().nth(9)?.parse().ok())
        .with_context(|| format!("net/dev has no counters of {interface}"))
}

/// Runs `ip`.
///
/// # Errors
/// Its error output.
pub fn ip(arguments: &str) -> Result<()> {
    tool("ip", &arguments.split(' ').collect::<Vec<_>>())
}

/// Runs a program.
///
/// # Errors
/// Its error output.
pub fn tool(name: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(name)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {name}: is it installed?"))?;
    ensure!(
        output.status.success(),
        "{name} {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Loads rules with `nft`.
///
/// # Errors
/// Its error output.
pub fn nft(rules: &str) -> Result<()> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run nft: install nftables (on Debian: apt install nftables)")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(rules.as_bytes())
            .context("nft does not read its rules")?;
    }
    let output = child.wait_with_output().context("cannot wait for nft")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let first: Vec<_> = errors.lines().take(3).collect();
        bail!("nft: {}", first.join("; "));
    }
    Ok(())
}
