//! Links, addresses and kernel settings of the namespaces.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;

use cordon_policy::Mac;
use ipnet::IpNet;

use crate::error::{Error, Result};
use crate::node::{Host, Node};
use crate::plan::{Device, Remote, Vlan};
use crate::tools;

/// No address autoconfiguration, because it sends frames that no test asked for. Unprivileged ping sockets are allowed.
pub const HOST: &[(&str, &str)] = &[
    ("ipv6/conf/default/addr_gen_mode", "1"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv4/ping_group_range", "0 2147483647"),
];

/// Resolution of an absent neighbour fails before a ping times out, so the next ping tries again. A known neighbour
/// that is slow to answer on a busy machine gets more attempts.
const NEIGHBOURS: &[(&str, &str)] = &[
    ("retrans_time_ms", "100"),
    ("mcast_solicit", "5"),
    ("ucast_solicit", "30"),
];

/// The router forwards without reverse path filter: spoofed packets have to reach the gateway.
pub const FORWARD: &[(&str, &str)] = &[
    ("ipv4/ip_forward", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
];

/// The router's address on IPv6 links. Without a link-local address it would not resolve neighbours for other hosts.
const ROUTER: &str = "fe80::1/64";

/// The core VLANs, with the router's addresses in each.
pub fn cores(vlans: &[Vlan]) -> BTreeMap<u16, Vec<IpNet>> {
    let mut cores: BTreeMap<u16, Vec<IpNet>> = BTreeMap::new();
    for vlan in vlans {
        let routers = cores.entry(vlan.core).or_default();
        for router in &vlan.routers {
            if !routers.contains(router) {
                routers.push(*router);
            }
        }
    }
    cores
}

/// The `ip` command that links two namespaces by a veth pair.
pub fn link(one: &Node, interface: &str, other: &Node, peer: &str, mac: Option<Mac>) -> String {
    let address = mac.map_or(String::new(), |mac| format!("address {mac} "));
    format!(
        "link add name {interface} {address}netns {} type veth peer name {peer} netns {}",
        one.namespace(),
        other.namespace()
    )
}

/// Brings interfaces up with all offloads off, so that frames are on the link as they would be on a cable: unmerged,
/// with tag and checksum. Offloaded work would be lost at an XDP redirect or in a user-space switch.
pub fn bring_up(node: &Node, interfaces: &BTreeMap<u32, String>, mtu: u32) -> Result<()> {
    let wires = || interfaces.values().filter(|name| *name != "lo");
    node.run(|| {
        wires().try_for_each(|name| {
            let mut ethtool = Command::new("ethtool");
            ethtool.args(["-K", name]);
            for feature in ["tx", "tso", "gso", "gro", "txvlan", "rxvlan"] {
                ethtool.args([feature, "off"]);
            }
            tools::run(&mut ethtool).map(drop)
        })
    })??;
    // These settings have no default per namespace.
    let mut settings = Vec::new();
    for family in ["ipv4", "ipv6"] {
        for interface in wires() {
            let named = |(name, value): &(&str, &'static str)| {
                (format!("{family}/neigh/{interface}/{name}"), *value)
            };
            settings.extend(NEIGHBOURS.iter().map(named));
        }
    }
    node.set(&settings)?;
    let size = wires().map(|name| format!("link set {name} mtu {mtu}"));
    let up = interfaces
        .values()
        .map(|name| format!("link set {name} up"));
    let up: Vec<String> = size.chain(up).collect();
    tools::ip_batch(Some(node.namespace()), &up)
}

/// Lets veth interfaces receive redirected frames: that needs GRO (or an XDP program). Merging is off, because merged
/// packets would be too large for the switch.
pub fn receive_redirected(interfaces: &[&str]) -> Result<()> {
    for interface in interfaces {
        tools::run(Command::new("ethtool").args(["-K", interface, "gro", "on"]))?;
        let never = ["link", "set", interface, "gro_max_size", "1"];
        tools::run(Command::new("ip").args(never))?;
    }
    Ok(())
}

pub fn configure_router(
    router: &Node,
    cores: &BTreeMap<u16, Vec<IpNet>>,
    remotes: &[Remote],
) -> Result<()> {
    let mut commands = Vec::new();
    for (vlan, addresses) in cores {
        for address in addresses {
            commands.push(format!("addr add {address} dev vlan-{vlan}"));
        }
        if addresses.iter().any(|address| address.addr().is_ipv6()) {
            commands.push(format!("addr add {ROUTER} dev vlan-{vlan}"));
        }
    }
    for remote in remotes {
        let Remote { name, address, .. } = remote;
        commands.push(format!("addr add {} dev {name}", router_for(*address)));
        if address.is_ipv6() {
            commands.push(format!("addr add {ROUTER} dev {name}"));
        }
        commands.push(format!("route add {address} dev {name}"));
        if remote.default {
            commands.push(format!("route add default via {address} dev {name}"));
        }
    }
    tools::ip_batch(Some(router.namespace()), &commands)
}

/// The router's address on the link to a remote host: the first of the host's network, or the second if the host has
/// the first.
fn router_for(remote: IpAddr) -> IpAddr {
    let nth = |number: u8| match remote {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            IpAddr::from([a, b, c, number])
        }
        IpAddr::V6(ip) => {
            let prefix = u128::from(ip) >> 64 << 64;
            IpAddr::from((prefix | u128::from(number)).to_be_bytes())
        }
    };
    if nth(1) == remote { nth(2) } else { nth(1) }
}

pub fn device_host(node: Node, device: &Device, vlans: &[Vlan]) -> Result<Host> {
    let interface = Host::INTERFACE;
    let mut commands = Vec::new();
    for address in &device.addresses {
        commands.push(format!("addr add {address} dev {interface}"));
    }
    let routers = vlans
        .iter()
        .filter(|vlan| vlan.access == device.vlan)
        .flat_map(|vlan| &vlan.routers);
    for router in routers {
        let reaches = |address: &&IpNet| address.contains(&router.addr());
        if device.addresses.iter().find(reaches).is_some() {
            commands.push(format!(
                "route add default via {} dev {interface}",
                router.addr()
            ));
        }
    }
    tools::ip_batch(Some(node.namespace()), &commands)?;
    let addresses = device.addresses.iter().map(|net| net.addr()).collect();
    Ok(Host::new(node, device.mac, addresses, Some(device.vlan)))
}

pub fn remote_host(node: Node, remote: &Remote) -> Result<Host> {
    let interface = Host::INTERFACE;
    let router = router_for(remote.address);
    let commands = [
        format!("addr add {} dev {interface}", remote.address),
        format!("route add {router} dev {interface}"),
        format!("route add default via {router} dev {interface}"),
    ];
    tools::ip_batch(Some(node.namespace()), &commands)?;
    let path = format!("/sys/class/net/{interface}/address");
    let output = tools::run(node.command("cat").arg(&path))?;
    let mac = output
        .trim()
        .parse()
        .map_err(|()| Error::Plan(format!("{} has no MAC address: {output:?}", remote.name)))?;
    Ok(Host::new(node, mac, vec![remote.address], None))
}
