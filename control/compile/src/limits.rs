//! What the tables hold, and what is said of a policy that comes to more.

use cordon_policy::{Code, File, Place, Policy, Problem};
use cordon_verdict::abi::{RULE_FIRST, RULES};

use crate::rows::Size;

/// Pairs of classes that the policy table may have.
const PAIRS: usize = 4_000_000;
/// Rows that it may have.
pub(crate) const ROWS: usize = 4_000_000;
/// Different lists of rules that match pairs of one class, as far as they get: so that what is worked out has room in
/// memory as well (20 bytes each).
pub(crate) const LISTS: usize = 16_000_000;
/// Matches in all lists that pairs are told apart by, which are kept for the next policy (4 bytes each).
pub(crate) const MATCHES: usize = 400_000_000;
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
    numbers(
        policy,
        count,
        "kinds of devices and networks",
        "name devices by profile, group or segment rather than one by one",
    )
}

pub(crate) fn services(policy: &Policy, count: usize) -> Option<Problem> {
    numbers(
        policy,
        count,
        "services",
        "name ranges of ports rather than one port after the other",
    )
}

fn numbers(policy: &Policy, count: usize, what: &str, hint: &str) -> Option<Problem> {
    (count > NUMBERS).then(|| {
        let message = format!("the rules tell {count} {what} apart; a gateway holds {NUMBERS}");
        limit(top(policy), message, hint)
    })
}

/// Whether the tables, and memory, hold it.
pub(crate) fn fits(size: Size) -> bool {
    size.pairs <= PAIRS && size.rows <= ROWS && size.matches <= MATCHES
}

/// `dearest` is the index of the rule that would have the most pairs of classes alone, and how many.
pub(crate) fn pairs(policy: &Policy, dearest: Option<(usize, usize)>) -> Problem {
    let message = format!(
        "the rules are about more than the {PAIRS} pairs of kinds of hosts that a gateway holds"
    );
    costly(
        policy,
        dearest,
        message,
        "alone is about",
        "`any` at both ends costs most: name a zone, a segment or a group at one of them",
    )
}

/// `dearest` is the index of the rule that has a part in the most rows, and how many.
pub(crate) fn rows(policy: &Policy, dearest: Option<(usize, usize)>) -> Problem {
    let message = format!(
        "what the rules say of services comes to more than the {ROWS} entries that a gateway holds"
    );
    costly(
        policy,
        dearest,
        message,
        "has a part in",
        "a service costs an entry for every kind of host it is about: name hosts by profile or segment rather than one by one, or ranges of ports",
    )
}

/// Of rules that overlap in too many ways.
pub(crate) fn matches(policy: &Policy) -> Problem {
    limit(
        top(policy),
        "the rules overlap in more ways than a gateway has memory to tell apart".to_owned(),
        "many groups that share some of their members cost most: use groups that share none, profiles or segments",
    )
}

fn costly(
    policy: &Policy,
    dearest: Option<(usize, usize)>,
    message: String,
    part: &str,
    hint: &str,
) -> Problem {
    match dearest {
        Some((rule, count)) => {
            let rule = &policy.rules[rule];
            let message = format!("{message}; rule `{}` {part} {count}", rule.name);
            limit(rule.place, message, hint)
        }
        None => limit(top(policy), message, hint),
    }
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
