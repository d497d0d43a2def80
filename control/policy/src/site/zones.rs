//! `zones` of `site.yaml`.

use std::collections::HashMap;

use ipnet::IpNet;

use super::{Site, subnet};
use crate::fields::{self, Fields};
use crate::model::Zone;
use crate::problem::{Code, Problems};
use crate::yaml::Node;

pub(super) fn zones(node: Option<&Node>, site: &mut Site, problems: &mut Problems) {
    let mut networks: HashMap<IpNet, String> = HashMap::new();
    for (key, node) in fields::entries(node, "`zones`", problems) {
        let index = site.zones.len();
        let mut zone = Zone {
            name: fields::name(&key.text, key.position, "a zone", problems).unwrap_or_default(),
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
                        node.position,
                        Code::Duplicate,
                        format!("{net} is already in zone `{other}`"),
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
                            node.position,
                            Code::Conflict,
                            format!(
                                "zone `{}` has segments, so it cannot be outside the site",
                                zone.name
                            ),
                        )
                        .hint(
                            "put its networks into a zone of their own, or remove `local: false`",
                        );
                }
                zone.local |= local;
            } else if zone.local && !zone.networks.is_empty() {
                problems
                    .add(key.position, Code::Conflict, format!("zone `{}` has segments and networks: are the networks inside the site?", zone.name))
                    .hint("write `local: true` if they are, or else put them into a zone of their own");
            }
            fields.finish(problems);
        }
        site.zones.push(zone);
    }
    // A segment in no zone becomes a zone of its own, with the same name.
    for index in 0..site.segments.len() {
        if site.segments[index].zone != usize::MAX {
            continue;
        }
        let name = site.segments[index].name.clone();
        if !name.is_empty() && site.zones.iter().any(|zone| zone.name == name) {
            problems
                .add(
                    site.segments[index].position,
                    Code::Conflict,
                    format!("segment `{name}` is in no zone, and zone `{name}` does not list it"),
                )
                .hint(format!(
                    "add it to the `segments` of a zone, or rename zone `{name}`"
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

/// Adds a segment to a zone.
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
            node.position,
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
                node.position,
                Code::Duplicate,
                format!("segment `{text}` is listed twice"),
            );
        }
        other => {
            let other = &site.zones[other].name;
            problems
                .add(
                    node.position,
                    Code::Conflict,
                    format!("segment `{text}` is already in zone `{other}`"),
                )
                .hint("a segment belongs to one zone");
        }
    }
}
