//! `ports` of `site.yaml`.

use std::collections::HashMap;

use super::{MAX_PORTS, Site};
use crate::fields::{self, Fields};
use crate::model::{LinkControl, OuterTag, Port};
use crate::problem::{Code, Problems};
use crate::yaml::Node;

/// Default of `storm`, in frames per second: more than the discovery traffic of a hospital, less than a loop.
const STORM: u32 = 10_000;

pub(super) fn ports(node: Option<&Node>, site: &mut Site, problems: &mut Problems) {
    let mut interfaces: HashMap<String, String> = HashMap::new();
    for (key, node) in fields::entries(node, "`ports`", problems) {
        let name = fields::name(&key.text, key.position, "a port", problems).unwrap_or_default();
        if name.contains('.') {
            problems
                .add(
                    key.position,
                    Code::BadValue,
                    format!("the port name `{name}` contains a dot"),
                )
                .hint("`access0.210` means VLAN 210 at port access0: use a name without a dot");
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
                // As dev_valid_name() of the kernel (net/core/dev.c) checks interface names.
                let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
                if text.is_empty()
                    || text.len() > 15
                    || text.contains(bad)
                    || text == "."
                    || text == ".."
                {
                    problems
                        .add(
                            device.position,
                            Code::BadValue,
                            format!(
                                "`{}` cannot be the name of a network interface",
                                text.escape_debug()
                            ),
                        )
                        .hint("`ip -brief link` lists the interfaces");
                } else if let Some(other) = interfaces.insert(text.to_owned(), port.name.clone()) {
                    problems.add(
                        device.position,
                        Code::Duplicate,
                        format!("`{text}` is already port `{other}`"),
                    );
                }
                port.device = text.to_owned();
            }
            if let Some(uplink) = fields.optional("uplink") {
                port.uplink = fields::boolean(uplink, "`uplink`", problems).unwrap_or(false);
            }
            if let Some(storm) = fields.optional("storm") {
                let hint = "write frames per second, as in `storm: 5000`; 0 for no limit";
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
                port.outer_tag = fields::word(node, "type of outer tag", &words, problems)
                    .unwrap_or(OuterTag::Dot1ad);
            }
            fields.finish(problems);
        }
        if site.ports.len() == MAX_PORTS {
            problems.add(
                key.position,
                Code::Limit,
                format!("a gateway has at most {MAX_PORTS} ports"),
            );
            return;
        }
        site.ports.push(port);
    }
}
