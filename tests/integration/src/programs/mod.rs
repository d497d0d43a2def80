//! The site that real programs talk in, and what is done there again and again.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use cordon_lab::{Device, Direct, End, Error, Lab, Mac, Node, Plan, Process, Remote, Result};
use ipnet::IpNet;

use crate::exposition::Exposition;
use crate::steps::PATIENCE;

pub mod addresses;
pub mod allowed;
pub mod dicom;
pub mod listen;
pub mod mllp;
pub mod nmap;

/// What is behind the router. A host there has one address: who speaks both has two.
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

/// The site, with a laptop in the guest VLAN that nobody lists.
///
/// # Errors
/// If its policy is not in order.
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

/// Runs a program, which must succeed within two minutes, and answers what it wrote.
///
/// # Errors
/// [`Error::Command`] with what it says if it does not succeed.
pub fn must(node: &Node, line: &[&str]) -> Result<String> {
    let output = node.exec_within(line, PATIENCE)?;
    if output.success() {
        return Ok(output.stdout);
    }
    Err(Error::Command {
        command: line.join(" "),
        said: format!("{}{} ({})", output.stdout, output.stderr, output.status),
    })
}

/// Sets a kernel setting of a namespace: a path below `/proc/sys/net`.
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

/// Has everybody ask who their neighbours are, as they do every few minutes, so that the gateway hears where they are.
/// What it does not know the way to it floods, and an error that comes back from there it cannot tell from a made up one.
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

/// Starts a server, and returns when it takes TCP connections there.
///
/// # Errors
/// [`Error::Ended`] if it does not run.
pub fn serve(node: &Node, line: &[&str], at: SocketAddr) -> Result<Process> {
    let mut server = node.spawn(line)?;
    let start = Instant::now();
    while !node.connects(at, Duration::from_secs(1))? {
        let late = start.elapsed() > PATIENCE;
        if late || !server.is_running()? {
            return Err(Error::Ended {
                what: line.join(" "),
                status: if late {
                    "takes no connections"
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

/// What the gateway counts.
///
/// # Errors
/// If it does not answer.
pub fn counted(lab: &Lab, series: &str) -> Result<f64> {
    let metrics = Exposition::read(&lab.gateway().metrics()?);
    Ok(metrics.value(series).unwrap_or_default())
}

/// A workstation and a server, with nothing but a cable on either side of the gateway.
///
/// # Errors
/// Those of [`Direct::raise`].
pub fn cable(mtu: u32) -> Result<Direct> {
    let end = |name: &str, last, address| End {
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
