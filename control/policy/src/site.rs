//! `site.yaml`: ports, segments, zones, infrastructure.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::attachments::Attachments;
use crate::fields::{self, Fields};
use crate::model::{LinkControl, Mode, OuterTag, Port, Posture, Segment, Unknown, Zone};
use crate::numbers;
use crate::problem::{Code, Place, Problems};
use crate::yaml::Node;

/// Ports a gateway can have.
pub const PORTS: usize = 15;
/// Broadcast and multicast frames a second from a port, unless it says otherwise: more than a hospital's discovery
/// makes, and less than a loop does.
const STORM: u32 = 10_000;
/// Segments a gateway can have.
pub const SEGMENTS: usize = 4096;

/// What `site.yaml` says. Complete as far as it could be read, so that what refers to it can be checked even
/// if something in it is wrong.
#[derive(Debug, Default)]
pub(crate) struct Site {
    pub name: String,
    pub ports: Vec<Port>,
    pub segments: Vec<Segment>,
    pub zones: Vec<Zone>,
    pub infrastructure: Vec<Servers>,
    /// Indices of segments whose subnets could not all be read: what lies in them is not known.
    pub doubtful: Vec<usize>,
}

/// Servers that every segment needs.
#[derive(Debug)]
pub(crate) struct Servers {
    /// `dhcp`, `dns` or `ntp`.
    pub service: &'static str,
    pub servers: Vec<IpAddr>,
    pub survives: Option<Posture>,
    pub owner: Option<String>,
    pub reason: Option<String>,
    pub place: Place,
}

pub(crate) fn read(root: &Node, problems: &mut Problems) -> Site {
    let mut site = Site::default();
    let Some(mut fields) = Fields::of(root, "site.yaml", problems) else {
        return site;
    };
    if let Some(node) = fields.required("site", problems)
        && let Some(text) = fields::text(node, "`site`", problems)
        && let Some(name) = fields::name(text, node.place, "a site", problems)
    {
        site.name = name;
    }
    let node = fields.required("ports", problems);
    ports(node, &mut site, problems);
    let node = fields.required("segments", problems);
    segments(node, &mut site, problems);
    zones(fields.optional("zones"), &mut site, problems);
    infrastructure(fields.optional("infrastructure"), &mut site, problems);
    fields.finish(problems);
    site
}

fn ports(node: Option<&Node>, site: &mut Site, problems: &mut Problems) {
    let mut interfaces: HashMap<String, String> = HashMap::new();
    for (key, node) in fields::entries(node, "`ports`", problems) {
        let name = fields::name(&key.text, key.place, "a port", problems).unwrap_or_default();
        if name.contains('.') {
            problems
                .add(
                    key.place,
                    Code::BadValue,
                    format!("a port's name has no dot, and `{name}` has"),
                )
                .hint("`access0.210` means VLAN 210 at port access0");
        }
        let mut port = Port {
            name,
            device: String::new(),
            uplink: false,
            storm: STORM,
            pass: Vec::new(),
            outer_tag: OuterTag::Dot1ad,
        };
        if let Some(mut fields) = Fields::of(node, format!("port `{}`", port.name), problems) {
            if let Some(device) = fields.required("device", problems)
                && let Some(text) = fields::text(device, "`device`", problems)
            {
                // The kernel's rule for interface names: dev_valid_name() in net/core/dev.c.
                let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
                if text.is_empty()
                    || text.len() > 15
                    || text.contains(bad)
                    || text == "."
                    || text == ".."
                {
                    problems
                        .add(
                            device.place,
                            Code::BadValue,
                            format!("`{}` cannot be a network interface", text.escape_debug()),
                        )
                        .hint("`ip -brief link` lists what there is");
                } else if let Some(other) = interfaces.insert(text.to_owned(), port.name.clone()) {
                    problems.add(
                        device.place,
                        Code::Duplicate,
                        format!("`{text}` is port `{other}` already"),
                    );
                }
                port.device = text.to_owned();
            }
            if let Some(uplink) = fields.optional("uplink") {
                port.uplink = fields::boolean(uplink, "`uplink`", problems).unwrap_or(false);
            }
            if let Some(storm) = fields.optional("storm") {
                let hint = "frames a second, `storm: 5000`; 0 for any number";
                port.storm =
                    fields::parsed(storm, "number of frames", hint, problems).unwrap_or(STORM);
            }
            for node in fields
                .optional("pass")
                .map(fields::list)
                .unwrap_or_default()
            {
                let words = [
                    ("stp", LinkControl::Stp),
                    ("lacp", LinkControl::Lacp),
                    ("eapol", LinkControl::Eapol),
                    ("lldp", LinkControl::Lldp),
                    ("ptp", LinkControl::Ptp),
                ];
                port.pass.extend(fields::word(
                    node,
                    "link-control protocol",
                    &words,
                    problems,
                ));
            }
            if let Some(node) = fields.optional("outer-tag") {
                let words = [("802.1q", OuterTag::Dot1q), ("802.1ad", OuterTag::Dot1ad)];
                port.outer_tag = fields::word(node, "type of an outer tag", &words, problems)
                    .unwrap_or(OuterTag::Dot1ad);
            }
            fields.finish(problems);
        }
        if site.ports.len() == PORTS {
            problems.add(
                key.place,
                Code::Limit,
                format!("a gateway has at most {PORTS} ports"),
            );
            return;
        }
        site.ports.push(port);
    }
}

fn segments(node: Option<&Node>, site: &mut Site, problems: &mut Problems) {
    let mut attachments = Attachments::default();
    let mut subnets: Vec<(IpNet, usize)> = Vec::new();
    for (key, node) in fields::entries(node, "`segments`", problems) {
        if site.segments.len() == SEGMENTS {
            problems.add(
                key.place,
                Code::Limit,
                format!("a gateway has at most {SEGMENTS} segments"),
            );
            return;
        }
        let index = site.segments.len();
        let mut segment = Segment {
            name: fields::name(&key.text, key.place, "a segment", problems).unwrap_or_default(),
            attachments: Vec::new(),
            subnets: Vec::new(),
            isolate: false,
            unknown: Unknown::Drop,
            mode: Mode::Enforce,
            proxy: false,
            routers: Vec::new(),
            ether_types: Vec::new(),
            zone: usize::MAX,
            number: 0,
            place: key.place,
        };
        if let Some(mut fields) = Fields::of(node, format!("segment `{}`", segment.name), problems)
        {
            if let Some(node) = fields.optional("proxy") {
                segment.proxy = fields::boolean(node, "`proxy`", problems).unwrap_or(false);
            }
            if let Some(attach) = fields.required("attach", problems) {
                attachments.read(attach, &mut segment, &site.ports, problems);
            }
            for node in fields
                .optional("subnets")
                .map(fields::list)
                .unwrap_or_default()
            {
                let read = subnet(node, problems).filter(|subnet| {
                    let unicast = !subnet.addr().is_multicast();
                    if !unicast {
                        problems
                            .add(node.place, Code::BadValue, format!("{subnet} is for multicast"))
                            .hint("no host has an address of it: name it in a group, as a destination");
                    }
                    unicast
                });
                if read.is_none() {
                    site.doubtful.push(index);
                }
                if let Some(subnet) = read {
                    let clash = subnets.iter().find(|(other, _)| overlap(other, &subnet));
                    if let Some((other, whose)) = clash {
                        let whose = site
                            .segments
                            .get(*whose)
                            .map_or(&segment.name, |segment| &segment.name);
                        problems
                            .add(
                                node.place,
                                Code::Conflict,
                                format!("{subnet} overlaps {other} of segment `{whose}`"),
                            )
                            .hint("an address belongs to one segment");
                        site.doubtful.push(index);
                        continue;
                    }
                    subnets.push((subnet, index));
                    segment.subnets.push(subnet);
                }
            }
            let routers = fields.optional("routers").map(fields::list);
            for node in routers.unwrap_or_default() {
                segment.routers.extend(router(
                    node,
                    &segment,
                    !site.doubtful.contains(&index),
                    problems,
                ));
            }
            if let Some(node) = fields.optional("isolate") {
                segment.isolate = fields::boolean(node, "`isolate`", problems).unwrap_or(true);
            }
            if let Some(node) = fields.optional("unknown") {
                let words = [("drop", Unknown::Drop), ("admit", Unknown::Admit)];
                segment.unknown =
                    fields::word(node, "way to treat unknown devices", &words, problems)
                        .unwrap_or(Unknown::Drop);
            }
            if let Some(node) = fields.optional("mode") {
                let words = [("enforce", Mode::Enforce), ("observe", Mode::Observe)];
                segment.mode =
                    fields::word(node, "mode", &words, problems).unwrap_or(Mode::Enforce);
            }
            for node in fields
                .optional("ether-types")
                .map(fields::list)
                .unwrap_or_default()
            {
                segment.ether_types.extend(ether_type(node, problems));
            }
            fields.finish(problems);
        }
        site.segments.push(segment);
    }
    numbers::assign(&mut site.segments);
    if site.segments.is_empty()
        && node.is_some_and(
            |node| !matches!(node.value, crate::yaml::Value::Map(ref map) if !map.is_empty()),
        )
    {
        let place = node.map(|node| node.place);
        if let Some(place) = place {
            problems.add(place, Code::MissingField, "a site has at least one segment");
        }
    }
}

/// An address that a router has in a segment. Of one whose subnets are `known` in whole it has to be in one of these.
fn router(node: &Node, segment: &Segment, known: bool, problems: &mut Problems) -> Option<IpAddr> {
    let example = "the router's own addresses there: `routers: [10.21.0.1, \"fe80::1\"]`";
    let ip: IpAddr = fields::parsed(node, "address", example, problems)?;
    let link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let inside = segment.subnets.iter().any(|subnet| {
        let edge = match subnet {
            IpNet::V4(net) if net.prefix_len() <= 30 => {
                ip == net.network() || ip == net.broadcast()
            }
            _ => false,
        };
        subnet.contains(&ip) && !edge
    });
    if !(link_local || inside) && known {
        problems
            .add(
                node.place,
                Code::Conflict,
                format!("{ip} is no address of a host in segment `{}`", segment.name),
            )
            .hint(example);
        return None;
    }
    if segment.routers.contains(&ip) {
        problems
            .add(node.place, Code::Duplicate, format!("{ip} is there twice"))
            .hint("name each address once");
        return None;
    }
    Some(ip)
}

/// An EtherType that nothing else decides on (IEEE 802.3 §3.2.6: 0x0600 is the lowest).
fn ether_type(node: &Node, problems: &mut Problems) -> Option<u16> {
    let text = fields::text(node, "an EtherType", problems)?;
    let hex = text.strip_prefix("0x").filter(|digits| digits.len() == 4);
    let value = hex.and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let taken = [0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8, 0x88f7];
    match value {
        Some(value) if value >= 0x0600 && !taken.contains(&value) => Some(value),
        Some(value) if taken.contains(&value) => {
            problems
                .add(node.place, Code::Conflict, format!("EtherType `{text}` is not for a segment to let pass"))
                .hint("IP and ARP are judged by rules, VLAN tags by attachments, and PTP by `pass: [ptp]` at ports");
            None
        }
        _ => {
            problems
                .add(node.place, Code::BadValue, format!("`{text}` is no EtherType"))
                .hint("four hexadecimal digits, 0x0600 or above: `ether-types: [0x8892]` for PROFINET");
            None
        }
    }
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

/// A prefix without host bits.
pub(crate) fn subnet(node: &Node, problems: &mut Problems) -> Option<IpNet> {
    let net: IpNet = fields::parsed(
        node,
        "network",
        "a network is `10.21.0.0/24` or `2001:db8:21::/64`",
        problems,
    )?;
    if net.trunc() != net {
        problems
            .add(
                node.place,
                Code::BadValue,
                format!("`{net}` has bits set behind its prefix"),
            )
            .hint(format!("did you mean `{}`?", net.trunc()));
        return None;
    }
    Some(net)
}

fn zones(node: Option<&Node>, site: &mut Site, problems: &mut Problems) {
    let mut networks: HashMap<IpNet, String> = HashMap::new();
    for (key, node) in fields::entries(node, "`zones`", problems) {
        let index = site.zones.len();
        let mut zone = Zone {
            name: fields::name(&key.text, key.place, "a zone", problems).unwrap_or_default(),
            segments: Vec::new(),
            networks: Vec::new(),
            local: false,
        };
        if let Some(mut fields) = Fields::of(node, format!("zone `{}`", zone.name), problems) {
            for node in fields
                .optional("segments")
                .map(fields::list)
                .unwrap_or_default()
            {
                zone_segment(node, index, &mut zone, site, problems);
            }
            for node in fields
                .optional("networks")
                .map(fields::list)
                .unwrap_or_default()
            {
                let Some(net) = subnet(node, problems) else {
                    continue;
                };
                if let Some(other) = networks.insert(net, zone.name.clone()) {
                    problems.add(
                        node.place,
                        Code::Duplicate,
                        format!("{net} is in zone `{other}` already"),
                    );
                    continue;
                }
                zone.networks.push(net);
            }
            zone.local = !zone.segments.is_empty();
            if let Some(node) = fields.optional("local") {
                let local = fields::boolean(node, "`local`", problems).unwrap_or(zone.local);
                if !local && !zone.segments.is_empty() {
                    problems
                        .add(
                            node.place,
                            Code::Conflict,
                            format!(
                                "zone `{}` has segments of this site, so it is inside it",
                                zone.name
                            ),
                        )
                        .hint("put its networks into a zone of their own");
                }
                zone.local |= local;
            } else if zone.local && !zone.networks.is_empty() {
                problems
                    .add(key.place, Code::Conflict, format!("zone `{}` has segments and networks: are the networks inside the site?", zone.name))
                    .hint("write `local: true` if they are, or put them into a zone of their own");
            }
            fields.finish(problems);
        }
        site.zones.push(zone);
    }
    // A segment that no zone names is a zone of its own, under its name.
    for index in 0..site.segments.len() {
        if site.segments[index].zone != usize::MAX {
            continue;
        }
        let name = site.segments[index].name.clone();
        if !name.is_empty() && site.zones.iter().any(|zone| zone.name == name) {
            problems
                .add(
                    site.segments[index].place,
                    Code::Conflict,
                    format!(
                        "segment `{name}` is in no zone, and a zone `{name}` exists without it"
                    ),
                )
                .hint(format!(
                    "add it to a zone's `segments`, or rename the zone `{name}`"
                ));
        }
        site.segments[index].zone = site.zones.len();
        site.zones.push(Zone {
            name,
            segments: vec![index],
            networks: Vec::new(),
            local: true,
        });
    }
}

fn zone_segment(
    node: &Node,
    index: usize,
    zone: &mut Zone,
    site: &mut Site,
    problems: &mut Problems,
) {
    let Some(text) = fields::text(node, "a segment", problems) else {
        return;
    };
    let Some(found) = site
        .segments
        .iter()
        .position(|segment| segment.name == text)
    else {
        fields::unknown(
            problems,
            node.place,
            "segment",
            text,
            site.segments.iter().map(|segment| segment.name.as_str()),
        );
        return;
    };
    match site.segments[found].zone {
        usize::MAX => {
            site.segments[found].zone = index;
            zone.segments.push(found);
        }
        other if other == index => {
            problems.add(
                node.place,
                Code::Duplicate,
                format!("segment `{text}` is listed twice"),
            );
        }
        other => {
            let other = &site.zones[other].name;
            problems
                .add(
                    node.place,
                    Code::Conflict,
                    format!("segment `{text}` is in zone `{other}` already"),
                )
                .hint("a segment is in one zone");
        }
    }
}

fn infrastructure(node: Option<&Node>, site: &mut Site, problems: &mut Problems) {
    let Some(node) = node else { return };
    let Some(mut fields) = Fields::of(node, "`infrastructure`", problems) else {
        return;
    };
    for service in ["dhcp", "dns", "ntp"] {
        let Some(node) = fields.optional(service) else {
            continue;
        };
        let mut entry = Servers {
            service,
            servers: Vec::new(),
            survives: None,
            owner: None,
            reason: None,
            place: node.place,
        };
        let list = match node.value {
            crate::yaml::Value::Map(_) => {
                let Some(mut fields) = Fields::of(node, format!("`{service}`"), problems) else {
                    continue;
                };
                let list = fields
                    .required("servers", problems)
                    .map(fields::list)
                    .unwrap_or_default();
                let terms =
                    crate::rules::terms(&mut fields, &format!("`{service}`"), true, problems);
                (entry.survives, entry.owner, entry.reason) =
                    (terms.survives, terms.owner, terms.reason);
                fields.finish(problems);
                list
            }
            _ => fields::list(node),
        };
        for node in list {
            let hint = "infrastructure servers are named by address: `dns: [10.200.0.53]`";
            entry
                .servers
                .extend(fields::parsed::<IpAddr>(node, "IP address", hint, problems));
        }
        site.infrastructure.push(entry);
    }
    fields.finish(problems);
}
