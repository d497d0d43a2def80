//! The message for a broken invariant: an example of a flow, the rule that decides it, and a hint.

use cordon_policy::{Code, Invariant, Origin, Posture, Problem, Rule, Service};
use cordon_verdict::abi::Ruling;

use crate::identity::{Example, Identity};
use crate::invariants::{Broken, Check};
use crate::networks::written;
use crate::rule_index;
use crate::ruling::last_posture;
use crate::services;

pub(crate) fn problem(check: &Check, invariant: &Invariant, broken: &Broken) -> Problem {
    let (verdict, why, hint) = match invariant.allow {
        true => {
            let (why, hint) = refused(check, invariant.at, broken);
            ("may not", why, hint)
        }
        false => {
            let (why, hint) = allowed(check, invariant.at, broken);
            ("may", why, hint)
        }
    };
    Problem {
        position: invariant.position,
        code: Code::Invariant,
        message: format!(
            "the rules break this invariant: {} {verdict} open {} to {} at {}: {why}",
            end_name(check, broken.from),
            services::at(broken.service),
            end_name(check, broken.to),
            invariant.at,
        ),
        hint: Some(hint),
    }
}

/// Why a flow is allowed that must not be, and a hint.
fn allowed(check: &Check, at: Posture, broken: &Broken) -> (String, String) {
    let Some(rule) = rule(check, broken.row.rulings[at as usize]) else {
        return (
            "it is allowed".to_owned(),
            "narrow the invariant".to_owned(),
        );
    };
    let hint = match rule.origin {
        Origin::Segment => {
            "set `isolate: true` for that segment, or write a rule with `action: deny`".to_owned()
        }
        _ if at == Posture::Normal => {
            "narrow that rule, or put one with `action: deny` before it".to_owned()
        }
        _ => format!("narrow that rule, or set its `survives` to a posture before {at}"),
    };
    (format!("{} allows it", named(rule)), hint)
}

/// Why a flow is not fully allowed that must be, and a hint.
fn refused(check: &Check, at: Posture, broken: &Broken) -> (String, String) {
    let ruling = broken.row.rulings[at as usize];
    let [normal, ..] = broken.row.rulings;
    if let (true, Some(rule)) = (ruling.allows(), rule(check, ruling)) {
        let why = format!(
            "{} allows it to device-facing ports only; copies by an uplink cross the site boundary",
            named(rule)
        );
        return (why, keep(rule, at));
    }
    if let (true, Some(rule)) = (normal.allows(), rule(check, normal)) {
        let classes = check.classes;
        let span = classes.span(classes.of(broken.from), classes.of(broken.to));
        let [.., reach] = span.reaches();
        let last = last_posture(rule, reach);
        let default = match rule.survives {
            Some(_) => String::new(),
            None => format!(", the default {}", reach.name()),
        };
        let why = format!("{} allows it up to {last} only{default}", named(rule));
        return (why, keep(rule, at));
    }
    if let Some(rule) = rule(check, ruling) {
        let hint = "narrow that rule, or put one that allows this before it".to_owned();
        return (format!("{} denies it", named(rule)), hint);
    }
    let mut expired = check.policy.rules.iter().filter_map(|rule| {
        let last = rule.expires.filter(|_| !rule.in_force(check.today))?;
        (rule.allow && matches(check, rule, broken)).then_some((rule, last))
    });
    match expired.next() {
        Some((rule, last)) => (
            format!("{} allowed it until {last}", named(rule)),
            "give that rule a later `expires`, or remove the invariant".to_owned(),
        ),
        None => (
            "no rule allows it".to_owned(),
            "write a rule that allows it, or narrow the invariant".to_owned(),
        ),
    }
}

/// How to make a rule apply at a posture.
fn keep(rule: &Rule, at: Posture) -> String {
    match (at, rule.origin) {
        (Posture::Sever, _) => {
            "no rule survives sever: require this at lockdown at most".to_owned()
        }
        (at, Origin::Segment) => {
            format!("write a rule that allows it with `survives: {at}`")
        }
        (at, _) if at < Posture::Contain => format!("set `survives: {at}` in that rule"),
        (at, _) => format!("set `survives: {at}` in that rule, with `owner` and `reason`"),
    }
}

fn rule<'a>(check: &Check<'a>, ruling: Ruling) -> Option<&'a Rule> {
    rule_index(ruling.rule()).and_then(|index| check.policy.rules.get(index))
}

/// A rule with its position.
fn named(rule: &Rule) -> String {
    format!("rule `{}` ({})", rule.name, rule.position)
}

/// A name for an example of an end with an identity.
fn end_name(check: &Check, identity: usize) -> String {
    let policy = check.policy;
    let known = check.identities.get(identity);
    let segment = |index: usize| format!("segment `{}`", policy.segments[index].name);
    let membership = |identity: &Identity| match (identity.segment, identity.zone) {
        (Some(index), _) => format!(" ({})", segment(index)),
        (None, Some(zone)) => format!(" (zone `{}`)", policy.zones[zone].name),
        (None, None) => String::new(),
    };
    match known.example {
        Example::Unclassified => "an address outside every zone and group".to_owned(),
        Example::Device(device) => format!("device `{}`", policy.devices[device].name),
        Example::Network(prefix) => format!("{}{}", written(prefix), membership(&known.identity)),
        Example::ViaUplink(prefix, index) => {
            format!(
                "{} on the uplink side of {}",
                written(prefix),
                segment(index)
            )
        }
        Example::Unlisted(index) => format!("an unlisted device of {}", segment(index)),
    }
}

/// Whether a rule, in force or not, matches a flow.
fn matches(check: &Check, rule: &Rule, broken: &Broken) -> bool {
    let from = &check.identities.get(broken.from).identity;
    let to = &check.identities.get(broken.to).identity;
    rule.from.iter().any(|selector| from.matches(*selector))
        && rule.to.iter().any(|selector| to.matches(*selector))
        && rule
            .services
            .iter()
            .any(|entry| covers(*entry, services::at(broken.service)))
}

/// Whether an entry of a rule covers a service with a single port.
fn covers(entry: Service, service: Service) -> bool {
    match (entry, service) {
        (Service::Any, _) => true,
        (Service::Tcp(first, last), Service::Tcp(port, _))
        | (Service::Udp(first, last), Service::Udp(port, _))
        | (Service::Sctp(first, last), Service::Sctp(port, _)) => (first..=last).contains(&port),
        (entry, service) => entry == service,
    }
}
