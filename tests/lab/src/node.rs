//! A network namespace of the lab, and the operations in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cordon_policy::Mac;
use nix::sched::{CloneFlags, setns};

use crate::captured_frame::CapturedFrame;
use crate::error::{Error, Result};
use crate::process::{Output, Process};
use crate::tap::Tap;
use crate::{packet, ping};

/// Default time limit of a program that should end by itself.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A network namespace of the lab. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    namespace: String,
    handle: File,
    outputs: PathBuf,
    started: AtomicU32,
}

impl Node {
    /// Opens a node. Its namespace must exist.
    pub(crate) fn open(name: &str, namespace: String, outputs: &Path) -> Result<Node> {
        let path = format!("/run/netns/{namespace}");
        let handle = File::open(&path).map_err(Error::io(format!("opening {path}")))?;
        Ok(Node(Arc::new(Inner {
            name: name.to_owned(),
            namespace,
            handle,
            outputs: outputs.to_owned(),
            started: AtomicU32::new(0),
        })))
    }

    /// Its name in the lab.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The name of its namespace, as `ip netns exec` takes it.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Runs a closure in the namespace, on a thread of its own, and returns its result. Panics if the closure does.
    ///
    /// # Errors
    /// [`Error::Io`] if the namespace cannot be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| self.enter().map(|()| work()));
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Moves this thread into the namespace. It cannot go back.
    pub(crate) fn enter(&self) -> Result<()> {
        setns(&self.0.handle, CloneFlags::CLONE_NEWNET)
            .map_err(Error::io(format!("entering {}", self.0.namespace)))
    }

    /// A command that will run in the namespace, with its own `/sys`. The mount and unmount take seconds on a busy
    /// machine: [`Node::spawn`] does without.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.0.namespace])
            .arg(program);
        command
    }

    /// Runs a program in the namespace to its end, with a limit of a minute. The caller checks its exit status.
    ///
    /// # Errors
    /// [`Error::TimedOut`]; [`Error::Io`] if it cannot be started.
    pub fn exec<S: AsRef<OsStr>>(&self, line: &[S]) -> Result<Output> {
        self.exec_within(line, TIMEOUT)
    }

    /// Runs a program in the namespace to its end. It is killed if that takes longer than `within`.
    ///
    /// # Errors
    /// As for [`Node::exec`].
    pub fn exec_within<S: AsRef<OsStr>>(&self, line: &[S], within: Duration) -> Result<Output> {
        self.spawn(line)?.wait(within)
    }

    /// Starts a program in the namespace. Dropping the [`Process`] kills it.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be started.
    pub fn spawn<S: AsRef<OsStr>>(&self, line: &[S]) -> Result<Process> {
        let [program, arguments @ ..] = line else {
            return Err(Error::Plan("there is no program to run".to_owned()));
        };
        let number = self.0.started.fetch_add(1, Ordering::Relaxed);
        let name = Path::new(program).file_name().unwrap_or_default();
        let files = format!("{}-{number}-{}", self.0.name, name.to_string_lossy());
        let mut command = Command::new(program);
        command.args(arguments);
        self.start(&mut command, &self.0.outputs.join(files))
    }

    /// Starts a program in the namespace. `files` is the path prefix of its output files.
    pub(crate) fn start(&self, command: &mut Command, files: &Path) -> Result<Process> {
        // A process starts in the namespace of the thread that starts it.
        self.run(|| Process::start(command, files))?
    }

    /// Sends `count` echo requests, 20 ms apart. Returns how many were answered, at most a second after the last.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be sent at all.
    pub fn ping(&self, to: IpAddr, count: u16) -> Result<u16> {
        self.run(|| ping::ping(to, count))?
            .map_err(Error::io(format!("pinging {to} from {}", self.name())))
    }

    /// Whether a TCP connection to `to` is established within the time.
    ///
    /// # Errors
    /// [`Error::Io`] if the namespace cannot be entered.
    pub fn connects(&self, to: SocketAddr, within: Duration) -> Result<bool> {
        self.run(|| TcpStream::connect_timeout(&to, within).is_ok())
    }

    /// Records every frame that an interface of this namespace receives and sends, from now on.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn tap(&self, interface: &str) -> Result<Tap> {
        self.tap_only(interface, |_| true)
    }

    /// Records the frames that `wanted` accepts.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn tap_only(
        &self,
        interface: &str,
        wanted: impl Fn(&CapturedFrame) -> bool + Send + 'static,
    ) -> Result<Tap> {
        self.run(|| Tap::start(interface, Box::new(wanted)))?
            .map_err(Error::io(format!("tapping {interface} of {}", self.name())))
    }

    /// Sends frames unchanged by an interface of this namespace.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn send_frames<F: AsRef<[u8]> + Sync>(&self, interface: &str, frames: &[F]) -> Result<()> {
        self.run(|| packet::send(interface, frames))?
            .map_err(Error::io(format!(
                "sending frames from {interface} of {}",
                self.name()
            )))
    }

    /// Sets kernel settings of this namespace: paths below `/proc/sys/net`, and values.
    pub(crate) fn set<S: AsRef<str> + Sync>(&self, settings: &[(S, &str)]) -> Result<()> {
        self.run(|| {
            for (setting, value) in settings {
                let setting = setting.as_ref();
                let path = format!("/proc/sys/net/{setting}");
                // The kernel may have no IPv6.
                if setting.starts_with("ipv6/") && !Path::new("/proc/sys/net/ipv6").exists() {
                    continue;
                }
                fs::write(&path, value).map_err(Error::io(format!("writing {value} to {path}")))?;
            }
            Ok(())
        })?
    }

    /// The interfaces of this namespace, by index.
    pub(crate) fn interfaces(&self) -> Result<BTreeMap<u32, String>> {
        let list = || -> nix::Result<BTreeMap<u32, String>> {
            let found = nix::net::if_::if_nameindex()?;
            let named = found.iter().map(|interface| {
                let name = interface.name().to_string_lossy().into_owned();
                (interface.index(), name)
            });
            Ok(named.collect())
        };
        self.run(list)?.map_err(Error::io(format!(
            "listing the interfaces of {}",
            self.name()
        )))
    }

    /// A counter of `/proc/net/snmp` in this namespace, for example `Udp` and `RcvbufErrors`.
    pub(crate) fn snmp_counter(&self, protocol: &str, name: &str) -> Result<u64> {
        let snmp = self
            .run(|| fs::read_to_string("/proc/thread-self/net/snmp"))?
            .map_err(Error::io("reading /proc/net/snmp"))?;
        let prefix = format!("{protocol}:");
        let mut lines = snmp.lines().filter(|line| line.starts_with(&prefix));
        let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
            return Ok(0);
        };
        let mut pairs = names.split_whitespace().zip(values.split_whitespace());
        let value = pairs.find(|(known, _)| *known == name);
        Ok(value.and_then(|(_, value)| value.parse().ok()).unwrap_or(0))
    }
}

/// A node with addresses: a device, or a server of the wider network. Its interface is `eth0`.
#[derive(Clone, Debug)]
pub struct Host {
    node: Node,
    mac: Mac,
    addresses: Vec<IpAddr>,
    vlan: Option<u16>,
}

impl Host {
    /// Name of the interface of every host.
    pub const INTERFACE: &'static str = "eth0";

    pub(crate) fn new(node: Node, mac: Mac, addresses: Vec<IpAddr>, vlan: Option<u16>) -> Host {
        Host {
            node,
            mac,
            addresses,
            vlan,
        }
    }

    /// Its namespace.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Its first address.
    pub fn ip(&self) -> IpAddr {
        self.addresses[0]
    }

    /// All its addresses; at least one.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Its first address with a port.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip(), port)
    }

    /// Its MAC address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// Its VLAN at the access switch; none for a host on the router's side.
    pub fn vlan(&self) -> Option<u16> {
        self.vlan
    }

    /// Records every frame on its interface.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn tap(&self) -> Result<Tap> {
        self.node.tap(Host::INTERFACE)
    }

    /// Records the frames on its interface that `wanted` accepts.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn tap_only(
        &self,
        wanted: impl Fn(&CapturedFrame) -> bool + Send + 'static,
    ) -> Result<Tap> {
        self.node.tap_only(Host::INTERFACE, wanted)
    }

    /// Sends frames unchanged.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn send_frames<F: AsRef<[u8]> + Sync>(&self, frames: &[F]) -> Result<()> {
        self.node.send_frames(Host::INTERFACE, frames)
    }

    /// Whether three of three echo requests are answered.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn reaches(&self, other: &Host) -> Result<bool> {
        Ok(self.ping(other.ip(), 3)? == 3)
    }
}

/// A host has all operations of its node.
impl Deref for Host {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}
