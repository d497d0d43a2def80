//! Ways to be wrong, some for each stage: the comparison must find every one of them.

use std::collections::BTreeSet;

use cordon_portable::{Generation, Judged, Portable, Prefix};
use cordon_verdict::abi::{
    Admission, Control, Device, Flow, Network, POSTURES, PortSetting, RULE_FIRST, Ruling, Station,
    service_index,
};
use cordon_verdict::{Egress, Reason};

use crate::generate::GATEWAY;
use crate::generate::frame::VLAN_TAG;
use crate::generate::places::{network, tags};

/// Something that makes one side decide wrongly.
#[derive(Clone, Copy)]
pub struct Fault {
    /// The stage, and what is wrong with it.
    pub name: &'static str,
    /// Done to the tables of every policy.
    pub generation: fn(&mut Generation),
    /// How user space changes the posture.
    pub posture: fn(&mut Portable, u8),
    /// Done to user space before every frame.
    pub before: fn(&mut Portable),
    /// What user space judges instead of a frame.
    pub frame: fn(&[u8]) -> Vec<u8>,
    /// What becomes of what user space says of a frame that came in by a port.
    pub after: fn(u16, &[u8], &mut Judged),
}

const NONE: Fault = Fault {
    name: "nothing",
    generation: |_| {},
    posture: |portable, posture| portable.set_posture(posture),
    before: |_| {},
    frame: <[u8]>::to_vec,
    after: |_, _, _| {},
};

const fn in_tables(name: &'static str, generation: fn(&mut Generation)) -> Fault {
    Fault {
        name,
        generation,
        ..NONE
    }
}

const fn before_frames(name: &'static str, before: fn(&mut Portable)) -> Fault {
    Fault {
        name,
        before,
        ..NONE
    }
}

const fn in_frames(name: &'static str, frame: fn(&[u8]) -> Vec<u8>) -> Fault {
    Fault {
        name,
        frame,
        ..NONE
    }
}

const fn in_what_leaves(name: &'static str, after: fn(u16, &[u8], &mut Judged)) -> Fault {
    Fault {
        name,
        after,
        ..NONE
    }
}

const fn in_posture(name: &'static str, posture: fn(&mut Portable, u8)) -> Fault {
    Fault {
        name,
        posture,
        ..NONE
    }
}

/// All of them.
pub const FAULTS: &[Fault] = &[
    in_frames("parse: fragments are whole packets", |frame| {
        in_ipv4(frame, |packet| (packet[6], packet[7]) = (0x40, 0))
    }),
    in_frames("parse: options are not seen", |frame| {
        in_ipv4(frame, |packet| packet[0] = packet[0] & 0xf0 | 5)
    }),
    in_frames("parse: TCP is SCTP", |frame| {
        in_ipv4(frame, |packet| {
            if packet[9] == 6 {
                packet[9] = 132;
            }
        })
    }),
    in_frames("parse: extension headers are not seen", |frame| {
        in_ipv6(frame, |packet| {
            if [0, 44, 60].contains(&packet[6]) {
                packet[6] = 17;
            }
        })
    }),
    in_tables("link control: no port is set to let any pass", |tables| {
        in_ports(tables, |port| port.link_control = 0);
    }),
    in_tables("link control: every port lets all pass", |tables| {
        in_ports(tables, |port| port.link_control = 0x1f);
    }),
    in_tables("admit: storms are let be", |tables| {
        in_ports(tables, |port| port.storm = 0);
    }),
    in_tables("admit: an attachment is left out", |tables| {
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
    in_frames("membership: everybody is as near as that", |frame| {
        in_ipv4(frame, |packet| {
            if packet[9] == 2 {
                packet[8] = 1;
            }
        })
    }),
    before_frames("fragment: the first are forgotten", |portable| {
        portable.memory.fragments.clear();
    }),
    before_frames("fragment: they may overlap", |portable| {
        for fragments in portable.memory.fragments.values_mut() {
            fragments.next = 0;
        }
    }),
    before_frames("fragment: they follow under any epoch", |portable| {
        let memory = &mut portable.memory;
        let epoch = u64::from(memory.control.epoch);
        for fragments in memory.fragments.values_mut() {
            fragments.judged = epoch << 32 | fragments.judged & 0xffff_ffff;
        }
    }),
    in_frames("related: an error is about another flow", |frame| {
        in_ipv4(frame, |packet| {
            if packet.len() > 52 && packet[9] == 1 && [3, 11, 12].contains(&packet[20]) {
                packet[48] ^= 1;
            }
        })
    }),
    before_frames("related: errors are known by older flows", |portable| {
        let memory = &mut portable.memory;
        let epoch = memory.control.epoch;
        for flow in memory.half4.values_mut() {
            flow.judged = Flow::judged(epoch, flow.ruling());
        }
    }),
    in_tables("identify: uplinks are none", |tables| {
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
    in_tables("identify: an address is bound to nobody", |tables| {
        let first = tables.addresses.keys().min().copied();
        first.and_then(|key| tables.addresses.remove(&key));
    }),
    in_tables("identify: two devices have each other's class", |tables| {
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
    }),
    in_tables("identify: networks are in the next segment", |tables| {
        in_networks(tables, |network| {
            if network.segment != Network::NO_SEGMENT {
                network.segment += 1;
            }
        });
    }),
    in_tables("identify: what is behind an uplink is inside", |tables| {
        in_networks(tables, |network| network.via_uplink = network.class);
    }),
    in_tables("identify: directed broadcasts are hosts", |tables| {
        in_networks(tables, |network| network.flags &= !Network::BROADCAST);
    }),
    before_frames("track: flows are forgotten", |portable| {
        portable.memory.flows4.clear();
        portable.memory.flows6.clear();
    }),
    before_frames("track: half-open flows are forgotten", |portable| {
        portable.memory.half4.clear();
        portable.memory.half6.clear();
    }),
    before_frames("track: one end establishes a flow", |portable| {
        let memory = &mut portable.memory;
        memory.flows4.extend(memory.half4.drain());
        memory.flows6.extend(memory.half6.drain());
    }),
    before_frames("track: nobody has acknowledged anything", |portable| {
        in_flows(portable, |flow| flow.acknowledged = [0; 2]);
    }),
    before_frames("track: a new connection is always asked for", |portable| {
        in_flows(portable, |flow| flow.state |= Flow::REOPENED);
    }),
    before_frames("group: nobody has asked", |portable| {
        let asks = |ends: [u32; 2]| ends.contains(&0);
        portable.memory.half4.retain(|key, _| !asks(key.address));
    }),
    before_frames("time: it stands still", |portable| {
        portable.memory.now = 0;
    }),
    before_frames("track: what was judged is not judged again", |portable| {
        let epoch = portable.memory.control.epoch;
        in_flows(portable, |flow| {
            flow.judged = Flow::judged(epoch, flow.ruling());
        });
    }),
    before_frames("track: everybody has opened everything", |portable| {
        in_flows(portable, |flow| {
            flow.state |= Flow::OPENED | Flow::OPENED << 1;
        });
    }),
    in_posture(
        "track: a posture comes without an epoch",
        |portable, posture| {
            portable.memory.control.posture = posture;
        },
    ),
    in_posture("authorise: one posture too open", |portable, posture| {
        portable.set_posture(posture.saturating_sub(1));
    }),
    in_posture("authorise: the posture stays", |portable, _| {
        let Control { posture, .. } = portable.memory.control;
        portable.set_posture(posture);
    }),
    in_tables("authorise: contain is as normal", |tables| {
        for row in tables.policy.rows.values_mut() {
            row.rulings[2] = row.rulings[0];
        }
    }),
    in_tables("authorise: lockdown is as sever", |tables| {
        for row in tables.policy.rows.values_mut() {
            row.rulings[4] = row.rulings[POSTURES - 1];
        }
    }),
    in_tables("authorise: rules are read backwards", |tables| {
        let sets = std::mem::take(&mut tables.policy.sets);
        let turned = sets
            .into_iter()
            .map(|(pair, set)| (pair.rotate_left(16), set));
        tables.policy.sets = turned.collect();
    }),
    in_tables("authorise: a port is no rule's", |tables| {
        tables.services[service_index(6, 1) as usize] = 0;
    }),
    in_tables("authorise: what is denied is allowed", |tables| {
        in_rulings(tables, |ruling| match ruling.rule() {
            0 => ruling,
            rule if ruling.allows() => Ruling::deny(rule),
            rule => Ruling::allow(rule),
        });
    }),
    in_tables("account: the next rule is named", |tables| {
        in_rulings(tables, |ruling| match ruling.rule() {
            RULE_FIRST.. => Ruling(ruling.0 + 1),
            _ => ruling,
        });
    }),
    in_tables("forward: what stays inside leaves", |tables| {
        in_rulings(tables, |ruling| match ruling.is_inside() {
            true => Ruling::allow(ruling.rule()),
            false => ruling,
        });
    }),
    in_tables("forward: a port is left out of a flood", |tables| {
        tables.floods.pop_first();
    }),
    in_tables("forward: copies have the next VLAN's tag", |tables| {
        for vlan in tables.floods.values_mut() {
            *vlan += 1;
        }
    }),
    before_frames("forward: stations are forgotten", |portable| {
        portable.memory.stations.clear();
    }),
    before_frames("forward: stations are all at the first port", |portable| {
        for station in portable.memory.stations.values_mut() {
            station.location &= Station::UPLINK | 0x00ff_ffff;
        }
    }),
    in_frames("parse: an inner tag is not looked at", |frame| {
        match tags(frame)[..] {
            [_, _] => [&frame[..12], &[0x81, 0], &frame[14..16], &frame[20..]].concat(),
            _ => frame.to_vec(),
        }
    }),
    in_frames("parse: a service tag is as any tag", |frame| {
        let mut frame = frame.to_vec();
        if frame.get(12..14) == Some(&[0x88, 0xa8]) {
            (frame[12], frame[13]) = (0x81, 0x00);
        }
        frame
    }),
    in_tables("admit: outer tags have the other type", |tables| {
        in_ports(tables, |port| port.link_control ^= PortSetting::OUTER_8021Q);
    }),
    in_tables("admit: nothing has two tags", |tables| {
        tables.stacks.clear();
    }),
    in_tables("admit: inner tags are confused", |tables| {
        let numbers: Vec<u16> = tables.stacks.values().rev().copied().collect();
        tables
            .stacks
            .values_mut()
            .zip(numbers)
            .for_each(|(one, number)| *one = number);
    }),
    in_tables("proxy: no segment asks for it", |tables| {
        in_admissions(tables, |admission| admission.flags &= !Admission::PROXY);
    }),
    in_tables("proxy: every segment asks for it", |tables| {
        in_admissions(tables, |admission| admission.flags |= Admission::PROXY);
    }),
    in_tables("proxy: an address is nobody's", |tables| {
        let first = tables.proxies.keys().min().copied();
        first.and_then(|key| tables.proxies.remove(&key));
    }),
    in_tables("proxy: what is for one goes to another device", |tables| {
        let mut keys: Vec<_> = tables.proxies.keys().copied().collect();
        keys.sort_unstable();
        if let [first, .., last] = keys[..] {
            let macs = (tables.proxies[&first], tables.proxies[&last]);
            tables.proxies.insert(first, macs.1);
            tables.proxies.insert(last, macs.0);
        }
    }),
    in_what_leaves(
        "proxy: what goes on is not from the gateway",
        |_, frame, judged| {
            for (_, out) in from_gateway(judged) {
                if frame.starts_with(&GATEWAY) {
                    out[6..12].copy_from_slice(&frame[6..12]);
                }
            }
        },
    ),
    in_what_leaves("proxy: an ARP probe is answered", |port, frame, judged| {
        let probes = network(frame).filter(|at| {
            let arp = frame.get(at - 2..at + 28).unwrap_or_default();
            arp.starts_with(&[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]) && arp[16..20] == [0; 4]
        });
        let passed = matches!(judged.outcome.verdict, Ok(Egress::Flood { .. }));
        if let (Some(at), true) = (probes, passed) {
            let mut out = [&frame[6..12], &GATEWAY, &frame[12..]].concat();
            out[at + 7] = 2;
            judged.leaving = vec![(port, out)];
        }
    }),
    in_what_leaves(
        "proxy: an advertisement's checksum is wrong",
        |_, _, judged| {
            for (_, out) in from_gateway(judged) {
                if let Some(at) = network(out)
                    && out.get(at + 6) == Some(&58)
                    && out.get(at + 40) == Some(&136)
                {
                    out[at + 43] ^= 1;
                }
            }
        },
    ),
    in_what_leaves("proxy: an advertisement overrides", |_, _, judged| {
        for (_, out) in from_gateway(judged) {
            if let Some(at) = network(out)
                && out.get(at + 6) == Some(&58)
                && out.get(at + 40) == Some(&136)
            {
                out[at + 44] |= 0x20;
            }
        }
    }),
    in_what_leaves(
        "proxy: what nobody can have is let pass",
        |port, frame, judged| {
            if judged.outcome.verdict == Err(Reason::AddressBinding) && frame.starts_with(&GATEWAY)
            {
                judged.outcome.verdict = Ok(Egress::Attachment(port << 12));
                judged.leaving = vec![(port, frame.to_vec())];
            }
        },
    ),
    in_what_leaves("forward: priority is lost", |_, _, judged| {
        in_tags(judged, |at, tags| tags[at].1 &= 0x0fff);
    }),
    in_what_leaves(
        "forward: both tags have the outer's priority",
        |_, _, judged| {
            in_tags(judged, |at, tags| {
                tags[at].1 = tags[at].1 & 0x0fff | tags[0].1 & 0xf000;
            });
        },
    ),
    in_what_leaves("forward: the outer tag is as the inner", |_, _, judged| {
        in_tags(judged, |at, tags| tags[at].0 = VLAN_TAG);
    }),
    in_what_leaves(
        "forward: copies go back where they came from",
        |port, frame, judged| {
            if let Ok(Egress::Flood { copies, .. }) = judged.outcome.verdict
                && copies.are_per_attachment()
                && !judged
                    .leaving
                    .iter()
                    .any(|(to, out)| *to == port && out == frame)
            {
                judged.leaving.push((port, frame.to_vec()));
            }
        },
    ),
    in_what_leaves(
        "forward: no copy leaves by the ingress port",
        |port, _, judged| {
            if let Ok(Egress::Flood { .. }) = judged.outcome.verdict {
                judged.leaving.retain(|(to, _)| *to != port);
            }
        },
    ),
    in_tables("forward: a stitched VLAN is left out", |tables| {
        for copies in tables.copies.values_mut() {
            copies.pop();
        }
    }),
    before_frames(
        "forward: stations are in the first VLAN of a stack",
        |portable| {
            for station in portable.memory.stations.values_mut() {
                station.location &= 0xffff_f000;
            }
        },
    ),
];

/// What is not found by chance, for want of so many frames in one tick.
pub const COPIES_ARE_NOT_COUNTED: Fault =
    before_frames("forward: copies are not counted", |portable| {
        portable
            .memory
            .rates
            .values_mut()
            .for_each(|rate| rate.copies = 0);
    });

fn in_admissions(tables: &mut Generation, change: impl Fn(&mut Admission)) {
    tables.admissions.values_mut().for_each(change);
}

/// What leaves with the gateway's MAC address as its source.
fn from_gateway(judged: &mut Judged) -> impl Iterator<Item = &mut (u16, Vec<u8>)> {
    let leaving = judged.leaving.iter_mut();
    leaving.filter(|(_, out)| out[6..12] == GATEWAY)
}

/// Changes tags, one after the other, in all that leaves.
fn in_tags(judged: &mut Judged, change: impl Fn(usize, &mut [(u16, u16)])) {
    for (_, out) in &mut judged.leaving {
        let mut tags = tags(out);
        for at in 0..tags.len() {
            change(at, &mut tags);
            let (kind, control) = tags[at];
            let tag = [kind.to_be_bytes(), control.to_be_bytes()].concat();
            out[12 + 4 * at..16 + 4 * at].copy_from_slice(&tag);
        }
    }
}

fn in_ipv4(frame: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let at = network(&frame).unwrap_or(14);
    if frame.len() >= at + 20 && frame[at - 2..at] == [0x08, 0x00] {
        change(&mut frame[at..]);
    }
    frame
}

fn in_ipv6(frame: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let at = network(&frame).unwrap_or(14);
    if frame.len() >= at + 40 && frame[at - 2..at] == [0x86, 0xdd] {
        change(&mut frame[at..]);
    }
    frame
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

fn in_flows(portable: &mut Portable, change: impl Fn(&mut Flow)) {
    let memory = &mut portable.memory;
    memory.flows4.values_mut().for_each(&change);
    memory.flows6.values_mut().for_each(&change);
}

fn in_rulings(tables: &mut Generation, change: impl Fn(Ruling) -> Ruling) {
    for row in tables.policy.rows.values_mut() {
        row.rulings = row.rulings.map(&change);
    }
}
