//! `infrastructure` of `site.yaml`.

use std::net::IpAddr;

use super::{Servers, Site};
use crate::fields::{self, Fields};
use crate::problem::Problems;
use crate::rules;
use crate::yaml::{Node, Value};

pub(super) fn infrastructure(node: Option<&Node>, site: &mut Site, problems: &mut Problems) {
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
            position: node.position,
        };
        let list = match node.value {
            Value::Map(_) => {
                let Some(mut fields) = Fields::of(node, format!("`{service}`"), problems) else {
                    continue;
                };
                let list = fields
                    .required("servers", problems)
                    .map(fields::list)
                    .unwrap_or_default();
                let terms = rules::terms(&mut fields, &format!("`{service}`"), true, problems);
                (entry.survives, entry.owner, entry.reason) =
                    (terms.survives, terms.owner, terms.reason);
                fields.finish(problems);
                list
            }
            _ => fields::list(node),
        };
        for node in list {
            let hint = "list servers by address: `dns: [10.200.0.53]`";
            entry
                .servers
                .extend(fields::parsed::<IpAddr>(node, "IP address", hint, problems));
        }
        site.infrastructure.push(entry);
    }
    fields.finish(problems);
}
