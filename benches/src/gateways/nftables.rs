//! nftables with an expert's configuration.
//!
//! One hash look-up for established flows first; concatenated sets instead of a list of rules for the rest, so that
//! the cost does not grow with the number of devices; no counter on the fast path. A flow table would be faster still,
//! if the kernel has one.

use std::fmt::Write as _;
use std::fs;
use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use super::gateway::{Gateway, GatewayCounters};
use crate::namespace::{get, ip, nft, set, transmitted};
use crate::traffic::{Device, FLOWS, Kind, ROUTER_MAC, SERVER_MAC, Site};

/// Longer than the benchmark, so that no flow has to be established again.
const TIMEOUT: &str = "1800";

/// nftables in one namespace.
pub struct Nftables;

impl Nftables {
    /// Sets up nftables in the calling thread's namespace.
    ///
    /// # Errors
    /// If a setting or the rules are refused.
    pub fn new(site: Site) -> Result<Nftables> {
        for (port, address) in [("eth1", "10.254.1.1/30"), ("eth2", "10.254.2.1/30")] {
            ip(&format!("link set {port} address {ROUTER_MAC}"))?;
            ip(&format!("address add {address} dev {port}"))?;
            // Without GRO a veth does not receive frames that XDP redirects to it. Real NICs have it on as well.
            crate::namespace::tool("ethtool", &["-K", port, "gro", "on"])?;
            set(&format!("net/ipv4/conf/{port}/rp_filter"), "0")?;
        }
        for (network, port, hop) in [
            ("10.64.0.0/14", "eth1", "10.254.1.2"),
            ("10.200.0.0/16", "eth2", "10.254.2.2"),
        ] {
            ip(&format!(
                "neighbour replace {hop} lladdr {SERVER_MAC} nud permanent dev {port}"
            ))?;
            ip(&format!("route add {network} via {hop} dev {port}"))?;
        }
        for (setting, value) in [
            ("net/ipv4/ip_forward", "1"),
            ("net/ipv4/conf/all/rp_filter", "0"),
            // Looks for a local socket, which a router does not have.
            ("net/ipv4/ip_early_demux", "0"),
        ] {
            set(setting, value)?;
        }
        if site == Site::Hosts {
            // Real hosts, each with its own MAC address.
            for device in Device::all(site.devices()) {
                let (address, mac) = (device.ip(), device.mac());
                ip(&format!("route add {address} dev eth1"))?;
                ip(&format!(
                    "neighbour replace {address} lladdr {mac} nud permanent dev eth1"
                ))?;
            }
        }
        nft(&rules(site))?;
        for (setting, value) in [
            ("net/netfilter/nf_conntrack_udp_timeout", TIMEOUT),
            ("net/netfilter/nf_conntrack_udp_timeout_stream", TIMEOUT),
            ("net/netfilter/nf_conntrack_acct", "0"),
        ] {
            set(setting, value)?;
        }
        // Both are global to the machine, so they are checked and not changed.
        let flows = u64::from(FLOWS[1]);
        for (setting, least) in [
            ("nf_conntrack_max", flows),
            ("nf_conntrack_buckets", 2 * flows),
        ] {
            let value = get(&format!("net/netfilter/{setting}"))?;
            ensure!(
                value >= least,
                "{setting} is {value}, which would be unfair to nftables: sysctl -w net.netfilter.{setting}=262144"
            );
        }
        Ok(Nftables)
    }
}

impl Gateway for Nftables {
    /// Does not use the counters of the rules: to read one, nft reads all sets, which takes ten seconds.
    fn counters(&mut self) -> Result<GatewayCounters> {
        Ok(GatewayCounters {
            passed: Some(transmitted("eth2")?),
            opened: Some(get("net/netfilter/nf_conntrack_count")?),
            dropped: Vec::new(),
        })
    }

    fn established(&mut self) -> Result<u64> {
        let text = fs::read_to_string("/proc/thread-self/net/nf_conntrack")
            .context("the kernel does not list connections (CONFIG_NF_CONNTRACK_PROCFS)")?;
        let answered = text.lines().filter(|line| !line.contains("[UNREPLIED]"));
        Ok(answered.count() as u64)
    }

    fn flush_flows(&mut self) -> Result<()> {
        flush().context("cannot flush the connection table")
    }

    fn memory(&self) -> Result<u64> {
        let text = fs::read_to_string("/proc/slabinfo").context("cannot read slabinfo")?;
        let line = text
            .lines()
            .find(|line| line.starts_with("nf_conntrack "))
            .context("slabinfo has no size of a connection")?;
        // Name, active objects, objects, size of an object.
        let size: u64 = line.split_whitespace().nth(3).unwrap_or("").parse()?;
        Ok(get("net/netfilter/nf_conntrack_count")? * size)
    }

    fn description(&self) -> String {
        "routed; established accepted first, then concatenated sets; no flow table".to_owned()
    }
}

/// The rules, for `nft -f`.
fn rules(site: Site) -> String {
    let devices = site.devices();
    let mut text = String::from(
        "table inet gateway {\n\
         set bindings {\n typeof iifname . ether saddr . ip saddr\n elements = {\n",
    );
    for device in Device::all(devices) {
        let _ = writeln!(text, "\"eth1\" . {} . {},", device.mac(), device.ip());
    }
    text.push_str(" }\n}\nmap allowed {\n typeof ip saddr . ip daddr . meta l4proto . th dport : verdict\n elements = {\n");
    for device in Device::all(devices) {
        let kind = site.kind(device);
        let (ip, server, port) = (device.ip(), Kind::server(kind), Kind::port(kind));
        let _ = writeln!(text, "{ip} . {server} . udp . {port} : accept,");
        let _ = writeln!(text, "{ip} . {server} . tcp . 443 : accept,");
    }
    text.push_str(
        " }\n}\nchain forward {\n type filter hook forward priority filter; policy drop;\n\
         ct state established,related accept\n\
         ct state invalid counter drop\n\
         iifname . ether saddr . ip saddr != @bindings counter drop\n\
         ip saddr . ip daddr . meta l4proto . th dport vmap @allowed\n\
         counter drop\n }\n}\n",
    );
    text
}

/// Empties the connection table of the calling thread's namespace, as `conntrack -F` does.
fn flush() -> Result<()> {
    const DELETE: u16 = 1 << 8 | 2; // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
    const REQUEST_ACK: u16 = 1 | 4; // NLM_F_REQUEST, NLM_F_ACK
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    // `struct nlmsghdr`, then `struct nfgenmsg` of family AF_INET.
    let mut message = Vec::new();
    message.extend(20u32.to_ne_bytes());
    message.extend(DELETE.to_ne_bytes());
    message.extend(REQUEST_ACK.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([2, 0, 0, 0]);
    send(netlink.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut answer = [0; 64];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    // `struct nlmsghdr`, then the error, 0 for none.
    let error = answer[..length]
        .get(16..20)
        .context("netlink does not answer")?;
    let error = i32::from_ne_bytes(error.try_into()?);
    match error {
        0 => Ok(()),
        error => Err(Errno::from_raw(-error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_has_a_binding_and_a_rule_to_its_server() {
        let text = rules(Site::Devices(10));
        assert_eq!(text.matches("\"eth1\" . ").count(), 10);
        assert!(text.contains("10.64.0.18 . 10.200.2.10 . udp . 24102 : accept"));
    }
}
