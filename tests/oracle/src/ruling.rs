//! Which rule decides: every rule is looked at, one after the other.

use cordon_policy::{Date, Origin, Policy, Posture, Reach, Rule, Service};
use cordon_verdict::Reason;

use crate::who::Who;

/// What a packet is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Tcp(u16),
    Udp(u16),
    Sctp(u16),
    Echo,
}

/// What the policy says of (from, to, service) at a posture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    Allow {
        /// Index of the rule.
        rule: usize,
        /// Only to device-facing ports.
        inside: bool,
    },
    Refuse {
        reason: Reason,
        rule: Option<usize>,
    },
}

/// The day and the posture a question is asked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct When {
    pub today: Date,
    pub posture: Posture,
}

pub(crate) fn rule_on(policy: &Policy, when: When, from: &Who, to: &Who, asks: Asks) -> Ruling {
    let matching: Vec<usize> = (0..policy.rules.len())
        .filter(|index| {
            let rule = &policy.rules[*index];
            rule.in_force(when.today)
                && rule.from.iter().any(|end| from.is(policy, *end))
                && rule.to.iter().any(|end| to.is(policy, *end))
                && rule.services.iter().any(|service| holds(*service, asks))
        })
        .collect();

    let local = |zone: Option<usize>| zone.is_some_and(|zone| policy.zones[zone].local);
    if to.many.is_some() && to.zone.is_none() && local(from.zone) {
        let inside = at_reach(policy, when, &matching, Reach::WithinZone);
        let outside = at_reach(policy, when, &matching, Reach::AcrossBoundary);
        return match (inside, outside) {
            (Ruling::Allow { rule, .. }, Ruling::Refuse { .. }) => {
                Ruling::Allow { rule, inside: true }
            }
            _ => inside,
        };
    }
    let reach = Reach::between(policy, from.zone, to.zone);
    at_reach(policy, when, &matching, reach)
}

fn at_reach(policy: &Policy, when: When, matching: &[usize], reach: Reach) -> Ruling {
    let observes = |index: &&usize| policy.rules[**index].origin == Origin::Observe;
    // At normal every rule applies.
    let at_normal = matching.iter().find(|index| !observes(index)).copied();
    let let_be = matching.iter().find(observes).copied();
    let allowed_at_normal = at_normal.filter(|index| policy.rules[*index].allow);

    if allowed_at_normal.is_none()
        && let Some(rule) = let_be
    {
        if applies(&policy.rules[rule], reach, when.posture) {
            return Ruling::Allow {
                rule,
                inside: false,
            };
        }
        return Ruling::Refuse {
            reason: Reason::Posture,
            rule: Some(rule),
        };
    }

    let mut ordinary = matching.iter().filter(|index| !observes(index));
    let first = ordinary.find(|index| applies(&policy.rules[**index], reach, when.posture));
    if let Some(&rule) = first
        && policy.rules[rule].allow
    {
        return Ruling::Allow {
            rule,
            inside: false,
        };
    }
    let reason = match at_normal {
        Some(rule) if policy.rules[rule].allow => Reason::Posture,
        Some(_) => Reason::Rule,
        None => Reason::NoRule,
    };
    Ruling::Refuse {
        reason,
        rule: at_normal,
    }
}

fn applies(rule: &Rule, reach: Reach, posture: Posture) -> bool {
    if !rule.allow {
        return true;
    }
    let survives = rule.survives.unwrap_or(reach.default_survives());
    posture != Posture::Sever && posture <= survives
}

fn holds(service: Service, asks: Asks) -> bool {
    match (service, asks) {
        (Service::Any, _) | (Service::IcmpEcho, Asks::Echo) => true,
        (Service::Tcp(first, last), Asks::Tcp(port))
        | (Service::Udp(first, last), Asks::Udp(port))
        | (Service::Sctp(first, last), Asks::Sctp(port)) => (first..=last).contains(&port),
        _ => false,
    }
}
