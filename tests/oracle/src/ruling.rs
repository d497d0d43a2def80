//! Evaluates the rules of the policy, one after the other.

use cordon_policy::{Date, Origin, Policy, Posture, Reach, Rule, Service};
use cordon_verdict::Reason;

use crate::identity::Identity;

/// The service that a packet uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestedService {
    Tcp(u16),
    Udp(u16),
    Sctp(u16),
    Echo,
}

/// The policy's decision on (from, to, service) at a posture.
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

/// Date and posture of an evaluation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    pub today: Date,
    pub posture: Posture,
}

pub(crate) fn evaluate(
    policy: &Policy,
    conditions: Conditions,
    from: &Identity,
    to: &Identity,
    service: RequestedService,
) -> Ruling {
    let matching: Vec<usize> = (0..policy.rules.len())
        .filter(|index| {
            let rule = &policy.rules[*index];
            rule.in_force(conditions.today)
                && rule.from.iter().any(|end| from.matches(policy, *end))
                && rule.to.iter().any(|end| to.matches(policy, *end))
                && rule
                    .services
                    .iter()
                    .any(|allowed| includes(*allowed, service))
        })
        .collect();

    let local = |zone: Option<usize>| zone.is_some_and(|zone| policy.zones[zone].local);
    if to.group.is_some() && to.zone.is_none() && local(from.zone) {
        let inside = at_reach(policy, conditions, &matching, Reach::WithinZone);
        let outside = at_reach(policy, conditions, &matching, Reach::AcrossBoundary);
        return match (inside, outside) {
            (Ruling::Allow { rule, .. }, Ruling::Refuse { .. }) => {
                Ruling::Allow { rule, inside: true }
            }
            _ => inside,
        };
    }
    let reach = Reach::between(policy, from.zone, to.zone);
    at_reach(policy, conditions, &matching, reach)
}

fn at_reach(policy: &Policy, conditions: Conditions, matching: &[usize], reach: Reach) -> Ruling {
    let observes = |index: &&usize| policy.rules[**index].origin == Origin::Observe;
    // At normal every rule applies.
    let at_normal = matching.iter().find(|index| !observes(index)).copied();
    let observed = matching.iter().find(observes).copied();
    let allowed_at_normal = at_normal.filter(|index| policy.rules[*index].allow);

    if allowed_at_normal.is_none()
        && let Some(rule) = observed
    {
        if applies(&policy.rules[rule], reach, conditions.posture) {
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
    let first = ordinary.find(|index| applies(&policy.rules[**index], reach, conditions.posture));
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

fn includes(allowed: Service, service: RequestedService) -> bool {
    match (allowed, service) {
        (Service::Any, _) | (Service::IcmpEcho, RequestedService::Echo) => true,
        (Service::Tcp(first, last), RequestedService::Tcp(port))
        | (Service::Udp(first, last), RequestedService::Udp(port))
        | (Service::Sctp(first, last), RequestedService::Sctp(port)) => {
            (first..=last).contains(&port)
        }
        _ => false,
    }
}
