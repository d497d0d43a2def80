//! `segments` of `site.yaml`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{MAX_SEGMENTS, Site, subnet};
use crate::attachments::Attachments;
use crate::fields::{self, Fields};
use crate::model::{Mode, Segment, Unknown};
use crate::numbers;
use crate::problem::{Code, Problems};
use crate::yaml::{Node, Value};

pub(super) fn segments(node: Option<&Node>, site: &mut Site, problems: &mut Problems) {
    let mut attachments = Attachments::default();
    let mut subnets: Vec<(IpNet, usize)> = Vec::new();
    for (key, node) in fields::entries(node, "`segments`", problems) {
        if site.segments.len() == MAX_SEGMENTS {
            problems.add(
                key.position,
                Code::Limit,
                format!("a gateway has at most {MAX_SEGMENTS} segments"),
            );
            return;
        }
        let index = site.segments.len();
        let mut segment = Segment {
            name: fields::name(&key.text, key.position, "a segment", problems).unwrap_or_default(),
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
            position: key.position,
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
                match segment_subnet(node, &segment, site, &subnets, problems) {
                    Some(subnet) => {
                        subnets.push((subnet, index));
                        segment.subnets.push(subnet);
                    }
                    None => site.incomplete.push(index),
                }
            }
            let routers = fields.optional("routers").map(fields::list);
            for node in routers.unwrap_or_default() {
                segment.routers.extend(router(
                    node,
                    &segment,
                    !site.incomplete.contains(&index),
                    problems,
                ));
            }
            if let Some(node) = fields.optional("isolate") {
                segment.isolate = fields::boolean(node, "`isolate`", problems).unwrap_or(true);
            }
            if let Some(node) = fields.optional("unknown") {
                let words = [("drop", Unknown::Drop), ("admit", Unknown::Admit)];
                segment.unknown = fields::word(node, "value of `unknown`", &words, problems)
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
        && node.is_some_and(|node| !matches!(node.value, Value::Map(ref map) if !map.is_empty()))
    {
        let position = node.map(|node| node.position);
        if let Some(position) = position {
            problems.add(
                position,
                Code::MissingField,
                "a site needs at least one segment",
            );
        }
    }
}

/// A subnet of a segment: unicast, and without overlap with `subnets`, those read before with the indices of their segments.
fn segment_subnet(
    node: &Node,
    segment: &Segment,
    site: &Site,
    subnets: &[(IpNet, usize)],
    problems: &mut Problems,
) -> Option<IpNet> {
    let subnet = subnet(node, problems)?;
    if subnet.addr().is_multicast() {
        problems
            .add(
                node.position,
                Code::BadValue,
                format!("{subnet} is a multicast network"),
            )
            .hint("a segment has unicast subnets: put multicast into a group, as a destination");
        return None;
    }
    if is_link_local(&subnet) {
        problems
            .add(
                node.position,
                Code::BadValue,
                format!("{subnet} is link-local"),
            )
            .hint("leave it out: link-local addresses belong to every segment, and hosts may use them without it");
        return None;
    }
    let clash = subnets.iter().find(|(other, _)| overlap(other, &subnet));
    if let Some((other, owner)) = clash {
        let owner = site.segments.get(*owner).unwrap_or(segment);
        problems
            .add(
                node.position,
                Code::Conflict,
                format!("{subnet} overlaps {other} of segment `{}`", owner.name),
            )
            .hint("an address belongs to one segment");
        return None;
    }
    Some(subnet)
}

/// Whether a network is inside fe80::/10 or 169.254.0.0/16.
fn is_link_local(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() >= 16 && network.addr().is_link_local(),
        IpNet::V6(network) => network.prefix_len() >= 10 && network.addr().is_unicast_link_local(),
    }
}

/// An address of a router. It has to be in a subnet of the segment, or link-local, unless the subnets are not all known.
fn router(node: &Node, segment: &Segment, known: bool, problems: &mut Problems) -> Option<IpAddr> {
    let example = "list the router's own addresses there: `routers: [10.21.0.1, \"fe80::1\"]`";
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
                node.position,
                Code::Conflict,
                format!("{ip} is not a host address of segment `{}`", segment.name),
            )
            .hint(example);
        return None;
    }
    if segment.routers.contains(&ip) {
        problems
            .add(
                node.position,
                Code::Duplicate,
                format!("{ip} is listed twice"),
            )
            .hint("list each address once");
        return None;
    }
    Some(ip)
}

/// An EtherType, 0x0600 or above (IEEE 802.3 §3.2.6), that no other part of the policy decides on.
fn ether_type(node: &Node, problems: &mut Problems) -> Option<u16> {
    let text = fields::text(node, "an EtherType", problems)?;
    let hex = text.strip_prefix("0x").filter(|digits| digits.len() == 4);
    let value = hex.and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let taken = [0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8, 0x88f7];
    match value {
        Some(value) if value >= 0x0600 && !taken.contains(&value) => Some(value),
        Some(value) if taken.contains(&value) => {
            problems
                .add(node.position, Code::Conflict, format!("`ether-types` cannot list `{text}`"))
                .hint("rules decide on IP and ARP, attachments on VLAN tags, and `pass: [ptp]` of ports on PTP");
            None
        }
        _ => {
            problems
                .add(node.position, Code::BadValue, format!("`{text}` is not an EtherType"))
                .hint("write four hexadecimal digits, 0x0600 or above: `ether-types: [0x8892]` for PROFINET");
            None
        }
    }
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}
