//! What is worth a look in a policy, and refused by nobody.

use std::collections::HashSet;

use crate::model::{Attachment, Binding, Device, Origin, OuterTag, Policy, Segment};
use crate::problem::{Code, File, Place, Problem, Problems};
use crate::unmatched;

const TOP: Place = Place::top(File::Site);
const TOP_OF_POLICY: Place = Place::top(File::Policy);

/// What is worth a look in a policy that is right, `written` with or without a policy.yaml.
pub(crate) fn of(policy: &Policy, written: bool) -> Vec<Problem> {
    let mut problems = Problems::default();
    ports(policy, &mut problems);
    segments(policy, &mut problems);
    routers(policy, &mut problems);
    proxies(policy, &mut problems);
    bindings(policy, &mut problems);
    rules(policy, written, &mut problems);
    groups(policy, &mut problems);
    unmatched::addresses(policy, &mut problems);
    unmatched::profiles(policy, &mut problems);
    problems.into_sorted()
}

fn ports(policy: &Policy, problems: &mut Problems) {
    if !policy.ports.iter().any(|port| port.uplink) {
        problems
            .add(
                TOP,
                Code::Warning,
                "no port is an uplink: the site's boundary is nowhere",
            )
            .hint("write `uplink: true` at the port that faces the wider network");
    }
    if policy.ports.iter().all(|port| port.uplink) {
        problems
            .add(TOP, Code::Warning, "no port faces devices")
            .hint("leave out `uplink: true` at the ports of the devices' side");
    }
    for (index, port) in policy.ports.iter().enumerate() {
        let stacked = |segment: &crate::model::Segment| {
            let mut attachments = segment.attachments.iter();
            attachments.any(|at| at.port == index && at.inner != 0)
        };
        if port.outer_tag == OuterTag::Dot1q && !policy.segments.iter().any(stacked) {
            problems
                .add(
                    TOP,
                    Code::Warning,
                    format!("port `{0}` has an `outer-tag`, and nothing is attached there with two tags", port.name),
                )
                .hint(format!("`{}.100.210` is VLAN 210 inside VLAN 100; one tag needs no `outer-tag`", port.name));
        }
    }
}

fn segments(policy: &Policy, problems: &mut Problems) {
    for segment in &policy.segments {
        // With a proxy, what came in may go back.
        if segment.attachments.len() == 1 && !segment.proxy {
            problems
                .add(
                    segment.place,
                    Code::Warning,
                    format!(
                        "segment `{}` is attached once: nothing can leave it",
                        segment.name
                    ),
                )
                .hint("attach it to the port of the other side too");
        }
        if segment.subnets.is_empty() {
            problems
                .add(
                    segment.place,
                    Code::Warning,
                    format!(
                        "segment `{}` has no subnets: only bound addresses can be used",
                        segment.name
                    ),
                )
                .hint("`subnets: [10.21.0.0/24]`");
        }
    }
}

/// Of many segments one warning is enough.
fn routers(policy: &Policy, problems: &mut Problems) {
    let goes_out = |segment: &Segment| {
        let mut attachments = segment.attachments.iter();
        attachments.any(|at| policy.ports[at.port].uplink) && !segment.subnets.is_empty()
    };
    let without: Vec<&Segment> = policy
        .segments
        .iter()
        .filter(|segment| segment.routers.is_empty() && goes_out(segment))
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
            first.place,
            Code::Warning,
            format!(
                "segment `{}` {others} no routers: a device may speak as the router there",
                first.name
            ),
        )
        .hint("the router's own addresses in the segment: `routers: [10.21.0.1, \"fe80::1\"]`");
}

/// The gateway stands in for bound addresses alone.
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
        let said = match counted {
            _ if !segment.proxy => continue,
            (0, _) => {
                format!("segment `{name}` has a proxy, and none of its devices has an address")
            }
            (_, 0) => continue,
            (_, unbound) => format!(
                "segment `{name}` has a proxy, and {unbound} of its devices have no address"
            ),
        };
        problems.add(segment.place, Code::Warning, said).hint(
            "the gateway answers for addresses in the column `ips` of devices.csv: bind some",
        );
    }
}

/// Where VLANs of a port are one segment, a MAC address tells nothing of the VLAN. Of many segments one warning is enough.
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
        let is_loose = |device: &&Device| {
            let at_vlan = matches!(device.binding, Some(Binding::Attachment(_)));
            device.segment == index && !at_vlan
        };
        let mut loose = policy.devices.iter().filter(is_loose);
        let Some(first) = loose.next() else { continue };
        let at = segment.attachments.iter().find(|at| faces(at));
        let at = at.map_or_else(String::new, |at| policy.attachment_name(*at));
        let others = match loose.count() {
            0 => String::new(),
            1 => " and another".to_owned(),
            others => format!(" and {others} others"),
        };
        problems
            .add(
                first.place,
                Code::Warning,
                format!("segment `{}` has several VLANs at a port, and `{}`{others} may be in any of them: whoever takes its addresses may be, too", segment.name, first.name),
            )
            .hint(format!("the column `port` binds a device to its VLAN: `{at}`"));
        return;
    }
}

/// Without rules there are those of the site, and a gateway that lets hardly anything through.
fn rules(policy: &Policy, written: bool, problems: &mut Problems) {
    let has = |origin| policy.rules.iter().any(|rule| rule.origin == origin);
    if has(Origin::Written) {
        return;
    }
    let why = match written {
        true => "no rule is written",
        false => "there is no policy.yaml",
    };
    let left: Vec<&str> = [
        (Origin::Infrastructure, "infrastructure"),
        (
            Origin::Segment,
            "what stays within a segment that is not isolated",
        ),
        (Origin::Observe, "what an observed segment does"),
    ]
    .into_iter()
    .filter_map(|(origin, what)| has(origin).then_some(what))
    .collect();
    let but = match left[..] {
        [] => String::new(),
        _ => format!(" but {}", left.join(", and ")),
    };
    problems
        .add(
            TOP_OF_POLICY,
            Code::Warning,
            format!("{why}: nothing is allowed{but}"),
        )
        .hint("`rules: [{name: ct-to-pacs, from: ct, to: pacs, service: dicom}]` in policy.yaml allows something");
}

fn groups(policy: &Policy, problems: &mut Problems) {
    let devices = policy.devices.iter();
    let profiles: HashSet<&String> = devices.filter_map(|one| one.profile.as_ref()).collect();
    for group in &policy.groups {
        let nobody = |profile: &&String| !profiles.contains(profile);
        for profile in group.profiles.iter().filter(nobody) {
            problems
                .add(
                    TOP_OF_POLICY,
                    Code::Warning,
                    format!(
                        "no device has the profile `{profile}` of group `{}`",
                        group.name
                    ),
                )
                .hint("is it written the same in devices.csv?");
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
                    TOP_OF_POLICY,
                    Code::Warning,
                    format!("the networks of group `{}` hold segment `{}`, but not the devices listed in it", group.name, segment.name),
                )
                .hint("a listed device is matched by profile or name, wherever its address is");
        }
    }
}
