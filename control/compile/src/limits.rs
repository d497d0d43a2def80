//! Limits of the tables, and the errors of a policy that exceeds them.

use cordon_policy::{Code, File, Policy, Problem, SourcePosition};
use cordon_verdict::abi::{RULE_FIRST, RULES};

use crate::rows::Size;

/// Limit of pairs of classes in the policy table.
const MAX_PAIRS: usize = 4_000_000;
/// Limit of rows in the policy table.
pub(crate) const MAX_ROWS: usize = 4_000_000;
/// Limit of distinct lists of rules that match pairs of one class, with their prefixes. It bounds the memory of the compiler:
/// 20 bytes each.
pub(crate) const MAX_LISTS: usize = 16_000_000;
/// Limit of matches in all distinct lists, which are kept for [`crate::update`]: 4 bytes each.
pub(crate) const MAX_MATCHES: usize = 400_000_000;
/// Limit of classes, and of service classes: they are numbered by 16 bits.
pub(crate) const MAX_CLASSES: usize = 1 << 16;

/// The error if there are more rules than counters.
pub(crate) fn rules(policy: &Policy) -> Option<Problem> {
    let room = RULES - RULE_FIRST as usize;
    policy.rules.get(room).map(|rule| {
        limit(
            rule.position,
            format!(
                "the policy has {} rules, including the implicit ones of its infrastructure and segments; the limit is {room}",
                policy.rules.len()
            ),
            "write fewer rules, or join segments: one that is not isolated has an implicit rule, an observed one has two",
        )
    })
}

/// The error for too many classes.
pub(crate) fn classes(policy: &Policy, count: usize) -> Option<Problem> {
    numbers(
        policy,
        count,
        "classes of devices and networks",
        "name devices by profile, group or segment instead of one by one",
    )
}

/// The error for too many service classes.
pub(crate) fn services(policy: &Policy, count: usize) -> Option<Problem> {
    numbers(
        policy,
        count,
        "classes of services",
        "name ranges of ports instead of single ports",
    )
}

fn numbers(policy: &Policy, count: usize, what: &str, hint: &str) -> Option<Problem> {
    (count > MAX_CLASSES).then(|| {
        let message = format!("the rules distinguish {count} {what}; the limit is {MAX_CLASSES}");
        limit(top(policy), message, hint)
    })
}

/// Whether a size is within the limits of the tables and of memory.
pub(crate) fn fits(size: Size) -> bool {
    size.pairs <= MAX_PAIRS && size.rows <= MAX_ROWS && size.matches <= MAX_MATCHES
}

/// The error for too many pairs. `costliest` is the index of the rule with the most pairs of classes, and their number.
pub(crate) fn pairs(policy: &Policy, costliest: Option<(usize, usize)>) -> Problem {
    let message =
        format!("the rules match more pairs of classes of hosts than the limit of {MAX_PAIRS}");
    with_costliest(
        policy,
        costliest,
        message,
        "alone matches",
        "`any` at both ends costs most: name a zone, a segment or a group at one end",
    )
}

/// The error for too many rows. `costliest` is the index of the rule that is in the most rows, and their number.
pub(crate) fn rows(policy: &Policy, costliest: Option<(usize, usize)>) -> Problem {
    let message =
        format!("the services of the rules need more entries than the limit of {MAX_ROWS}");
    with_costliest(
        policy,
        costliest,
        message,
        "is in",
        "each service needs an entry per class of hosts: name hosts by profile or segment instead of one by one, and ranges of ports",
    )
}

/// The error for rules that overlap in too many combinations.
pub(crate) fn matches(policy: &Policy) -> Problem {
    limit(
        top(policy),
        "the rules overlap in more combinations than the compiler has memory for".to_owned(),
        "groups that share some of their members cost most: use disjoint groups, profiles or segments",
    )
}

/// An error at the rule that costs most, or at the first rule.
fn with_costliest(
    policy: &Policy,
    costliest: Option<(usize, usize)>,
    message: String,
    verb: &str,
    hint: &str,
) -> Problem {
    match costliest {
        Some((rule, count)) => {
            let rule = &policy.rules[rule];
            let message = format!("{message}; rule `{}` {verb} {count}", rule.name);
            limit(rule.position, message, hint)
        }
        None => limit(top(policy), message, hint),
    }
}

/// The position of the first rule.
fn top(policy: &Policy) -> SourcePosition {
    policy
        .rules
        .first()
        .map_or(SourcePosition::start_of(File::Policy), |rule| rule.position)
}

fn limit(position: SourcePosition, message: String, hint: &str) -> Problem {
    Problem {
        position,
        code: Code::Limit,
        message,
        hint: Some(hint.to_owned()),
    }
}
