//! The plan of a lab: its topology and addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use cordon_policy::{Attachment, Mac, Policy};
use ipnet::IpNet;

use crate::error::{Error, Result};

/// A site: devices at an access switch, the gateway, and hosts on the far side of the core router.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The gateway's NIC towards the access switch.
    pub access_nic: String,
    /// The gateway's NIC towards the core.
    pub core_nic: String,
    /// MTU of every interface, in bytes.
    pub mtu: u32,
    /// The VLANs.
    pub vlans: Vec<Vlan>,
    /// Hosts at the access switch.
    pub devices: Vec<Device>,
    /// Hosts on the router's side.
    pub remotes: Vec<Remote>,
    /// The policy directory that [`crate::Gateway::apply`] applies.
    pub policy: Option<PathBuf>,
}

/// A VLAN of the access switch, and the VLAN of the core that it belongs to.
#[derive(Clone, Debug)]
pub struct Vlan {
    /// VLAN ID at the access switch.
    pub access: u16,
    /// VLAN ID at the core switch.
    pub core: u16,
    /// The router's addresses in it.
    pub routers: Vec<IpNet>,
}

/// A host at the access switch.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name, at most 15 letters, digits and dashes.
    pub name: String,
    /// Its MAC address.
    pub mac: Mac,
    /// The VLAN of its switch port.
    pub vlan: u16,
    /// Its addresses, with the length of their subnet; at least one.
    pub addresses: Vec<IpNet>,
}

/// A host on the router's side, with a link of its own to the router.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its name, at most 15 letters, digits and dashes.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Whether the router's default route leads to it.
    pub default: bool,
}

/// The standard MTU of Ethernet.
const MTU: u32 = 1500;

/// The example policies.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../control/policy/examples");

impl Plan {
    /// Manchester Memorial as in `control/policy/examples/manchester-memorial`, with an unlisted laptop in the guest
    /// VLAN, the data centre, Rockville General and the internet.
    ///
    /// # Errors
    /// [`Error::Policy`] if the example is not valid.
    pub fn manchester() -> Result<Plan> {
        let mut plan = Plan::from_policy(&Path::new(EXAMPLES).join("manchester-memorial"))?;
        plan.devices.push(Device {
            name: "guest".to_owned(),
            mac: Mac([0x02, 0x00, 0x5e, 0x29, 0x00, 0x66]),
            vlan: 299,
            addresses: vec![net(Ipv4Addr::new(10, 29, 0, 66).into(), 24)],
        });
        for (name, address) in [
            ("pacs", Ipv4Addr::new(10, 200, 4, 10)),
            ("records", Ipv4Addr::new(10, 200, 6, 10)),
            ("interfaces", Ipv4Addr::new(10, 200, 7, 10)),
            ("dns", Ipv4Addr::new(10, 200, 0, 53)),
            ("ntp", Ipv4Addr::new(10, 200, 0, 123)),
            ("rockville", Ipv4Addr::new(10, 31, 0, 10)),
            ("internet", Ipv4Addr::new(203, 0, 113, 10)),
        ] {
            plan.remotes.push(Remote {
                name: name.to_owned(),
                address: address.into(),
                default: name == "internet",
            });
        }
        Ok(plan)
    }

    /// The VLANs and the devices of a policy directory, without remote hosts. The router has the first address of every
    /// subnet, except in segments that have two tags at the core. A device is in the access VLAN that it is bound to,
    /// or else in the first of its segment. Devices without an address are left out.
    ///
    /// # Errors
    /// [`Error::Policy`]; [`Error::Plan`] unless the gateway has one device-facing port and one uplink.
    pub fn from_policy(directory: &Path) -> Result<Plan> {
        let policy = cordon_policy::load(directory)?.policy;
        let (access, access_nic) = only_port(&policy, false)?;
        let (core, core_nic) = only_port(&policy, true)?;
        let at = |segment: usize, port: usize| {
            let attachments = policy.segments[segment].attachments.iter();
            attachments.filter(move |attachment| attachment.port == port)
        };
        let mut vlans = Vec::new();
        for (number, segment) in policy.segments.iter().enumerate() {
            let Some(core) = at(number, core).next() else {
                continue;
            };
            // The router has no interface with two tags.
            let subnets = segment.subnets.iter().filter(|_| core.inner == 0);
            let routers: Vec<IpNet> = subnets.filter_map(first_host).collect();
            vlans.extend(at(number, access).map(|access| Vlan {
                access: access.vlan,
                core: core.vlan,
                routers: routers.clone(),
            }));
        }
        let mut devices = Vec::new();
        for device in &policy.devices {
            let is_allowed = |at: &&Attachment| device.binding.is_none_or(|own| own.allows(**at));
            let Some(vlan) = at(device.segment, access)
                .find(is_allowed)
                .map(|at| at.vlan)
            else {
                continue;
            };
            let subnets = &policy.segments[device.segment].subnets;
            let addresses: Vec<IpNet> = device
                .ips
                .iter()
                .map(|ip| {
                    let subnet = subnets.iter().find(|subnet| subnet.contains(ip));
                    let alone = if ip.is_ipv4() { 32 } else { 128 };
                    net(*ip, subnet.map_or(alone, IpNet::prefix_len))
                })
                .collect();
            if !addresses.is_empty() {
                devices.push(Device {
                    name: device.name.clone(),
                    mac: device.mac,
                    vlan,
                    addresses,
                });
            }
        }
        Ok(Plan {
            access_nic,
            core_nic,
            mtu: MTU,
            vlans,
            devices,
            remotes: Vec::new(),
            policy: Some(directory.to_owned()),
        })
    }

    /// Checks names, VLANs and addresses.
    pub(crate) fn check(&self) -> Result<()> {
        let mut names: Vec<&str> = RESERVED.to_vec();
        let devices = self.devices.iter().map(|device| device.name.as_str());
        let remotes = self.remotes.iter().map(|remote| remote.name.as_str());
        for name in devices.chain(remotes) {
            check_name(name)?;
            if names.contains(&name) {
                return Err(Error::Name {
                    name: name.to_owned(),
                    why: "another host has this name",
                });
            }
            names.push(name);
        }
        self.devices.iter().try_for_each(|device| self.fits(device))
    }

    /// Checks that the plan has the device's VLAN, and that the device has an address.
    pub(crate) fn fits(&self, device: &Device) -> Result<()> {
        let name = &device.name;
        if !self.vlans.iter().any(|vlan| vlan.access == device.vlan) {
            let vlan = device.vlan;
            return Err(Error::Plan(format!(
                "{name} is in VLAN {vlan}, which the plan does not have"
            )));
        }
        if device.addresses.is_empty() {
            return Err(Error::Plan(format!("{name} has no address")));
        }
        Ok(())
    }
}

/// Names of the nodes that every lab has, and of the switch's own ports.
const RESERVED: [&str; 7] = [
    "switch",
    "gateway",
    "router",
    "gw-access",
    "gw-core",
    "br-access",
    "br-core",
];

/// Checks the name of a host. It is also the name of an interface, so Linux limits its length.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let bad = |why| {
        Err(Error::Name {
            name: name.to_owned(),
            why,
        })
    };
    if name.is_empty() || name.len() > 15 {
        return bad("it is empty or has more than 15 characters");
    }
    if !name
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
    {
        return bad("only letters, digits and dashes are allowed");
    }
    if RESERVED.contains(&name)
        || name.starts_with("core-")
        || name.starts_with("vlan-")
        || name == "lo"
    {
        return bad("the lab uses this name itself");
    }
    Ok(())
}

fn only_port(policy: &Policy, uplink: bool) -> Result<(usize, String)> {
    let mut ports = policy
        .ports
        .iter()
        .enumerate()
        .filter(|(_, port)| port.uplink == uplink);
    match (ports.next(), ports.next()) {
        (Some((number, port)), None) => Ok((number, port.device.clone())),
        _ => Err(Error::Plan(format!(
            "the lab needs one device-facing port and one uplink; {} has {} ports",
            policy.site,
            policy.ports.len()
        ))),
    }
}

/// The first address of a subnet, which is its router's.
fn first_host(subnet: &IpNet) -> Option<IpNet> {
    let first = match subnet.network() {
        IpAddr::V4(network) => Ipv4Addr::from(u32::from(network) + 1).into(),
        IpAddr::V6(network) => Ipv6Addr::from(u128::from(network) + 1).into(),
    };
    (subnet.prefix_len() < subnet.max_prefix_len()).then(|| net(first, subnet.prefix_len()))
}

fn net(ip: IpAddr, length: u8) -> IpNet {
    // The callers take the length from a network of the same family.
    IpNet::new(ip, length).unwrap_or_else(|_| ip.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_of_manchester_follows_its_policy() {
        let plan = Plan::manchester().expect("is in order");
        plan.check().expect("makes a lab");
        assert_eq!(
            (plan.access_nic.as_str(), plan.core_nic.as_str()),
            ("eth1", "eth2")
        );
        let imaging = plan.vlans.iter().find(|vlan| vlan.access == 210);
        let routers = imaging.map(|vlan| vlan.routers.iter().map(IpNet::to_string).collect());
        assert_eq!(routers, Some(vec!["10.21.0.1/24".to_owned()]));
        let pump = plan.devices.iter().find(|device| device.name == "pump-1");
        let pump = pump.expect("is listed");
        assert_eq!(pump.vlan, 225);
        assert_eq!(pump.mac.to_string(), "02:00:5e:25:00:11");
        assert_eq!(pump.addresses[0].to_string(), "10.25.0.11/24");
    }

    #[test]
    fn a_bound_device_is_in_its_own_vlan() {
        let plan =
            Plan::from_policy(&Path::new(EXAMPLES).join("crozer-outpatient")).expect("is in order");
        let routers = |plan: &Plan, vlan: u16| {
            let found = plan.vlans.iter().find(|known| known.access == vlan);
            found.map(|found| (found.core, found.routers.len()))
        };
        // Three VLANs share one subnet and its router. There is no router where the core has two tags.
        for vlan in [301, 302, 303] {
            assert_eq!(routers(&plan, vlan), Some((210, 2)));
        }
        assert_eq!(routers(&plan, 230), Some((100, 0)));
        let us = plan.devices.iter().find(|one| one.name == "us-1");
        assert_eq!(us.map(|one| one.vlan), Some(302));
        plan.check().expect("makes a lab");
    }

    #[test]
    fn invalid_names_are_refused() {
        for name in [
            "",
            "sixteen-letters-",
            "a b",
            "switch",
            "core-210",
            "lo",
            "a/b",
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("pump-server-1").is_ok());
    }
}
