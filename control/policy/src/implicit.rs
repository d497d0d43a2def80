//! The rules that nobody writes.

use ipnet::IpNet;

use crate::model::{Device, Group, Mode, Origin, Rule, Selector, Service};
use crate::problem::Place;
use crate::rules::Written;
use crate::site::Site;

/// The rules that follow from `site.yaml`, behind those that are written: what a segment needs of its
/// infrastructure, that a segment which is not isolated may talk within itself, and that an observed one is let be.
pub(crate) fn add(site: &Site, devices: &[Device], written: &mut Written) {
    let members: Vec<Selector> = (0..site.segments.len()).map(Selector::Segment).collect();
    for entry in &site.infrastructure {
        let group = Selector::Group(written.groups.len());
        written.groups.push(Group {
            name: format!("infrastructure:{}", entry.service),
            profiles: Vec::new(),
            devices: owners(devices, &entry.servers),
            networks: entry.servers.iter().map(|ip| IpNet::from(*ip)).collect(),
        });
        // A DHCP client's first packet goes to everybody, and the server's (or its relay's) answer may.
        let (port, to) = match entry.service {
            "dhcp" => (67, vec![group, Selector::Broadcast]),
            "dns" => (53, vec![group]),
            _ => (123, vec![group]),
        };
        let mut rules = vec![(
            String::new(),
            members.clone(),
            to,
            vec![Service::Udp(port, port)],
        )];
        match entry.service {
            "dns" => rules[0].3.push(Service::Tcp(53, 53)),
            "dhcp" => {
                let mut clients = members.clone();
                clients.push(Selector::Broadcast);
                rules.push((
                    "-answer".to_owned(),
                    vec![group],
                    clients,
                    vec![Service::Udp(68, 68)],
                ));
            }
            _ => {}
        }
        for (suffix, from, to, mut services) in rules {
            services.sort();
            written.rules.push(Rule {
                name: format!("infrastructure:{}{suffix}", entry.service),
                from,
                to,
                services,
                idle: Vec::new(),
                allow: true,
                survives: entry.survives,
                owner: entry.owner.clone(),
                reason: entry.reason.clone(),
                expires: None,
                place: entry.place,
                origin: Origin::Infrastructure,
            });
        }
    }
    for (index, segment) in site
        .segments
        .iter()
        .enumerate()
        .filter(|(_, segment)| !segment.isolate)
    {
        written.rules.push(Rule {
            from: vec![Selector::Segment(index)],
            to: vec![Selector::Segment(index), Selector::Flooded(index)],
            ..segment_rule(format!("segment:{}", segment.name), segment.place)
        });
    }
    let observed = site
        .segments
        .iter()
        .enumerate()
        .filter(|(_, segment)| segment.mode == Mode::Observe);
    for (index, segment) in observed {
        let own = Selector::Segment(index);
        for (from, to, suffix) in [(own, Selector::Any, ""), (Selector::Any, own, "-inbound")] {
            written.rules.push(Rule {
                from: vec![from],
                to: vec![to],
                origin: Origin::Observe,
                ..segment_rule(format!("observe:{}{suffix}", segment.name), segment.place)
            });
        }
    }
}

/// The devices that have one of these addresses: a network says nothing of them, and a server is often one.
fn owners(devices: &[Device], servers: &[std::net::IpAddr]) -> Vec<usize> {
    let has = |device: &Device| device.ips.iter().any(|ip| servers.contains(ip));
    let indexed = devices.iter().enumerate();
    indexed
        .filter(|(_, device)| has(device))
        .map(|(index, _)| index)
        .collect()
}

/// What the rules of segments have in common; from and to are the caller's.
fn segment_rule(name: String, place: Place) -> Rule {
    Rule {
        name,
        from: Vec::new(),
        to: Vec::new(),
        services: vec![Service::Any],
        idle: Vec::new(),
        allow: true,
        survives: None,
        owner: None,
        reason: None,
        expires: None,
        place,
        origin: Origin::Segment,
    }
}
