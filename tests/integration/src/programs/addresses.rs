//! Programs that give addresses and names, and that ask for them.

use std::fs;
use std::path::Path;

use cordon_lab::{Host, Node, Process, Result};

use super::must;
use crate::steps::wait_until;

/// What a client does with what it is given; `dhclient`'s own would change this machine's `/etc/resolv.conf`.
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
/// Has `dhclient` stay where it can be watched.
const STAY: &str = "-d";
/// A client that only wants to know whether it would be given something.
const CURIOUS: &str = "#!/bin/sh\n";

/// Starts `dnsmasq`, which takes nothing from this machine's configuration.
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

/// Starts `radvd`: a router that advertises itself at an interface, in its words.
///
/// # Errors
/// If it does not run.
pub fn radvd(node: &Node, scratch: &Path, interfaces: &[(&str, &str)]) -> Result<Process> {
    let config: String = interfaces
        .iter()
        .map(|(interface, says)| {
            format!("interface {interface} {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; {says} }};\n")
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

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Asks {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Client {
    /// Starts `dhclient` on a host, which takes what it is given.
    ///
    /// # Errors
    /// If it does not run.
    pub fn start(host: &Host, scratch: &Path, asks: Asks) -> Result<Client> {
        Client::at(host, Host::INTERFACE, scratch, asks, SCRIPT)
    }

    /// Starts it at an interface, only to hear what it would be given.
    ///
    /// # Errors
    /// If it does not run.
    pub fn curious(node: &Node, interface: &str, scratch: &Path, asks: Asks) -> Result<Client> {
        Client::at(node, interface, scratch, asks, CURIOUS)
    }

    fn at(
        node: &Node,
        interface: &str,
        scratch: &Path,
        asks: Asks,
        script: &'static str,
    ) -> Result<Client> {
        let file = |what: &str| {
            let name = format!("{}-{interface}-{asks:?}.{what}", node.name());
            scratch.join(name).display().to_string()
        };
        fs::write(file("sh"), script).expect("writes");
        // What it was given before is not asked for again.
        let _ = fs::remove_file(file("leases"));
        must(node, &["chmod", "+x", &file("sh")])?;
        let how: &[&str] = match asks {
            Asks::V4 => &["-4"],
            Asks::V6 => &["-6"],
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

    /// Gives back what it was given, and ends.
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

    /// Waits until it has been given an address.
    ///
    /// # Errors
    /// [`cordon_lab::Error::TimedOut`].
    pub fn bound(&mut self) -> Result<()> {
        let process = &mut self.process;
        wait_until("a client is given an address", || {
            let said = process.stderr();
            assert!(process.is_running()?, "{said}");
            Ok(said.contains("bound to") || said.contains("Bound to"))
        })
    }

    /// Waits until it has asked so often, and says whether it has been given anything.
    ///
    /// # Errors
    /// If it does not run.
    pub fn asked(&mut self, times: usize) -> Result<bool> {
        let mut given = false;
        let process = &mut self.process;
        wait_until("a client has asked", || {
            let said = process.stderr();
            given = said.contains("DHCPOFFER") || said.contains("RCV: Advertise");
            let asked =
                said.matches("DHCPDISCOVER on").count() + said.matches("XMT: Solicit").count();
            Ok(given || asked >= times)
        })?;
        Ok(given)
    }
}
