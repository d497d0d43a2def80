//! Invariants: what the rules must come to, checked for everybody whom an invariant can mean.

use std::collections::{BTreeMap, HashMap};

use cordon_policy::{Code, Date, Invariant, Policy, Posture, Problem, Rule, Service};
use cordon_verdict::abi::{PolicyRow, Ruling};

use crate::classes::Classes;
use crate::ends::{Ends, ListId};
use crate::identity::{Example, Identities, Identity, Kind};
use crate::networks::written;
use crate::rows::Rows;
use crate::rule_index;
use crate::ruling::last_posture;
use crate::services::{self, Services};

/// All that the rules come to, and what they must.
pub(crate) struct Check<'a> {
    pub policy: &'a Policy,
    pub today: Date,
    pub ends: &'a Ends,
    pub identities: &'a Identities,
    pub classes: &'a Classes,
    pub services: &'a Services,
    pub rows: &'a Rows,
}

/// Those of an end who are in one class: the first, and another if there is one.
type Few = (usize, Option<usize>);

/// A flow that breaks an invariant: who, to whom, by what, and what the rules say of it.
struct Broken {
    from: usize,
    to: usize,
    service: u32,
    row: PolicyRow,
}

impl Check<'_> {
    /// What is broken; one example each.
    pub fn all(&self) -> Vec<Problem> {
        let invariants = self.policy.invariants.iter();
        invariants
            .filter_map(|invariant| {
                let broken = self.broken(invariant)?;
                Some(self.problem(invariant, &broken))
            })
            .collect()
    }

    fn broken(&self, invariant: &Invariant) -> Option<Broken> {
        let services = self.services.touched(&invariant.services);
        let senders = self.few(self.ends.list(&invariant.from), true);
        let receivers = self.few(self.ends.list(&invariant.to), false);
        // Many pairs have the same rows.
        let mut judged: HashMap<Option<u32>, Option<(u32, PolicyRow)>> = HashMap::new();
        for (from_class, senders) in &senders {
            for (to_class, receivers) in &receivers {
                let set = self.rows.set(*from_class, *to_class);
                let judged = judged
                    .entry(set)
                    .or_insert_with(|| self.judge(invariant, set, &services));
                if let Some((service, row)) = judged
                    && let Some((from, to)) = self.flow(*senders, *receivers)
                {
                    return Some(Broken {
                        from,
                        to,
                        service: *service,
                        row: *row,
                    });
                }
            }
        }
        None
    }

    /// The classes of an end, each with whom of it the end means.
    fn few(&self, list: ListId, sends: bool) -> BTreeMap<u16, Few> {
        let mut few: BTreeMap<u16, Few> = BTreeMap::new();
        for identity in self.classes.identities(list) {
            let identity = *identity as usize;
            // Nothing comes from a group address.
            if sends && self.identities.get(identity).identity.kind != Kind::Host {
                continue;
            }
            few.entry(self.classes.of(identity))
                .and_modify(|(_, other)| *other = other.or(Some(identity)))
                .or_insert((identity, None));
        }
        few
    }

    /// A flow between them, if there can be one: nobody speaks to itself through the gateway.
    fn flow(&self, from: Few, to: Few) -> Option<(usize, usize)> {
        let flows = [
            Some((from.0, to.0)),
            to.1.map(|to| (from.0, to)),
            from.1.map(|from| (from, to.0)),
        ];
        let possible =
            |&(from, to): &(usize, usize)| from != to || !self.identities.get(from).single;
        flows.into_iter().flatten().find(possible)
    }

    /// The first service of which the rules do not say what they must.
    fn judge(
        &self,
        invariant: &Invariant,
        set: Option<u32>,
        services: &[(u16, u32)],
    ) -> Option<(u32, PolicyRow)> {
        let nothing = PolicyRow {
            rulings: [Ruling::NONE; _],
        };
        services.iter().find_map(|(class, service)| {
            let row = set
                .and_then(|set| self.rows.row(set, *class))
                .unwrap_or(&nothing);
            let ruling = row.rulings[invariant.at as usize];
            let kept = match invariant.allow {
                true => ruling.allows() && !ruling.is_inside(),
                false => !ruling.allows(),
            };
            (!kept).then_some((*service, *row))
        })
    }

    fn problem(&self, invariant: &Invariant, broken: &Broken) -> Problem {
        let ruling = broken.row.rulings[invariant.at as usize];
        let service = services::at(broken.service);
        let (from, to) = (self.name(broken.from), self.name(broken.to));
        let at = invariant.at;
        let (verdict, why, hint) = if !invariant.allow {
            let (rule, named) = self.rule(ruling);
            let hint = match rule {
                Some(rule) if rule.survives.is_none() && at == Posture::Normal => {
                    "narrow that rule, or put one with `action: deny` before it".to_owned()
                }
                _ => format!("narrow that rule, or have it end before {at} with `survives`"),
            };
            ("may", format!("{named} allows it"), hint)
        } else {
            let (why, hint) = self.refusal(invariant, broken, service);
            ("may not", why, hint)
        };
        Problem {
            place: invariant.place,
            code: Code::Invariant,
            message: format!(
                "the rules break this: {from} {verdict} open {service} to {to} at {at}: {why}"
            ),
            hint: Some(hint),
        }
    }

    /// Why a flow is not wholly allowed, and what to do about it.
    fn refusal(
        &self,
        invariant: &Invariant,
        broken: &Broken,
        service: Service,
    ) -> (String, String) {
        let at = invariant.at;
        let ruling = broken.row.rulings[at as usize];
        let [normal, ..] = broken.row.rulings;
        if ruling.allows() {
            let (_, named) = self.rule(ruling);
            let why = format!(
                "{named} allows it to device-facing ports only, for what leaves by an uplink crosses the site boundary"
            );
            return (why, keep(at));
        }
        if normal.allows() {
            let (rule, named) = self.rule(normal);
            let span = self
                .classes
                .span(self.classes.of(broken.from), self.classes.of(broken.to));
            let [.., reach] = span.reaches();
            let last = rule.map_or(reach.default_survives(), |rule| last_posture(rule, reach));
            let because = match rule.and_then(|rule| rule.survives) {
                Some(_) => String::new(),
                None => format!(", as by default {}", reach.name()),
            };
            return (
                format!("{named} allows it up to {last} only{because}"),
                keep(at),
            );
        }
        if ruling.rule() != 0 {
            let (_, named) = self.rule(ruling);
            let hint = "narrow that rule, or put one that allows this before it".to_owned();
            return (format!("{named} denies it"), hint);
        }
        let from = &self.identities.get(broken.from).identity;
        let to = &self.identities.get(broken.to).identity;
        let expired = self.policy.rules.iter().find(|rule| {
            !rule.in_force(self.today) && rule.allow && matches(rule, from, to, service)
        });
        match expired.and_then(|rule| Some((rule, rule.expires?))) {
            Some((rule, last)) => (
                format!(
                    "rule `{}` ({}) allowed it until {last}",
                    rule.name, rule.place
                ),
                "give that rule a later `expires`, or remove the invariant".to_owned(),
            ),
            None => (
                "no rule allows it".to_owned(),
                "write a rule that allows it, or narrow the invariant".to_owned(),
            ),
        }
    }

    fn rule(&self, ruling: Ruling) -> (Option<&Rule>, String) {
        let rule = rule_index(ruling.rule()).and_then(|index| self.policy.rules.get(index));
        let named = match rule {
            Some(rule) => format!("rule `{}` ({})", rule.name, rule.place),
            None => "no rule".to_owned(),
        };
        (rule, named)
    }

    /// Somebody, in words.
    fn name(&self, identity: usize) -> String {
        let known = self.identities.get(identity);
        let where_ = |identity: &Identity| match (identity.segment, identity.zone) {
            (Some(segment), _) => format!(" (segment `{}`)", self.policy.segments[segment].name),
            (None, Some(zone)) => format!(" (zone `{}`)", self.policy.zones[zone].name),
            (None, None) => String::new(),
        };
        match known.example {
            Example::Stranger => "an address outside every network".to_owned(),
            Example::Device(device) => format!("device `{}`", self.policy.devices[device].name),
            Example::Network(prefix) => format!("{}{}", written(prefix), where_(&known.identity)),
            Example::Behind(prefix, segment) => format!(
                "{} behind an uplink of segment `{}`",
                written(prefix),
                self.policy.segments[segment].name
            ),
            Example::Unlisted(segment) => format!(
                "an unlisted device of segment `{}`",
                self.policy.segments[segment].name
            ),
        }
    }
}

fn keep(at: Posture) -> String {
    match at {
        Posture::Sever => "nothing survives sever: ask for this at lockdown at most".to_owned(),
        at => format!("`survives: {at}` at that rule would keep it"),
    }
}

fn matches(rule: &Rule, from: &Identity, to: &Identity, service: Service) -> bool {
    let holds = |entry: &Service| match (*entry, service) {
        (Service::Any, _) => true,
        (Service::Tcp(first, last), Service::Tcp(port, _))
        | (Service::Udp(first, last), Service::Udp(port, _)) => (first..=last).contains(&port),
        (entry, service) => entry == service,
    };
    rule.from.iter().any(|selector| from.matches(*selector))
        && rule.to.iter().any(|selector| to.matches(*selector))
        && rule.services.iter().any(holds)
}
