//! `groups` of `policy.yaml`.

use std::collections::HashMap;

use ipnet::IpNet;

use crate::fields::{self, Fields};
use crate::model::{Device, Group};
use crate::problem::{Code, Problems};
use crate::site;
use crate::yaml::Node;

pub(super) fn groups(
    node: Option<&Node>,
    devices: &[Device],
    problems: &mut Problems,
) -> Vec<Group> {
    let entries = fields::entries(node, "`groups`", problems);
    let by_name: HashMap<&str, usize> = match entries.is_empty() {
        true => HashMap::new(),
        false => devices
            .iter()
            .enumerate()
            .map(|(index, device)| (device.name.as_str(), index))
            .collect(),
    };
    let mut groups = Vec::new();
    for (key, node) in entries {
        let mut group = Group {
            name: fields::name(&key.text, key.position, "a group", problems).unwrap_or_default(),
            profiles: Vec::new(),
            devices: Vec::new(),
            networks: Vec::new(),
        };
        if let Some(mut fields) = Fields::of(node, format!("group `{}`", group.name), problems) {
            let mut empty = true;
            for field in ["profile", "profiles"] {
                for node in fields.optional(field).map(fields::list).unwrap_or_default() {
                    empty = false;
                    group
                        .profiles
                        .extend(fields::text(node, "a profile", problems).map(str::to_owned));
                }
            }
            for node in fields
                .optional("devices")
                .map(fields::list)
                .unwrap_or_default()
            {
                empty = false;
                let Some(name) = fields::text(node, "a device", problems) else {
                    continue;
                };
                match by_name.get(name) {
                    Some(device) => group.devices.push(*device),
                    None => {
                        fields::unknown(
                            problems,
                            node.position,
                            "device",
                            name,
                            by_name.keys().copied(),
                        );
                    }
                }
            }
            for node in fields
                .optional("networks")
                .map(fields::list)
                .unwrap_or_default()
            {
                empty = false;
                group.networks.extend(network(node, problems));
            }
            fields.finish(problems);
            if empty {
                problems
                    .add(key.position, Code::MissingField, format!("group `{}` is empty", group.name))
                    .hint("write `profile: ct-scanner`, `devices: [ct-1]` or `networks: [10.200.4.0/24]`");
            }
        }
        groups.push(group);
    }
    groups
}

/// A prefix, or a single address as a /32 or /128.
fn network(node: &Node, problems: &mut Problems) -> Option<IpNet> {
    let text = fields::text(node, "a network", problems)?;
    match text.parse::<std::net::IpAddr>() {
        Ok(ip) => Some(IpNet::from(ip)),
        Err(_) => site::subnet(node, problems),
    }
}
