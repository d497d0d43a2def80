//! Faults in the tables of a policy.

use std::collections::BTreeSet;

use cordon_tables::{Generation, Prefix};
use cordon_verdict::abi::{
    Admission, Device, Network, POSTURES, PortSetting, RULE_FIRST, Ruling, service_index,
};

use super::{Fault, in_tables};

/// Each changes the tables before they are installed.
pub(super) const FAULTS: [Fault; 37] = [
    in_tables("link control: no port passes any", |tables| {
        in_ports(tables, |port| port.link_control = 0);
    }),
    in_tables("link control: every port passes all", |tables| {
        in_ports(tables, |port| port.link_control = 0x1f);
    }),
    in_tables("admit: storm control is off", |tables| {
        in_ports(tables, |port| port.storm = 0);
    }),
    in_tables("admit: an attachment is missing", |tables| {
        tables.admissions.pop_first();
    }),
    in_tables("admit: attachments are in the next segment", |tables| {
        let segments: BTreeSet<u16> = tables.admissions.values().map(|one| one.segment).collect();
        let next = |segment| segments.range(segment + 1..).next().or(segments.first());
        for admission in tables.admissions.values_mut() {
            admission.segment = next(admission.segment).copied().unwrap_or(0);
        }
    }),
    in_tables("other: no EtherType is listed", |tables| {
        tables.ether_types.clear();
    }),
    in_tables("identify: no attachment is an uplink", |tables| {
        in_admissions(tables, |admission| admission.flags &= !Admission::UPLINK);
    }),
    in_tables("identify: unknown devices are admitted", |tables| {
        in_admissions(tables, |admission| {
            admission.flags |= Admission::ADMIT_UNKNOWN
        });
    }),
    in_tables("identify: a device is missing", |tables| {
        let first = tables.devices.keys().min().copied();
        first.and_then(|key| tables.devices.remove(&key));
    }),
    in_tables("identify: devices are bound to no port", |tables| {
        in_devices(tables, |device| {
            device.word &= !(Device::AT_PORT | Device::AT_ATTACHMENT);
        });
    }),
    in_tables("identify: devices are bound to no VLAN", |tables| {
        in_devices(tables, |device| {
            if device.is(Device::AT_ATTACHMENT) {
                device.word &= !Device::AT_ATTACHMENT;
            }
        });
    }),
    in_tables("identify: no device serves DHCP", |tables| {
        in_devices(tables, |device| device.word &= !Device::DHCP_SERVER);
    }),
    in_tables("identify: every device serves DHCP", |tables| {
        in_devices(tables, |device| device.word |= Device::DHCP_SERVER);
    }),
    in_tables("identify: an address is bound to no device", |tables| {
        let first = tables.addresses.keys().min().copied();
        first.and_then(|key| tables.addresses.remove(&key));
    }),
    in_tables(
        "identify: the classes of two devices are swapped",
        |tables| {
            let mut keys: Vec<u64> = tables.devices.keys().copied().collect();
            keys.sort_unstable();
            if let [first, .., last] = keys[..] {
                let classes = (tables.devices[&first].class, tables.devices[&last].class);
                for (key, class) in [(first, classes.1), (last, classes.0)] {
                    let mut one = tables.devices[&key];
                    one.class = class;
                    tables.devices.insert(key, one);
                }
            }
        },
    ),
    in_tables("identify: networks are in the next segment", |tables| {
        in_networks(tables, |network| {
            if network.segment != Network::NO_SEGMENT {
                network.segment += 1;
            }
        });
    }),
    in_tables("identify: remote networks have the local class", |tables| {
        in_networks(tables, |network| network.via_uplink = network.class);
    }),
    in_tables(
        "identify: directed broadcasts are taken for hosts",
        |tables| {
            in_networks(tables, |network| network.flags &= !Network::BROADCAST);
        },
    ),
    in_tables(
        "identify: link-local addresses are of no segment",
        |tables| {
            in_networks(tables, |network| network.flags &= !Network::LINK_LOCAL);
        },
    ),
    in_tables("forward: inside floods without a receiver pass", |tables| {
        in_admissions(tables, |admission| admission.flags &= !Admission::ALONE);
    }),
    in_tables("authorise: contain decides as normal", |tables| {
        for row in tables.policy.rows.values_mut() {
            row.rulings[2] = row.rulings[0];
        }
    }),
    in_tables("authorise: lockdown decides as sever", |tables| {
        for row in tables.policy.rows.values_mut() {
            row.rulings[4] = row.rulings[POSTURES - 1];
        }
    }),
    in_tables(
        "authorise: rules apply in the reverse direction",
        |tables| {
            let sets = std::mem::take(&mut tables.policy.sets);
            let turned = sets
                .into_iter()
                .map(|(pair, set)| (pair.rotate_left(16), set));
            tables.policy.sets = turned.collect();
        },
    ),
    in_tables("authorise: a service is unknown", |tables| {
        tables.services[service_index(6, 1) as usize] = 0;
    }),
    in_tables("authorise: deny and allow are swapped", |tables| {
        in_rulings(tables, |ruling| match ruling.rule() {
            0 => ruling,
            rule if ruling.allows() => Ruling::deny(rule),
            rule => Ruling::allow(rule),
        });
    }),
    in_tables("account: the next rule is reported", |tables| {
        in_rulings(tables, |ruling| match ruling.rule() {
            RULE_FIRST.. => Ruling(ruling.0 + 1),
            _ => ruling,
        });
    }),
    in_tables("forward: inside-only floods reach uplinks", |tables| {
        in_rulings(tables, |ruling| match ruling.is_inside() {
            true => Ruling::allow(ruling.rule()),
            false => ruling,
        });
    }),
    in_tables("forward: a flood misses a port", |tables| {
        tables.floods.pop_first();
    }),
    in_tables("forward: copies have the next VLAN's tag", |tables| {
        for vlan in tables.floods.values_mut() {
            *vlan += 1;
        }
    }),
    in_tables("admit: outer tags have the wrong type", |tables| {
        in_ports(tables, |port| port.link_control ^= PortSetting::OUTER_8021Q);
    }),
    in_tables("admit: no attachment has two tags", |tables| {
        tables.stacks.clear();
    }),
    in_tables("admit: attachments with two tags are mixed up", |tables| {
        let numbers: Vec<u16> = tables.stacks.values().rev().copied().collect();
        tables
            .stacks
            .values_mut()
            .zip(numbers)
            .for_each(|(one, number)| *one = number);
    }),
    in_tables("proxy: off in every segment", |tables| {
        in_admissions(tables, |admission| admission.flags &= !Admission::PROXY);
    }),
    in_tables("proxy: on in every segment", |tables| {
        in_admissions(tables, |admission| admission.flags |= Admission::PROXY);
    }),
    in_tables("proxy: an address is missing", |tables| {
        let first = tables.proxies.keys().min().copied();
        first.and_then(|key| tables.proxies.remove(&key));
    }),
    in_tables("proxy: two devices are swapped", |tables| {
        let mut keys: Vec<_> = tables.proxies.keys().copied().collect();
        keys.sort_unstable();
        if let [first, .., last] = keys[..] {
            let macs = (tables.proxies[&first], tables.proxies[&last]);
            tables.proxies.insert(first, macs.1);
            tables.proxies.insert(last, macs.0);
        }
    }),
    in_tables("forward: a stitched VLAN gets no copy", |tables| {
        for copies in tables.copies.values_mut() {
            copies.pop();
        }
    }),
];

fn in_admissions(tables: &mut Generation, change: impl Fn(&mut Admission)) {
    tables.admissions.values_mut().for_each(change);
}

fn in_ports(tables: &mut Generation, change: impl Fn(&mut PortSetting)) {
    tables.ports.values_mut().for_each(change);
}

fn in_devices(tables: &mut Generation, change: impl Fn(&mut Device)) {
    tables.devices.values_mut().for_each(change);
}

fn in_networks(tables: &mut Generation, change: impl Fn(&mut Network)) {
    let all: Vec<(Prefix, Network)> = tables.networks().map(|(key, one)| (*key, *one)).collect();
    for (prefix, mut network) in all {
        change(&mut network);
        tables.add_network(prefix, network);
    }
}

fn in_rulings(tables: &mut Generation, change: impl Fn(Ruling) -> Ruling) {
    for row in tables.policy.rows.values_mut() {
        row.rulings = row.rulings.map(&change);
    }
}
