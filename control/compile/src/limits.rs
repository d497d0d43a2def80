//! What the tables hold, and what is said of a policy that comes to more.

use cordon_policy::{Code, File, Place, Policy, Problem};
use cordon_verdict::abi::{RULE_FIRST, RULES};

use crate::rows::Size;

/// Pairs of classes, and rows, that the policy table may have.
const ROWS: usize = 4_000_000;
/// Classes, and service classes, that have a number.
pub(crate) const NUMBERS: usize = 1 << 16;

/// Every rule has a counter.
pub(crate) fn rules(policy: &Policy) -> Option<Problem> {
    let room = RULES - RULE_FIRST as usize;
    policy.rules.get(room).map(|rule| {
        limit(
            rule.place,
            format!(
                "the policy comes to {} rules, with those of its infrastructure and segments; a gateway holds {room}",
                policy.rules.len()
            ),
            "segments that are not isolated have a rule of their own, and observed ones two: join some, or write fewer rules",
        )
    })
}

pub(crate) fn classes(policy: &Policy, count: usize) -> Option<Problem> {
    (count > NUMBERS).then(|| {
        limit(
            top(policy),
            format!("the rules tell {count} kinds of devices and networks apart; a gateway holds {NUMBERS}"),
            "name devices by profile, group or segment rather than one by one",
        )
    })
}

pub(crate) fn services(policy: &Policy, count: usize) -> Option<Problem> {
    (count > NUMBERS).then(|| {
        limit(
            top(policy),
            format!("the rules tell {count} services apart; a gateway holds {NUMBERS}"),
            "name ranges of ports rather than one port after the other",
        )
    })
}

/// Whether the tables hold it.
pub(crate) fn fits(size: Size) -> bool {
    size.pairs.max(size.rows) <= ROWS
}

/// `dearest` is the index of the rule that has a part in the most pairs of classes and services, and how many.
pub(crate) fn rows(policy: &Policy, dearest: Option<(usize, usize)>) -> Problem {
    let (place, which) = match dearest {
        Some((rule, count)) => {
            let rule = &policy.rules[rule];
            let which = format!("; rule `{}` alone comes to {count}", rule.name);
            (rule.place, which)
        }
        None => (top(policy), String::new()),
    };
    limit(
        place,
        format!("the policy comes to more than the {ROWS} entries that a gateway holds{which}"),
        "`any` at both ends costs most, then many services for hosts that rules name one by one: name a zone, a segment or a group, or ranges of ports",
    )
}

/// Where the rules begin.
fn top(policy: &Policy) -> Place {
    policy.rules.first().map_or(
        Place {
            file: File::Policy,
            line: 1,
            column: 1,
        },
        |rule| rule.place,
    )
}

fn limit(place: Place, message: String, hint: &str) -> Problem {
    Problem {
        place,
        code: Code::Limit,
        message,
        hint: Some(hint.to_owned()),
    }
}
