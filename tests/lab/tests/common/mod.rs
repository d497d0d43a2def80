//! A small site for the tests of the lab itself.

use cordon_lab::{Device, Plan, Remote, Vlan};

/// Two VLANs with two hosts and one host, and one remote host.
pub fn small() -> Plan {
    let device = |name: &str, mac: &str, vlan, address: &str| Device {
        name: name.to_owned(),
        mac: mac.parse().expect("a MAC address"),
        vlan,
        addresses: vec![address.parse().expect("an address")],
    };
    let vlan = |id, router: &str| Vlan {
        access: id,
        core: id,
        routers: vec![router.parse().expect("an address")],
    };
    Plan {
        access_nic: "eth1".to_owned(),
        core_nic: "eth2".to_owned(),
        mtu: 1500,
        vlans: vec![vlan(210, "10.21.0.1/24"), vlan(220, "10.22.0.1/24")],
        devices: vec![
            device("ct-1", "02:00:5e:21:00:11", 210, "10.21.0.11/24"),
            device("ct-2", "02:00:5e:21:00:12", 210, "10.21.0.12/24"),
            device("monitor-1", "02:00:5e:22:00:11", 220, "10.22.0.11/24"),
        ],
        remotes: vec![Remote {
            name: "pacs".to_owned(),
            address: "10.200.4.10".parse().expect("an address"),
            default: true,
        }],
        policy: None,
    }
}
