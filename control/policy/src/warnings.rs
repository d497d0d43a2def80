//! Warnings: likely mistakes in a valid policy.

use std::collections::HashSet;

use crate::model::{Attachment, Binding, Device, Origin, OuterTag, Policy, Segment};
use crate::problem::{Code, File, Problem, Problems, SourcePosition};
use crate::unmatched;

const SITE: SourcePosition = SourcePosition::start_of(File::Site);
const POLICY: SourcePosition = SourcePosition::start_of(File::Policy);

/// The warnings about a valid policy. `has_file` says whether the directory has a policy.yaml.
pub(crate) fn of(policy: &Policy, has_file: bool) -> Vec<Problem> {
    let mut problems = Problems::default();
    ports(policy, &mut problems);
    segments(policy, &mut problems);
    routers(policy, &mut problems);
    proxies(policy, &mut problems);
    bindings(policy, &mut problems);
    rules(policy, has_file, &mut problems);
    groups(policy, &mut problems);
    unmatched::addresses(policy, &mut problems);
    unmatched::profiles(policy, &mut problems);
    problems.into_sorted()
}

fn ports(policy: &Policy, problems: &mut Problems) {
    if !policy.ports.iter().any(|port| port.uplink) {
        problems
            .add(
                SITE,
                Code::Warning,
                "no port is an uplink: the site has no boundary",
            )
            .hint("write `uplink: true` at the port that faces the wider network");
    }
    if policy.ports.iter().all(|port| port.uplink) {
        problems
            .add(SITE, Code::Warning, "no port faces devices")
            .hint("remove `uplink: true` from the ports on the device side");
    }
    for (index, port) in policy.ports.iter().enumerate() {
        let stacked = |segment: &crate::model::Segment| {
            let mut attachments = segment.attachments.iter();
            attachments.any(|at| at.port == index && at.inner != 0)
        };
        if port.outer_tag == OuterTag::Dot1q && !policy.segments.iter().any(stacked) {
            problems
                .add(
                    SITE,
                    Code::Warning,
                    format!("port `{0}` sets `outer-tag`, but no segment is attached there with two tags", port.name),
                )
                .hint(format!("remove `outer-tag`, or attach a segment with two tags: `{}.100.210` is VLAN 210 inside VLAN 100", port.name));
        }
    }
}

fn segments(policy: &Policy, problems: &mut Problems) {
    for segment in &policy.segments {
        // With a proxy, a frame may leave by its ingress attachment.
        if segment.attachments.len() == 1 && !segment.proxy {
            problems
                .add(
                    segment.position,
                    Code::Warning,
                    format!(
                        "segment `{}` is attached once: no frame can leave it",
                        segment.name
                    ),
                )
                .hint("attach it to the port on the other side too");
        }
        if segment.subnets.is_empty() {
            problems
                .add(
                    segment.position,
                    Code::Warning,
                    format!(
                        "segment `{}` has no subnets: its devices can only use bound addresses",
                        segment.name
                    ),
                )
                .hint("list its subnets: `subnets: [10.21.0.0/24]`");
        }
    }
}

/// Warns once, at the first of the segments without `routers`.
fn routers(policy: &Policy, problems: &mut Problems) {
    let is_routed = |segment: &Segment| {
        let mut attachments = segment.attachments.iter();
        attachments.any(|at| policy.ports[at.port].uplink) && !segment.subnets.is_empty()
    };
    let without: Vec<&Segment> = policy
        .segments
        .iter()
        .filter(|segment| segment.routers.is_empty() && is_routed(segment))
        .collect();
    let Some(first) = without.first() else {
        return;
    };
    let others = match without.len() - 1 {
        0 => "names".to_owned(),
        1 => "and another name".to_owned(),
        others => format!("and {others} others name"),
    };
    problems
        .add(
            first.position,
            Code::Warning,
            format!(
                "segment `{}` {others} no routers: a device could impersonate the router there",
                first.name
            ),
        )
        .hint(
            "list the router's own addresses in the segment: `routers: [10.21.0.1, \"fe80::1\"]`",
        );
}

/// A proxy answers for bound addresses only.
fn proxies(policy: &Policy, problems: &mut Problems) {
    let mut devices = vec![(0, 0); policy.segments.len()];
    for device in &policy.devices {
        let (bound, unbound) = &mut devices[device.segment];
        *(if device.ips.is_empty() {
            unbound
        } else {
            bound
        }) += 1;
    }
    for (segment, counted) in policy.segments.iter().zip(devices) {
        let name = &segment.name;
        let message = match counted {
            _ if !segment.proxy => continue,
            (0, _) => {
                format!("segment `{name}` has a proxy, but none of its devices has an address")
            }
            (_, 0) => continue,
            (_, unbound) => format!(
                "segment `{name}` has a proxy, but {unbound} of its devices have no address"
            ),
        };
        problems.add(segment.position, Code::Warning, message).hint(
            "the gateway answers only for addresses in the column `ips` of devices.csv: bind them there",
        );
    }
}

/// In a segment with several VLANs of one port, a MAC address does not identify the VLAN. Warns once, at the first device that
/// is not bound to its VLAN.
fn bindings(policy: &Policy, problems: &mut Problems) {
    let faces = |at: &Attachment| !policy.ports[at.port].uplink;
    let stitched = |segment: &Segment| {
        let here: Vec<&Attachment> = segment.attachments.iter().filter(|at| faces(at)).collect();
        let mut pairs = here.iter().enumerate();
        pairs.any(|(index, one)| here[index + 1..].iter().any(|other| other.port == one.port))
    };
    for (index, segment) in policy.segments.iter().enumerate() {
        if !stitched(segment) {
            continue;
        }
        let is_unbound = |device: &&Device| {
            let at_vlan = matches!(device.binding, Some(Binding::Attachment(_)));
            device.segment == index && !at_vlan
        };
        let mut unbound = policy.devices.iter().filter(is_unbound);
        let Some(first) = unbound.next() else {
            continue;
        };
        let at = segment.attachments.iter().find(|at| faces(at));
        let at = at.map_or_else(String::new, |at| policy.attachment_name(*at));
        let others = match unbound.count() {
            0 => " is".to_owned(),
            1 => " and another are".to_owned(),
            others => format!(" and {others} others are"),
        };
        problems
            .add(
                first.position,
                Code::Warning,
                format!("segment `{}` has several VLANs at one port, and `{}`{others} not bound to a VLAN: a host in another of them could impersonate it", segment.name, first.name),
            )
            .hint(format!("bind the device to its VLAN in the column `port`: `{at}`"));
        return;
    }
}

/// Without written rules, only the implicit ones allow anything.
fn rules(policy: &Policy, has_file: bool, problems: &mut Problems) {
    let has = |origin| policy.rules.iter().any(|rule| rule.origin == origin);
    if has(Origin::Written) {
        return;
    }
    let why = match has_file {
        true => "policy.yaml has no rules",
        false => "there is no policy.yaml",
    };
    let left: Vec<&str> = [
        (Origin::Infrastructure, "access to the infrastructure"),
        (
            Origin::Segment,
            "traffic within a segment that is not isolated",
        ),
        (Origin::Observe, "traffic of an observed segment"),
    ]
    .into_iter()
    .filter_map(|(origin, what)| has(origin).then_some(what))
    .collect();
    let except = match left[..] {
        [] => String::new(),
        _ => format!(" except {}", left.join(" and ")),
    };
    problems
        .add(
            POLICY,
            Code::Warning,
            format!("{why}: no traffic is allowed{except}"),
        )
        .hint("write rules in policy.yaml: `rules: [{name: ct-to-pacs, from: ct, to: pacs, service: dicom}]`");
}

fn groups(policy: &Policy, problems: &mut Problems) {
    let devices = policy.devices.iter();
    let profiles: HashSet<&String> = devices.filter_map(|one| one.profile.as_ref()).collect();
    for group in &policy.groups {
        let is_unused = |profile: &&String| !profiles.contains(profile);
        for profile in group.profiles.iter().filter(is_unused) {
            problems
                .add(
                    POLICY,
                    Code::Warning,
                    format!(
                        "no device has the profile `{profile}` of group `{}`",
                        group.name
                    ),
                )
                .hint("check that devices.csv spells it the same way");
        }
        let overlaps =
            |subnet: &ipnet::IpNet| group.networks.iter().any(|net| net.contains(subnet));
        for segment in policy
            .segments
            .iter()
            .filter(|segment| segment.subnets.iter().any(overlaps))
        {
            problems
                .add(
                    POLICY,
                    Code::Warning,
                    format!("the networks of group `{}` contain segment `{}`, but networks do not match listed devices", group.name, segment.name),
                )
                .hint("add its listed devices to the group by profile or name");
        }
    }
}
