//! Implicit rules, which follow from `site.yaml`.

use ipnet::IpNet;

use crate::model::{Device, Group, Mode, Origin, Rule, Selector, Service};
use crate::problem::SourcePosition;
use crate::rules::Written;
use crate::site::Site;

/// Adds the implicit rules after the written ones: access of every segment to the infrastructure, traffic within segments
/// that are not isolated, and the flows of observed segments that enforcement would drop.
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
        // DHCP clients broadcast their first packets, and servers and relays may broadcast their answers (RFC 2131 §4.1).
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
                position: entry.position,
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
            ..segment_rule(format!("segment:{}", segment.name), segment.position)
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
                ..segment_rule(
                    format!("observe:{}{suffix}", segment.name),
                    segment.position,
                )
            });
        }
    }
}

/// The devices that have one of these addresses. The networks of a group do not match listed devices, so a server that is a
/// listed device has to be in the group as a device.
fn owners(devices: &[Device], servers: &[std::net::IpAddr]) -> Vec<usize> {
    let has = |device: &Device| device.ips.iter().any(|ip| servers.contains(ip));
    let indexed = devices.iter().enumerate();
    indexed
        .filter(|(_, device)| has(device))
        .map(|(index, _)| index)
        .collect()
}

/// A rule of a segment, with `from` and `to` left to the caller.
fn segment_rule(name: String, position: SourcePosition) -> Rule {
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
        position,
        origin: Origin::Segment,
    }
}
