//! DHCP, DNS and router advertisement servers, and DHCP clients.

use std::fs;
use std::path::Path;

use cordon_lab::{Host, Node, Process, Result};

use super::must;
use crate::steps::wait_until;

/// Configures the interface with a lease. `dhclient`'s own script would change this machine's `/etc/resolv.conf`.
const SCRIPT: &str = r#"#!/bin/sh
case "$reason" in
PREINIT*) ip link set "$interface" up ;;
BOUND | RENEW | REBIND | REBOOT)
    ip addr replace "$new_ip_address/$new_subnet_mask" dev "$interface"
    ip route replace default via "${new_routers%% *}" dev "$interface"
    ;;
BOUND6 | RENEW6 | REBIND6)
    ip addr replace "$new_ip6_address/$new_ip6_prefixlen" dev "$interface" nodad
    ;;
esac
"#;
/// Keeps `dhclient` in the foreground.
const STAY: &str = "-d";
/// Ignores every lease: for a client that only checks whether a server answers.
const NO_OP_SCRIPT: &str = "#!/bin/sh\n";

/// Starts `dnsmasq`, independent of this machine's configuration.
///
/// # Errors
/// If it does not run.
pub fn dnsmasq(node: &Node, scratch: &Path, arguments: &[&str]) -> Result<Process> {
    let leases = format!(
        "--dhcp-leasefile={}",
        scratch.join(format!("{}.leases", node.name())).display()
    );
    let own = [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--no-ping",
        "--user=root",
        "--pid-file=",
        "--log-facility=-",
        "--log-dhcp",
        &leases,
    ];
    let mut server = node.spawn(&[&own[..], arguments].concat())?;
    server.wait_for("started", crate::steps::PATIENCE)?;
    Ok(server)
}

/// Starts `radvd` on interfaces, each with its options in `radvd.conf` syntax.
///
/// # Errors
/// If it does not run.
pub fn radvd(node: &Node, scratch: &Path, interfaces: &[(&str, &str)]) -> Result<Process> {
    let config: String = interfaces
        .iter()
        .map(|(interface, options)| {
            format!("interface {interface} {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; {options} }};\n")
        })
        .collect();
    let at = |what: &str| {
        let file = scratch.join(format!("{}-radvd.{what}", node.name()));
        file.display().to_string()
    };
    fs::write(at("conf"), config).expect("writes");
    node.spawn(&[
        "radvd",
        "--nodaemon",
        "--config",
        &at("conf"),
        "--pidfile",
        &at("pid"),
        "--logmethod",
        "stderr",
    ])
}

/// A DHCP client.
pub struct Client {
    process: Process,
    node: Node,
    line: Vec<String>,
}

/// The version of the addresses that a client requests.
#[derive(Clone, Copy, Debug)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Client {
    /// Starts `dhclient` on a host; it configures the address that it is offered.
    ///
    /// # Errors
    /// If it does not run.
    pub fn start(host: &Host, scratch: &Path, version: IpVersion) -> Result<Client> {
        Client::at(host, Host::INTERFACE, scratch, version, SCRIPT)
    }

    /// Starts it at an interface, only to see whether a server offers an address.
    ///
    /// # Errors
    /// If it does not run.
    pub fn probe(
        node: &Node,
        interface: &str,
        scratch: &Path,
        version: IpVersion,
    ) -> Result<Client> {
        Client::at(node, interface, scratch, version, NO_OP_SCRIPT)
    }

    fn at(
        node: &Node,
        interface: &str,
        scratch: &Path,
        version: IpVersion,
        script: &'static str,
    ) -> Result<Client> {
        let file = |what: &str| {
            let name = format!("{}-{interface}-{version:?}.{what}", node.name());
            scratch.join(name).display().to_string()
        };
        fs::write(file("sh"), script).expect("writes");
        // Without its old leases it requests a new address.
        let _ = fs::remove_file(file("leases"));
        must(node, &["chmod", "+x", &file("sh")])?;
        let how: &[&str] = match version {
            IpVersion::V4 => &["-4"],
            IpVersion::V6 => &["-6"],
        };
        let own = [
            "dhclient",
            STAY,
            "-v",
            "-cf",
            "/dev/null",
            "-sf",
            &file("sh"),
            "-lf",
            &file("leases"),
            "-pf",
            &file("pid"),
        ];
        let line = [&own[..], how, &[interface]].concat();
        Ok(Client {
            process: node.spawn(&line)?,
            node: node.clone(),
            line: line.into_iter().map(str::to_owned).collect(),
        })
    }

    /// Releases the lease, and ends.
    ///
    /// # Errors
    /// [`cordon_lab::Error::Command`].
    pub fn release(self) -> Result<()> {
        let words = self.line.iter().map(String::as_str);
        let line: Vec<&str> = words
            .map(|word| if word == STAY { "-r" } else { word })
            .collect();
        must(&self.node, &line).map(drop)
    }

    /// Waits until it has an address.
    ///
    /// # Errors
    /// [`cordon_lab::Error::TimedOut`].
    pub fn bound(&mut self) -> Result<()> {
        let process = &mut self.process;
        wait_until("the DHCP client has an address", || {
            let log = process.stderr();
            assert!(process.is_running()?, "{log}");
            Ok(log.contains("bound to") || log.contains("Bound to"))
        })
    }

    /// Waits until it has sent `times` requests or got an offer. Returns whether it got an offer.
    ///
    /// # Errors
    /// If it does not run.
    pub fn is_offered_within(&mut self, times: usize) -> Result<bool> {
        let mut offered = false;
        let process = &mut self.process;
        wait_until("the DHCP client has sent its requests", || {
            let log = process.stderr();
            offered = log.contains("DHCPOFFER") || log.contains("RCV: Advertise");
            let requests =
                log.matches("DHCPDISCOVER on").count() + log.matches("XMT: Solicit").count();
            Ok(offered || requests >= times)
        })?;
        Ok(offered)
    }
}
