//! The site in which real programs run, and helpers to run them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use cordon_lab::{Device, Direct, Endpoint, Error, Lab, Mac, Node, Plan, Process, Remote, Result};
use ipnet::IpNet;

use crate::exposition::Exposition;
use crate::steps::PATIENCE;

pub mod addresses;
pub mod allowed;
pub mod dicom;
pub mod listen;
pub mod mllp;
pub mod nmap;

/// Hosts on the far side of the router. Each has one address; a dual-stack host has two entries.
const REMOTES: [(&str, &str); 8] = [
    ("dhcp", "10.200.0.5"),
    ("dns", "10.200.0.53"),
    ("pacs", "10.200.4.10"),
    ("records", "10.200.6.10"),
    ("records6", "fd00:200:6::10"),
    ("interfaces", "10.200.7.10"),
    ("internet", "203.0.113.10"),
    ("internet6", "2001:db8::10"),
];

/// The policy directory of the site.
pub fn policy() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/programs/site"))
}

/// The site, with an unlisted laptop in the guest VLAN.
///
/// # Errors
/// If its policy is not valid.
pub fn plan() -> Result<Plan> {
    let mut plan = Plan::from_policy(policy())?;
    plan.devices.push(Device {
        name: "guest".to_owned(),
        mac: Mac([0x02, 0x00, 0x5e, 0x29, 0x00, 0x66]),
        vlan: 299,
        addresses: vec![net("10.29.0.66/24"), net("fd00:29::66/64")],
    });
    for (name, address) in REMOTES {
        plan.remotes.push(Remote {
            name: name.to_owned(),
            address: address.parse().expect("an address"),
            default: name.starts_with("internet"),
        });
    }
    Ok(plan)
}

/// An address with the length of its subnet.
pub fn net(text: &str) -> IpNet {
    text.parse().expect("an address with a length")
}

/// Runs a program that must succeed within [`PATIENCE`]. Returns its standard output.
///
/// # Errors
/// [`Error::Command`] with its output if it fails.
pub fn must(node: &Node, line: &[&str]) -> Result<String> {
    let output = node.exec_within(line, PATIENCE)?;
    if output.success() {
        return Ok(output.stdout);
    }
    Err(Error::Command {
        command: line.join(" "),
        output: format!("{}{} ({})", output.stdout, output.stderr, output.status),
    })
}

/// Sets a network sysctl of a namespace: a path below `/proc/sys/net`.
///
/// # Errors
/// [`Error::Io`].
pub fn set(node: &Node, setting: &str, value: &str) -> Result<()> {
    let path = format!("/proc/sys/net/{setting}");
    node.run(|| std::fs::write(&path, value))?
        .map_err(|source| Error::Io {
            what: format!("writing {value} to {path}"),
            source,
        })
}

/// Clears the neighbour caches, so that all hosts resolve again and the gateway learns their locations. It floods a
/// frame whose destination it has not learned, and drops ICMP errors about such a flow because it cannot verify them.
///
/// # Errors
/// [`Error::Command`].
pub fn forget_neighbours(lab: &Lab) -> Result<()> {
    let hosts = lab.hosts();
    let nodes = hosts.iter().map(|host| host.node());
    for node in nodes.chain([lab.router()]) {
        for family in ["-4", "-6"] {
            must(node, &["ip", family, "neigh", "flush", "all"])?;
        }
    }
    Ok(())
}

/// Starts a server, and returns when it accepts TCP connections at `at`.
///
/// # Errors
/// [`Error::Ended`] if it ends, or accepts none within [`PATIENCE`].
pub fn serve(node: &Node, line: &[&str], at: SocketAddr) -> Result<Process> {
    let mut server = node.spawn(line)?;
    let start = Instant::now();
    while !node.connects(at, Duration::from_secs(1))? {
        let late = start.elapsed() > PATIENCE;
        if late || !server.is_running()? {
            return Err(Error::Ended {
                what: line.join(" "),
                status: if late {
                    "accepts no connections"
                } else {
                    "it ended"
                }
                .to_owned(),
                log: server.stdout() + &server.stderr(),
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(server)
}

/// The value of a metric of the gateway; 0 if there is no such series.
///
/// # Errors
/// If it does not answer.
pub fn metric(lab: &Lab, series: &str) -> Result<f64> {
    let metrics = Exposition::read(&lab.gateway().metrics()?);
    Ok(metrics.value(series).unwrap_or_default())
}

/// A workstation and a server, each connected directly to the gateway.
///
/// # Errors
/// Those of [`Direct::raise`].
pub fn cable(mtu: u32) -> Result<Direct> {
    let end = |name: &str, last, address| Endpoint {
        name: name.to_owned(),
        mac: Mac([0x02, 0x00, 0x5e, 0x23, 0x00, last]),
        address: net(address),
    };
    let policy = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/programs/cable"));
    Direct::raise(
        policy,
        ["eth1", "eth2"],
        &end("station-1", 0x11, "10.23.0.11/24"),
        &end("server", 0x66, "10.23.0.200/24"),
        mtu,
    )
}
