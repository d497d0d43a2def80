//! `policy.yaml`: groups, rules, invariants.

use std::collections::HashMap;
use std::time::Duration;

use ipnet::IpNet;

use crate::fields::{self, Fields};
use crate::implicit;
use crate::model::{
    Date, Device, Group, Invariant, NamedService, Origin, Posture, Rule, Selector, Service,
};
use crate::problem::{Code, File, Place, Problems};
use crate::services;
use crate::site::{self, Site};
use crate::yaml::{Key, Node};

/// Rules that can be written; the rest of the 131,072 that a generation holds is for those that are not: up to three for
/// each segment.
const RULES: usize = 118_000;

/// What `policy.yaml` says.
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
    let fields = root.filter(|node| node.value != crate::yaml::Value::Null);
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
            if written.rules.len() == RULES {
                problems.add(
                    node.place,
                    Code::Limit,
                    format!("a policy has at most {RULES} rules"),
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
        crate::yaml::Value::List(list) => list,
        other => {
            problems
                .add(
                    node.place,
                    Code::WrongType,
                    format!("{what} is a list, not {}", other.kind()),
                )
                .hint("start each entry with `- `");
            &[]
        }
    }
}

fn groups(node: Option<&Node>, devices: &[Device], problems: &mut Problems) -> Vec<Group> {
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
            name: fields::name(&key.text, key.place, "a group", problems).unwrap_or_default(),
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
                            node.place,
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
                    .add(key.place, Code::MissingField, format!("group `{}` has nobody in it", group.name))
                    .hint("write `profile: ct-scanner`, `devices: [ct-1]` or `networks: [10.200.4.0/24]`");
            }
        }
        groups.push(group);
    }
    groups
}

/// A prefix, or an address as a prefix of its own.
fn network(node: &Node, problems: &mut Problems) -> Option<IpNet> {
    let text = fields::text(node, "a network", problems)?;
    match text.parse::<std::net::IpAddr>() {
        Ok(ip) => Some(IpNet::from(ip)),
        Err(_) => site::subnet(node, problems),
    }
}

/// Everything that a rule can name.
struct Names {
    by_name: HashMap<String, Selector>,
}

impl Names {
    fn new(
        site: &Site,
        devices: &[Device],
        groups: &[Group],
        root: Option<&Node>,
        problems: &mut Problems,
    ) -> Names {
        let mut by_name: HashMap<String, Selector> = HashMap::new();
        by_name.insert("any".to_owned(), Selector::Any);
        by_name.insert("broadcast".to_owned(), Selector::Broadcast);
        let top = |file| Place {
            file,
            line: 1,
            column: 1,
        };
        let mut add = |name: &str, selector: Selector, place: Place, problems: &mut Problems| {
            if name.is_empty() {
                return; // Its own error is noted already.
            }
            let known = by_name.insert(name.to_owned(), selector);
            let same = match (known, selector) {
                (None, _) => true,
                // A zone, and a segment of its name that is in none: that is noted already.
                (Some(Selector::Zone(_)), Selector::Zone(_)) => true,
                (Some(Selector::Zone(zone)), Selector::Segment(segment)) => {
                    let zone = &site.zones[zone];
                    zone.segments == [segment] && zone.networks.is_empty()
                }
                _ => false,
            };
            if !same {
                let what = known.map_or("built in", kind);
                problems
                    .add(
                        place,
                        Code::Conflict,
                        format!("`{name}` is {} and {what}", kind(selector)),
                    )
                    .hint(
                        "rules name groups, zones, segments and devices alike: rename one of them",
                    );
            }
        };
        for (index, zone) in site.zones.iter().enumerate() {
            add(&zone.name, Selector::Zone(index), top(File::Site), problems);
        }
        for (index, segment) in site.segments.iter().enumerate() {
            add(
                &segment.name,
                Selector::Segment(index),
                segment.place,
                problems,
            );
        }
        for ((index, group), place) in groups.iter().enumerate().zip(group_places(root)) {
            add(&group.name, Selector::Group(index), place, problems);
        }
        for (index, device) in devices.iter().enumerate() {
            add(
                &device.name,
                Selector::Device(index),
                device.place,
                problems,
            );
        }
        Names { by_name }
    }
}

/// Where groups are named, in their order.
fn group_places(root: Option<&Node>) -> impl Iterator<Item = Place> {
    let mut fields = root.map(map).unwrap_or_default().iter();
    let groups = fields.find(|(key, _)| key.text == "groups");
    let entries = groups.map(|(_, node)| map(node)).unwrap_or_default();
    entries.iter().map(|(key, _)| key.place)
}

fn map(node: &Node) -> &[(Key, Node)] {
    match &node.value {
        crate::yaml::Value::Map(map) => map,
        _ => &[],
    }
}

fn kind(selector: Selector) -> &'static str {
    match selector {
        Selector::Any | Selector::Broadcast => "built in",
        Selector::Group(_) => "a group",
        Selector::Zone(_) => "a zone",
        Selector::Segment(_) | Selector::Flooded(_) => "a segment",
        Selector::Device(_) => "a device",
    }
}

/// What a rule says beside who, whom and what.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    pub survives: Option<Posture>,
    pub owner: Option<String>,
    pub reason: Option<String>,
}

/// Reads and checks `survives`, `owner` and `reason`.
pub(crate) fn terms(
    fields: &mut Fields,
    what: &str,
    allow: bool,
    problems: &mut Problems,
) -> Terms {
    let mut terms = Terms::default();
    for (name, slot) in [("owner", &mut terms.owner), ("reason", &mut terms.reason)] {
        if let Some(node) = fields.optional(name) {
            *slot = fields::text(node, &format!("`{name}`"), problems)
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty());
        }
    }
    let Some(node) = fields.optional("survives") else {
        return terms;
    };
    let words = Posture::ALL.map(|posture| (posture.name(), posture));
    terms.survives = fields::word(node, "posture", &words, problems);
    match terms.survives {
        Some(_) if !allow => {
            problems
                .add(
                    node.place,
                    Code::Conflict,
                    format!("{what} denies: it does so at every posture"),
                )
                .hint("remove `survives`");
        }
        Some(Posture::Sever) => {
            problems
                .add(node.place, Code::BadValue, "nothing survives `sever`")
                .hint("`survives: lockdown` is the most a rule can ask for");
        }
        Some(survives) if survives >= Posture::Contain => {
            for (name, given) in [("owner", &terms.owner), ("reason", &terms.reason)] {
                if given.is_none() {
                    problems
                        .add(node.place, Code::MissingField, format!("{what} is on the continuity list and needs `{name}`"))
                        .hint("whoever reads it in a crisis has to know who to ask, and why it is there");
                }
            }
        }
        _ => {}
    }
    terms
}

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
                node.place,
                "a rule",
                problems,
            )?;
            if let Some(line) = seen.insert(name.clone(), node.place.line) {
                problems
                    .add(
                        node.place,
                        Code::Duplicate,
                        format!("there is a rule `{name}` already"),
                    )
                    .hint(format!("in line {line}"));
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
        let hint = "a date is `2027-03-31`";
        let expires = fields
            .optional("expires")
            .and_then(|node| fields::parsed::<Date>(node, "date", hint, problems));
        fields.finish(problems);
        let Spoken { services, idle } = services?;
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
            place: node.place,
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
                .map(|spoken| spoken.services),
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
            place: node.place,
        })
    }

    fn from(&self, node: &Node, problems: &mut Problems) -> Option<Vec<Selector>> {
        let selectors = self.selectors(node, problems)?;
        if selectors.contains(&Selector::Broadcast) {
            problems
                .add(node.place, Code::BadValue, "nothing comes from `broadcast`")
                .hint("broadcast is a destination: `to: broadcast`");
            return None;
        }
        Some(selectors)
    }

    fn selectors(&self, node: &Node, problems: &mut Problems) -> Option<Vec<Selector>> {
        let list = fields::list(node);
        if list.is_empty() {
            problems
                .add(node.place, Code::MissingField, "the list is empty")
                .hint("`any` stands for everything");
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
                        node.place,
                        "group, zone, segment or device",
                        word,
                        known,
                    );
                    if word.parse::<std::net::IpAddr>().is_ok() || word.parse::<IpNet>().is_ok() {
                        problem.hint(format!("rules name who they mean: make a group, `groups: {{pacs: {{networks: [{word}]}}}}`"));
                    }
                }
            }
        }
        (selectors.len() == list.len()).then_some(selectors)
    }

    fn services_of(&self, node: &Node, problems: &mut Problems) -> Option<Spoken> {
        let list = fields::list(node);
        if list.is_empty() {
            problems
                .add(node.place, Code::MissingField, "the list is empty")
                .hint("`any` stands for every service");
            return None;
        }
        let mut spoken = Spoken::default();
        let mut good = true;
        for node in list {
            let word = fields::text(node, "a service", problems)?;
            let named = self.services.iter().find(|service| service.name == word);
            match (named, services::inline(word)) {
                (Some(named), _) => spoken.add(&named.entries, named.idle),
                (None, Some(inline)) => spoken.add(&[inline], None),
                (None, None) => {
                    good = false;
                    let problem = fields::unknown(
                        problems,
                        node.place,
                        "service",
                        word,
                        self.services.iter().map(|service| service.name.as_str()),
                    );
                    if word.contains('/') {
                        problem.hint(
                            "a service without a name is `tcp/104`, `udp/5000-5010` or `icmp`",
                        );
                    }
                }
            }
        }
        spoken.services.sort();
        spoken.services.dedup();
        good.then_some(spoken)
    }
}

/// By what a rule lets speak.
#[derive(Default)]
struct Spoken {
    services: Vec<Service>,
    idle: Vec<(Service, Duration)>,
}

impl Spoken {
    fn add(&mut self, entries: &[Service], idle: Option<Duration>) {
        self.services.extend(entries);
        if let Some(idle) = idle {
            self.idle.extend(entries.iter().map(|entry| (*entry, idle)));
        }
    }
}
