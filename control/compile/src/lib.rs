//! Compiles a validated policy to the tables of the data plane, with a ruling for every pair of ends that its rules
//! distinguish.
//!
//! [`compile`] is pure: the same policy on the same day gives the same tables.

mod attachments;
mod classes;
mod ends;
mod explanation;
mod identity;
mod idle_timeout;
mod incremental;
mod invariants;
mod limits;
mod matches;
mod members;
mod networks;
mod rows;
mod rule_effects;
mod ruling;
mod services;

use cordon_policy::{Date, Policy, Problem, Rejected};
use cordon_tables::Generation;
use cordon_verdict::abi::RULE_FIRST;
use cordon_verdict::abi::cuckoo::pair;

pub use idle_timeout::idle_timeout_of;
pub use incremental::{Basis, Updated, update};
pub use rule_effects::RuleEffects;

use classes::Classes;
use ends::Ends;
use identity::Identities;
use invariants::Check;
use rows::Rows;
use services::Services;

/// A policy as tables.
#[derive(Debug)]
pub struct Compiled {
    /// The tables.
    pub generation: Generation,
    /// The number of rule numbers, including those of built-in rules: `RULE_FIRST + policy.rules.len()`.
    pub rules: usize,
    /// The number of classes: sets of ends that no rule distinguishes.
    pub classes: usize,
    /// The intermediate results that [`update`] starts from.
    pub basis: Basis,
}

/// The number of a rule in the tables, by its index in [`Policy::rules`]. Expired rules have numbers too. Numbers below
/// [`RULE_FIRST`] are built-in rules: see [`cordon_verdict::abi::built_in`].
pub fn rule_number(index: usize) -> u32 {
    u32::try_from(index).map_or(u32::MAX, |index| RULE_FIRST.saturating_add(index))
}

/// The index in [`Policy::rules`] of the rule with a number; none for built-in rules.
pub fn rule_index(number: u32) -> Option<usize> {
    number.checked_sub(RULE_FIRST).map(|index| index as usize)
}

/// Compiles a policy to tables. Rules that have expired on the day `today` are left out.
///
/// # Errors
/// Every error with its position: invariants that the rules break ([`cordon_policy::Code::Invariant`]), and exceeded limits of
/// the tables ([`cordon_policy::Code::Limit`]).
pub fn compile(policy: &Policy, today: Date) -> Result<Compiled, Rejected> {
    let mut problems: Vec<Problem> = limits::rules(policy).into_iter().collect();

    let ends = Ends::new(policy, today);
    let mut identities = Identities::default();
    let networks = networks::find(policy, &ends, &mut identities);
    let members = members::find(policy, &ends, &mut identities);

    let classes = Classes::new(policy, &ends, &identities);
    let services = Services::new(policy, today);
    let unnumbered: Vec<Problem> = limits::classes(policy, classes.count())
        .into_iter()
        .chain(limits::services(policy, services.count()))
        .collect();
    if !unnumbered.is_empty() {
        // Without numbers for all classes, there are no rows, and invariants cannot be checked.
        problems.extend(unnumbered);
        return Err(rejected(problems));
    }
    let rows = Rows::new(policy, today, &ends, &classes, &services);
    let check = |rows| Check {
        policy,
        today,
        ends: &ends,
        identities: &identities,
        classes: &classes,
        services: &services,
        rows,
    };
    match &rows {
        Ok(rows) => problems.extend(check(rows).all()),
        Err(problem) => problems.push(problem.clone()),
    }
    let (Ok(rows), true) = (rows, problems.is_empty()) else {
        return Err(rejected(problems));
    };

    let mut generation = Generation::default();
    generation.services = services.table();
    networks::write(policy, &networks, &classes, &mut generation);
    attachments::write(policy, &members, &classes, &mut generation);
    members::write(policy, &members, &classes, &mut generation);
    write_rows(&rows, &mut generation);
    Ok(Compiled {
        generation,
        rules: RULE_FIRST as usize + policy.rules.len(),
        classes: classes.count(),
        basis: Basis::new(policy, today, ends, identities, classes, services, rows),
    })
}

fn write_rows(rows: &Rows, generation: &mut Generation) {
    let table = &mut generation.policy;
    table.sets.reserve(rows.size().pairs);
    for ((from, to), set) in rows.pairs() {
        table.sets.insert(pair(from, to), set);
    }
    table.rows.reserve(rows.size().rows);
    for (key, row) in rows.rows(rows.sets()) {
        table.rows.insert(key, row);
    }
}

fn rejected(mut problems: Vec<Problem>) -> Rejected {
    problems.sort_by_key(|problem| problem.position);
    Rejected { problems }
}
