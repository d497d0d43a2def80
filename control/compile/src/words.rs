//! A broken invariant in words: an example, the rule that decides it, and what to do.

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
        place: invariant.place,
        code: Code::Invariant,
        message: format!(
            "the rules break this: {} {verdict} open {} to {} at {}: {why}",
            who(check, broken.from),
            services::at(broken.service),
            who(check, broken.to),
            invariant.at,
        ),
        hint: Some(hint),
    }
}

/// Why a flow is allowed that must not be, and what to do about it.
fn allowed(check: &Check, at: Posture, broken: &Broken) -> (String, String) {
    let Some(rule) = rule(check, broken.row.rulings[at as usize]) else {
        return (
            "it is allowed".to_owned(),
            "narrow the invariant".to_owned(),
        );
    };
    let hint = match rule.origin {
        Origin::Segment => {
            "write `isolate: true` at that segment, or a rule with `action: deny`".to_owned()
        }
        _ if at == Posture::Normal => {
            "narrow that rule, or put one with `action: deny` before it".to_owned()
        }
        _ => format!("narrow that rule, or have it end before {at} with `survives`"),
    };
    (format!("{} allows it", named(rule)), hint)
}

/// Why a flow is not wholly allowed that must be, and what to do about it.
fn refused(check: &Check, at: Posture, broken: &Broken) -> (String, String) {
    let ruling = broken.row.rulings[at as usize];
    let [normal, ..] = broken.row.rulings;
    if let (true, Some(rule)) = (ruling.allows(), rule(check, ruling)) {
        let why = format!(
            "{} allows it to device-facing ports only; what leaves by an uplink crosses the site boundary",
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

/// How a rule would still apply at a posture.
fn keep(rule: &Rule, at: Posture) -> String {
    match (at, rule.origin) {
        (Posture::Sever, _) => {
            "nothing survives sever: ask for this at lockdown at most".to_owned()
        }
        (at, Origin::Segment) => {
            format!("write a rule that allows it, with `survives: {at}`")
        }
        (at, _) if at < Posture::Contain => format!("`survives: {at}` there would keep it"),
        (at, _) => format!("`survives: {at}` there would keep it, with `owner` and `reason`"),
    }
}

fn rule<'a>(check: &Check<'a>, ruling: Ruling) -> Option<&'a Rule> {
    rule_index(ruling.rule()).and_then(|index| check.policy.rules.get(index))
}

fn named(rule: &Rule) -> String {
    format!("rule `{}` ({})", rule.name, rule.place)
}

/// Somebody who has an identity.
fn who(check: &Check, identity: usize) -> String {
    let policy = check.policy;
    let known = check.identities.get(identity);
    let segment = |index: usize| format!("segment `{}`", policy.segments[index].name);
    let whose = |identity: &Identity| match (identity.segment, identity.zone) {
        (Some(index), _) => format!(" ({})", segment(index)),
        (None, Some(zone)) => format!(" (zone `{}`)", policy.zones[zone].name),
        (None, None) => String::new(),
    };
    match known.example {
        Example::Stranger => "an address outside every zone and group".to_owned(),
        Example::Device(device) => format!("device `{}`", policy.devices[device].name),
        Example::Network(prefix) => format!("{}{}", written(prefix), whose(&known.identity)),
        Example::Behind(prefix, index) => {
            format!("{} behind an uplink of {}", written(prefix), segment(index))
        }
        Example::Unlisted(index) => format!("an unlisted device of {}", segment(index)),
    }
}

/// Whether a rule, in force or not, is about a flow.
fn matches(check: &Check, rule: &Rule, broken: &Broken) -> bool {
    let from = &check.identities.get(broken.from).identity;
    let to = &check.identities.get(broken.to).identity;
    rule.from.iter().any(|selector| from.matches(*selector))
        && rule.to.iter().any(|selector| to.matches(*selector))
        && rule
            .services
            .iter()
            .any(|entry| holds(*entry, services::at(broken.service)))
}

fn holds(entry: Service, service: Service) -> bool {
    match (entry, service) {
        (Service::Any, _) => true,
        (Service::Tcp(first, last), Service::Tcp(port, _))
        | (Service::Udp(first, last), Service::Udp(port, _))
        | (Service::Sctp(first, last), Service::Sctp(port, _)) => (first..=last).contains(&port),
        (entry, service) => entry == service,
    }
}
