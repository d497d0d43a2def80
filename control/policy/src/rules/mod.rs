//! `policy.yaml`: services, groups, rules and invariants.

mod groups;
mod names;
mod terms;

use std::collections::HashMap;
use std::time::Duration;

use ipnet::IpNet;

pub(crate) use terms::terms;

use groups::groups;
use names::Names;

use crate::fields::{self, Fields};
use crate::implicit;
use crate::model::{
    Date, Device, Group, Invariant, NamedService, Origin, Posture, Rule, Selector, Service,
};
use crate::problem::{Code, Problems};
use crate::services;
use crate::site::Site;
use crate::yaml::{Node, Value};

/// Limit of written rules. A generation has 131,072: the rest is for implicit rules, up to three for each segment.
const MAX_RULES: usize = 118_000;

/// The content of `policy.yaml`, and later the implicit rules and groups.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub services: Vec<NamedService>,
    pub groups: Vec<Group>,
    pub rules: Vec<Rule>,
    pub invariants: Vec<Invariant>,
}

pub(crate) fn read(
    root: Option<&Node>,
    site: &Site,
    devices: &[Device],
    problems: &mut Problems,
) -> Written {
    let mut written = Written {
        services: services::read(None, problems),
        ..Written::default()
    };
    let fields = root.filter(|node| node.value != Value::Null);
    if let Some(mut fields) = fields.and_then(|node| Fields::of(node, "policy.yaml", problems)) {
        written.services = services::read(fields.optional("services"), problems);
        written.groups = groups(fields.optional("groups"), devices, problems);
        let names = Names::new(site, devices, &written.groups, root, problems);
        let reader = Reader {
            names: &names,
            services: &written.services,
        };
        let list = fields
            .optional("rules")
            .map(|node| list_of(node, "`rules`", problems))
            .unwrap_or_default();
        let mut seen: HashMap<String, u32> = HashMap::new();
        for node in list {
            if written.rules.len() == MAX_RULES {
                problems.add(
                    node.position,
                    Code::Limit,
                    format!("a policy has at most {MAX_RULES} rules"),
                );
                break;
            }
            if let Some(rule) = reader.rule(node, &mut seen, problems) {
                written.rules.push(rule);
            }
        }
        let list = fields
            .optional("invariants")
            .map(|node| list_of(node, "`invariants`", problems))
            .unwrap_or_default();
        written.invariants = list
            .iter()
            .filter_map(|node| reader.invariant(node, problems))
            .collect();
        fields.finish(problems);
    } else {
        Names::new(site, devices, &[], root, problems);
    }
    implicit::add(site, devices, &mut written);
    written
}

fn list_of<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> &'a [Node] {
    match &node.value {
        Value::List(list) => list,
        other => {
            problems
                .add(
                    node.position,
                    Code::WrongType,
                    format!("{what} must be a list, not {}", other.kind()),
                )
                .hint("start each entry with `- `");
            &[]
        }
    }
}

/// Reads rules and invariants.
struct Reader<'a> {
    names: &'a Names,
    services: &'a [NamedService],
}

impl Reader<'_> {
    fn rule(
        &self,
        node: &Node,
        seen: &mut HashMap<String, u32>,
        problems: &mut Problems,
    ) -> Option<Rule> {
        let mut fields = Fields::of(node, "a rule", problems)?;
        let name = fields.required("name", problems).and_then(|node| {
            let name = fields::name(
                fields::text(node, "`name`", problems)?,
                node.position,
                "a rule",
                problems,
            )?;
            if let Some(line) = seen.insert(name.clone(), node.position.line) {
                problems
                    .add(
                        node.position,
                        Code::Duplicate,
                        format!("rule `{name}` is defined twice"),
                    )
                    .hint(format!("the first is in line {line}"));
            }
            Some(name)
        });
        let what = format!("rule `{}`", name.as_deref().unwrap_or("?"));
        let words = [("allow", true), ("deny", false)];
        let allow = fields
            .optional("action")
            .and_then(|node| fields::word(node, "action", &words, problems))
            .unwrap_or(true);
        let from = fields
            .required("from", problems)
            .and_then(|node| self.from(node, problems));
        let to = fields
            .required("to", problems)
            .and_then(|node| self.selectors(node, problems));
        let services = fields
            .required("service", problems)
            .and_then(|node| self.services_of(node, problems));
        let terms = terms(&mut fields, &what, allow, problems);
        let hint = "write a date as `2027-03-31`";
        let expires = fields
            .optional("expires")
            .and_then(|node| fields::parsed::<Date>(node, "date", hint, problems));
        fields.finish(problems);
        let ResolvedServices { services, idle } = services?;
        Some(Rule {
            name: name?,
            from: from?,
            to: to?,
            services,
            idle,
            allow,
            survives: terms.survives,
            owner: terms.owner,
            reason: terms.reason,
            expires,
            position: node.position,
            origin: Origin::Written,
        })
    }

    fn invariant(&self, node: &Node, problems: &mut Problems) -> Option<Invariant> {
        let mut fields = Fields::of(node, "an invariant", problems)?;
        let from = fields
            .required("from", problems)
            .and_then(|node| self.from(node, problems));
        let to = fields
            .required("to", problems)
            .and_then(|node| self.selectors(node, problems));
        let services = match fields.optional("service") {
            Some(node) => self
                .services_of(node, problems)
                .map(|resolved| resolved.services),
            None => Some(vec![Service::Any]),
        };
        let postures = Posture::ALL.map(|posture| (posture.name(), posture));
        let at = match fields.optional("at") {
            Some(node) => fields::word(node, "posture", &postures, problems),
            None => Some(Posture::Normal),
        };
        let words = [("allow", true), ("deny", false)];
        let allow = fields
            .required("expect", problems)
            .and_then(|node| fields::word(node, "expectation", &words, problems));
        fields.finish(problems);
        Some(Invariant {
            from: from?,
            to: to?,
            services: services?,
            at: at?,
            allow: allow?,
            position: node.position,
        })
    }

    fn from(&self, node: &Node, problems: &mut Problems) -> Option<Vec<Selector>> {
        let selectors = self.selectors(node, problems)?;
        if selectors.contains(&Selector::Broadcast) {
            problems
                .add(
                    node.position,
                    Code::BadValue,
                    "`broadcast` cannot be a sender",
                )
                .hint("use it as a destination: `to: broadcast`");
            return None;
        }
        Some(selectors)
    }

    fn selectors(&self, node: &Node, problems: &mut Problems) -> Option<Vec<Selector>> {
        let list = fields::list(node);
        if list.is_empty() {
            problems
                .add(node.position, Code::MissingField, "the list is empty")
                .hint("list at least one name; `any` matches everything");
            return None;
        }
        let mut selectors = Vec::new();
        for node in list {
            let word = fields::text(node, "a name", problems)?;
            match self.names.by_name.get(word) {
                Some(selector) => selectors.push(*selector),
                None => {
                    let known = self.names.by_name.keys().map(String::as_str);
                    let problem = fields::unknown(
                        problems,
                        node.position,
                        "group, zone, segment or device",
                        word,
                        known,
                    );
                    if word.parse::<std::net::IpAddr>().is_ok() || word.parse::<IpNet>().is_ok() {
                        problem.hint(format!("rules take names, not addresses: make a group, `groups: {{pacs: {{networks: [{word}]}}}}`"));
                    }
                }
            }
        }
        (selectors.len() == list.len()).then_some(selectors)
    }

    fn services_of(&self, node: &Node, problems: &mut Problems) -> Option<ResolvedServices> {
        let list = fields::list(node);
        if list.is_empty() {
            problems
                .add(node.position, Code::MissingField, "the list is empty")
                .hint("list at least one service; `any` matches every one");
            return None;
        }
        let mut resolved = ResolvedServices::default();
        let mut good = true;
        for node in list {
            let word = fields::text(node, "a service", problems)?;
            let named = self.services.iter().find(|service| service.name == word);
            match (named, services::inline(word)) {
                (Some(named), _) => resolved.add(&named.entries, named.idle),
                (None, Some(inline)) => resolved.add(&[inline], None),
                (None, None) => {
                    good = false;
                    let problem = fields::unknown(
                        problems,
                        node.position,
                        "service",
                        word,
                        self.services.iter().map(|service| service.name.as_str()),
                    );
                    if word.contains('/') {
                        problem.hint(
                            "write a service without a name as `tcp/104`, `udp/5000-5010` or `icmp`",
                        );
                    }
                }
            }
        }
        resolved.services.sort();
        resolved.services.dedup();
        good.then_some(resolved)
    }
}

/// The entries of the services that a rule names, and the idle timeouts of those that set one.
#[derive(Default)]
struct ResolvedServices {
    services: Vec<Service>,
    idle: Vec<(Service, Duration)>,
}

impl ResolvedServices {
    fn add(&mut self, entries: &[Service], idle: Option<Duration>) {
        self.services.extend(entries);
        if let Some(idle) = idle {
            self.idle.extend(entries.iter().map(|entry| (*entry, idle)));
        }
    }
}
