//! The names that `from` and `to` of a rule can use.

use std::collections::HashMap;

use crate::model::{Device, Group, Selector};
use crate::problem::{Code, File, Problems, SourcePosition};
use crate::site::Site;
use crate::yaml::{Key, Node, Value};

/// Groups, zones, segments and devices by name, with `any` and `broadcast`.
pub(super) struct Names {
    pub by_name: HashMap<String, Selector>,
}

impl Names {
    pub fn new(
        site: &Site,
        devices: &[Device],
        groups: &[Group],
        root: Option<&Node>,
        problems: &mut Problems,
    ) -> Names {
        let mut by_name: HashMap<String, Selector> = HashMap::new();
        by_name.insert("any".to_owned(), Selector::Any);
        by_name.insert("broadcast".to_owned(), Selector::Broadcast);
        let mut add = |name: &str,
                       selector: Selector,
                       position: SourcePosition,
                       problems: &mut Problems| {
            if name.is_empty() {
                return; // Its own error is reported already.
            }
            let known = by_name.insert(name.to_owned(), selector);
            let same = match (known, selector) {
                (None, _) => true,
                // A segment in no zone became a zone of its name. A zone that has that name already is reported there.
                (Some(Selector::Zone(_)), Selector::Zone(_)) => true,
                (Some(Selector::Zone(zone)), Selector::Segment(segment)) => {
                    let zone = &site.zones[zone];
                    zone.segments == [segment] && zone.networks.is_empty()
                }
                _ => false,
            };
            if !same {
                let what = known.map_or("a built-in selector", kind);
                problems
                    .add(
                        position,
                        Code::Conflict,
                        format!("`{name}` names both {} and {what}", kind(selector)),
                    )
                    .hint(
                        "groups, zones, segments and devices share one name space: rename one of them",
                    );
            }
        };
        for (index, zone) in site.zones.iter().enumerate() {
            let start = SourcePosition::start_of(File::Site);
            add(&zone.name, Selector::Zone(index), start, problems);
        }
        for (index, segment) in site.segments.iter().enumerate() {
            add(
                &segment.name,
                Selector::Segment(index),
                segment.position,
                problems,
            );
        }
        for ((index, group), position) in groups.iter().enumerate().zip(group_positions(root)) {
            add(&group.name, Selector::Group(index), position, problems);
        }
        for (index, device) in devices.iter().enumerate() {
            add(
                &device.name,
                Selector::Device(index),
                device.position,
                problems,
            );
        }
        Names { by_name }
    }
}

/// The positions of the names of groups, in file order.
fn group_positions(root: Option<&Node>) -> impl Iterator<Item = SourcePosition> {
    let mut fields = root.map(map).unwrap_or_default().iter();
    let groups = fields.find(|(key, _)| key.text == "groups");
    let entries = groups.map(|(_, node)| map(node)).unwrap_or_default();
    entries.iter().map(|(key, _)| key.position)
}

fn map(node: &Node) -> &[(Key, Node)] {
    match &node.value {
        Value::Map(map) => map,
        _ => &[],
    }
}

/// The kind of a selector, for messages.
fn kind(selector: Selector) -> &'static str {
    match selector {
        Selector::Any | Selector::Broadcast => "a built-in selector",
        Selector::Group(_) => "a group",
        Selector::Zone(_) => "a zone",
        Selector::Segment(_) | Selector::Flooded(_) => "a segment",
        Selector::Device(_) => "a device",
    }
}
