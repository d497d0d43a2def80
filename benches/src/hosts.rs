//! A gateway between hosts with sockets and real programs.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::unistd::Pid;

use crate::gateways::{self, Gateway, Kind};
use crate::namespace::{Namespace, ip, tool, transmitted};
use crate::payload::Payload;
use crate::processor;
use crate::programs::{Generator, Pattern};
use crate::traffic::{self, Device, ROUTER_MAC, SERVER_MAC, Site};

/// The number of device kinds whose servers answer.
pub const SERVERS: u32 = 4;
/// The read timeout of sockets, after which their owner checks whether to stop.
const READ_TIMEOUT: Duration = Duration::from_millis(50);

/// A gateway with devices on one side and servers on the other.
///
/// ```text
/// device 0 ─ macvlan ┐
/// device 1 ─ macvlan ┼ sender ══ eth1 gateway eth2 ══ sink: all servers
/// ...                ┘
/// ```
///
/// All neighbour entries are static, so there is no ARP.
pub struct Hosts {
    /// The kind of gateway.
    pub kind: Kind,
    gateway: Box<dyn Gateway>,
    devices: Vec<(Device, Namespace)>,
    trunk: Namespace,
    inside: Namespace,
    servers: Namespace,
}

impl Hosts {
    /// Sets up a gateway between these devices and their servers.
    ///
    /// # Errors
    /// If the setup fails.
    pub fn new(kind: Kind, devices: &[Device]) -> Result<Hosts> {
        let [trunk, inside, servers] = [Namespace::new()?, Namespace::new()?, Namespace::new()?];
        trunk.cable("sender", &inside, "eth1")?;
        inside.cable("eth2", &servers, "sink")?;
        for (namespace, end) in [(&trunk, "sender"), (&servers, "sink")] {
            // Partial checksums do not survive a redirect, and without GRO a veth does not receive redirected frames.
            let settings = ["tx", "off", "tso", "off", "gso", "off", "gro", "on"];
            namespace.run(|| tool("ethtool", &[&["-K", end], &settings[..]].concat()))?;
        }
        let gateway = inside.run(|| gateways::new(kind, Site::Hosts))?;
        // With a bridging gateway, the servers' end has the router's MAC address.
        let routed = kind == Kind::Nftables;
        servers.run(|| servers_end(devices, routed))?;
        let plug_in = |device: &Device| -> Result<(Device, Namespace)> {
            let namespace = Namespace::new()?;
            trunk.macvlan("sender", "eth0", &device.mac().to_string(), &namespace)?;
            namespace.run(|| device_end(*device))?;
            Ok((*device, namespace))
        };
        let devices = devices.iter().map(plug_in).collect::<Result<_>>()?;
        Ok(Hosts {
            kind,
            gateway,
            devices,
            trunk,
            inside,
            servers,
        })
    }

    /// Makes the gateway receive frames from devices in its own thread on this processor, regardless of the sender's.
    ///
    /// # Errors
    /// If the kernel has no threaded NAPI (Linux 5.12 or later).
    pub fn forward_on(&self, processor: usize) -> Result<()> {
        let before = napi_threads()?;
        self.inside
            .set_interface("eth1", "threaded", "1")
            .context("cannot enable threaded NAPI for the gateway")?;
        for thread in napi_threads()? {
            if !before.contains(&thread) {
                processor::pin(processor, thread)?;
                processor::prioritise(thread);
            }
        }
        Ok(())
    }

    /// A socket of a device, connected to its server.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn client(&self, device: Device) -> Result<UdpSocket> {
        let kind = Site::Hosts.kind(device);
        let to = (traffic::Kind::server(kind), traffic::Kind::port(kind));
        self.at(device)?.run(|| {
            let socket = UdpSocket::bind((device.ip(), 0))?;
            socket.connect(to)?;
            socket.set_read_timeout(Some(READ_TIMEOUT))?;
            Ok(socket)
        })
    }

    /// A socket of the server of a kind of device.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn server(&self, device: Device) -> Result<UdpSocket> {
        let kind = Site::Hosts.kind(device);
        let address = SocketAddrV4::new(traffic::Kind::server(kind), traffic::Kind::port(kind));
        self.servers.run(|| {
            let socket = UdpSocket::bind(address)?;
            socket.set_read_timeout(Some(READ_TIMEOUT))?;
            Ok(socket)
        })
    }

    /// Starts a program on a device.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn start(&self, device: Device, arguments: &[&str]) -> Result<Child> {
        let (program, arguments) = arguments.split_first().context("no program")?;
        self.at(device)?.run(|| {
            Command::new(program)
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .with_context(|| format!("cannot run {program}: is it installed?"))
        })
    }

    /// A generator of a device's frames, each of a new flow until its numbers repeat.
    ///
    /// # Errors
    /// If the kernel refuses the program.
    pub fn generator(&self, device: Device, payload: Payload) -> Result<Generator> {
        let flows = match payload {
            Payload::Udp | Payload::Syn | Payload::Icmp => 40_000,
            // Eight fragments for each IP identification.
            Payload::Fragments => 8 << 16,
            Payload::RandomSources => 1 << 24,
        };
        let pattern = Pattern {
            flows,
            site: Site::Hosts,
            device: Some(device),
            tagged: false,
            routed: false,
            answers: false,
            payload,
        };
        self.trunk.run(|| Generator::new(pattern, "sender"))
    }

    /// Frames that the devices have sent through sockets.
    ///
    /// # Errors
    /// If the counters cannot be read.
    pub fn sent(&self) -> Result<u64> {
        self.trunk.run(|| transmitted("sender"))
    }

    /// Runs a job on the gateway, in its namespace.
    ///
    /// # Errors
    /// The job's error.
    pub fn gateway<T: Send>(
        &mut self,
        job: impl FnOnce(&mut dyn Gateway) -> Result<T> + Send,
    ) -> Result<T> {
        let gateway = &mut self.gateway;
        self.inside.run(|| job(gateway.as_mut()))
    }

    fn at(&self, device: Device) -> Result<&Namespace> {
        let found = self.devices.iter().find(|(number, _)| *number == device);
        Ok(&found.context("there is no such device")?.1)
    }
}

/// The kernel's NAPI threads of interfaces named `eth1`.
fn napi_threads() -> Result<Vec<Pid>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list processes")? {
        let entry = entry?;
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if name.starts_with("napi/eth1-")
            && let Some(Ok(pid)) = entry.file_name().to_str().map(str::parse)
        {
            threads.push(Pid::from_raw(pid));
        }
    }
    Ok(threads)
}

fn servers_end(devices: &[Device], routed: bool) -> Result<()> {
    let own = if routed { SERVER_MAC } else { ROUTER_MAC };
    ip(&format!("link set sink address {own}"))?;
    for kind in 0..SERVERS {
        let address = traffic::Kind::server(kind);
        ip(&format!("address add {address}/32 dev sink"))?;
    }
    ip("route add 10.64.0.0/14 dev sink")?;
    for device in devices {
        let mac = if routed { ROUTER_MAC } else { device.mac() };
        neighbour(device.ip(), &mac.to_string(), "sink")?;
    }
    Ok(())
}

fn device_end(device: Device) -> Result<()> {
    ip(&format!("address add {}/32 dev eth0", device.ip()))?;
    ip("link set eth0 up")?;
    ip("route add 10.200.0.0/16 dev eth0")?;
    for kind in 0..Site::Hosts.kinds() {
        neighbour(traffic::Kind::server(kind), &ROUTER_MAC.to_string(), "eth0")?;
    }
    Ok(())
}

fn neighbour(address: Ipv4Addr, mac: &str, interface: &str) -> Result<()> {
    ip(&format!(
        "neighbour replace {address} lladdr {mac} nud permanent dev {interface}"
    ))
}
