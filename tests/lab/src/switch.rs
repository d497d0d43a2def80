//! The switches: Open vSwitch in user space, one instance per lab, in its confined namespace.
//!
//! There are two bridges. `br-access` has a port for each device and a trunk to the gateway. `br-core` has the
//! gateway's other trunk, and a port to the router for each VLAN, because the kernel may not support VLAN interfaces.

use std::collections::BTreeMap;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use nix::sys::socket::{setsockopt, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::error::{Error, Result};
use crate::node::Node;
use crate::packet;
use crate::process::Process;
use crate::tools::{self, OVS_SCHEMA};

/// The switch's side of the link to the gateway's access NIC.
pub const TO_ACCESS: &str = "gw-access";
/// The switch's side of the link to the gateway's core NIC.
pub const TO_CORE: &str = "gw-core";

const ACCESS: &str = "br-access";
const CORE: &str = "br-core";
const TIMEOUT: Duration = Duration::from_secs(15);
/// Receive buffer of the switch's sockets. The default is full after 50 redirected frames, each of which counts as a
/// page.
const BUFFER: usize = 128 << 20;

pub struct Switch {
    node: Node,
    directory: PathBuf,
    daemon: Process,
    database: Process,
    lost: Mutex<BTreeMap<String, u64>>,
}

impl Switch {
    /// Starts both bridges, with the trunks as their only ports.
    pub fn start(node: Node, directory: &Path) -> Result<Switch> {
        fs::create_dir_all(directory)
            .map_err(Error::io(format!("making {}", directory.display())))?;
        let at = |file: &str| directory.join(file).display().to_string();
        tools::run(
            Command::new("ovsdb-tool")
                .arg("create")
                .arg(at("conf.db"))
                .arg(OVS_SCHEMA),
        )?;
        let mut database = Process::start(
            confined(node.command("ovsdb-server"), directory)
                .arg(at("conf.db"))
                .arg(format!("--remote=punix:{}", at("db.sock")))
                .args(["--no-chdir", "-vconsole:warn", "-vsyslog:off"])
                .arg(format!("--log-file={}", at("ovsdb-server.log"))),
            &directory.join("ovsdb-server"),
        )?;
        let socket = directory.join("db.sock");
        database.wait_until("an answer from", TIMEOUT, |_| {
            UnixStream::connect(&socket).is_ok()
        })?;
        let daemon = Process::start(
            confined(node.command("ovs-vswitchd"), directory)
                .arg(format!("unix:{}", at("db.sock")))
                .args(["--no-chdir", "-vconsole:warn", "-vsyslog:off"])
                .arg(format!("--log-file={}", at("ovs-vswitchd.log"))),
            &directory.join("ovs-vswitchd"),
        )?;
        let switch = Switch {
            node,
            directory: directory.to_owned(),
            daemon,
            database,
            lost: Mutex::default(),
        };
        let bridges = format!(
            "-- add-br {ACCESS} -- set bridge {ACCESS} datapath_type=netdev fail_mode=standalone \
             -- add-br {CORE} -- set bridge {CORE} datapath_type=netdev fail_mode=standalone \
             -- add-port {ACCESS} {TO_ACCESS} vlan_mode=trunk -- add-port {CORE} {TO_CORE} vlan_mode=trunk"
        );
        switch.configure(&bridges)?;
        Ok(switch)
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Adds interfaces of the switch's namespace to `br-access`, each as access port of its VLAN.
    pub fn add_devices<'a>(&self, ports: impl Iterator<Item = (&'a str, u16)>) -> Result<()> {
        self.add(ACCESS, ports)
    }

    /// Adds interfaces to `br-core`, each as access port of its VLAN.
    pub fn add_routers<'a>(&self, ports: impl Iterator<Item = (&'a str, u16)>) -> Result<()> {
        self.add(CORE, ports)
    }

    /// Makes ports protected: the switch forwards no frame from one of them to another.
    pub fn protect(&self, ports: &[&str]) -> Result<()> {
        let set = ports
            .iter()
            .map(|port| format!("-- set port {port} protected=true"));
        self.configure(&set.collect::<Vec<_>>().join(" "))
    }

    fn add<'a>(&self, bridge: &str, ports: impl Iterator<Item = (&'a str, u16)>) -> Result<()> {
        let ports: Vec<String> = ports
            .map(|(port, vlan)| format!("-- add-port {bridge} {port} vlan_mode=access tag={vlan}"))
            .collect();
        if ports.is_empty() {
            return Ok(());
        }
        self.configure(&ports.join(" "))
    }

    /// Sets the priority (PCP) of all frames that come in by a port.
    pub fn mark(&self, port: &str, priority: u8) -> Result<()> {
        let bridge = if port.starts_with("core-") {
            CORE
        } else {
            ACCESS
        };
        let socket = self.directory.join(format!("{bridge}.mgmt"));
        let mut ofctl = self.node.command("ovs-ofctl");
        ofctl
            .arg("add-flow")
            .arg(format!("unix:{}", socket.display()))
            .arg(format!(
                "in_port={port},actions=mod_vlan_pcp:{priority},normal"
            ));
        tools::run(&mut confined(ofctl, &self.directory)).map(drop)
    }

    /// Changes the configuration, and returns when the switch has applied it.
    fn configure(&self, commands: &str) -> Result<()> {
        let mut vsctl = Command::new("ovs-vsctl");
        vsctl
            .arg(format!(
                "--db=unix:{}",
                self.directory.join("db.sock").display()
            ))
            .arg(format!("--timeout={}", TIMEOUT.as_secs()))
            .args(commands.split_whitespace());
        tools::run(&mut confined(vsctl, &self.directory)).map_err(|error| match error {
            Error::Command { command, output } => Error::Command {
                command,
                output: format!(
                    "{output}\n{}{}",
                    self.daemon.stderr(),
                    self.database.stderr()
                ),
            },
            error => error,
        })?;
        let sockets = self.sockets()?;
        if sockets.is_empty() {
            return Err(Error::Plan("the switch has no ports".to_owned()));
        }
        for (socket, _) in sockets {
            setsockopt(&socket, sockopt::RcvBufForce, &BUFFER)
                .map_err(Error::io("enlarging the switch's receive buffers"))?;
        }
        Ok(())
    }

    /// Frames that the full receive buffer of a port dropped since the start, by port.
    pub fn lost(&self) -> Result<BTreeMap<String, u64>> {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        for (socket, interface) in self.sockets()? {
            let more =
                packet::take_lost(&socket).map_err(Error::io("reading the switch's counters"))?;
            *lost.entry(interface).or_default() += more;
        }
        lost.retain(|_, frames| *frames > 0);
        Ok(lost.clone())
    }

    /// Duplicates of the running switch's receive sockets, with the interface of each.
    fn sockets(&self) -> Result<Vec<(OwnedFd, String)>> {
        let names = self.node.interfaces()?;
        self.packet_sockets(&names)
            .map_err(Error::io("finding the switch's sockets"))
    }

    fn packet_sockets(&self, names: &BTreeMap<u32, String>) -> io::Result<Vec<(OwnedFd, String)>> {
        let pid = self.daemon.pid();
        let process = Pid::from_raw(pid as i32).ok_or(io::ErrorKind::InvalidInput)?;
        let process = pidfd_open(process, PidfdFlags::empty())?;
        let mut found = Vec::new();
        for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
            let name = entry?.file_name();
            let Some(number) = name.to_str().and_then(|name| name.parse::<RawFd>().ok()) else {
                continue;
            };
            // It may have been closed in the meantime.
            let Ok(socket) = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) else {
                continue;
            };
            // The sending socket is bound to no interface.
            let index = packet::interface_of(&socket);
            if let Some(interface) = index.and_then(|index| names.get(&index)) {
                found.push((socket, interface.clone()));
            }
        }
        Ok(found)
    }

    /// Lets the switch run after drop.
    pub fn keep_running(&mut self) {
        self.daemon.keep_running();
        self.database.keep_running();
    }
}

/// Makes an Open vSwitch program use a directory for all its files, and no other.
fn confined(mut command: Command, directory: &Path) -> Command {
    for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
        command.env(variable, directory);
    }
    command
}
