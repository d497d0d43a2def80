//! Compiling a policy: whole, or from the policy before if little has changed.

use std::sync::Arc;
use std::time::Instant;

use cordon_policy::{Code, Date, Policy, Problem, Rejected};
use cordon_protocol::Sources;

use crate::active_policy::ActivePolicy;
use crate::store::hash_of;

/// What to do with a policy whose rules break an invariant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Invariants {
    /// Refuse the policy.
    Refuse,
    /// Accept it with a warning: the policy was valid when it was applied, and rules that expire must end.
    Report,
}

/// Validates and compiles a policy, as a change to the policy `before` if it differs in little.
pub fn compile(
    sources: &Sources,
    today: Date,
    invariants: Invariants,
    before: Option<&ActivePolicy>,
) -> Result<ActivePolicy, Rejected> {
    let started = Instant::now();
    let validated = cordon_policy::from_sources(&cordon_policy::Sources {
        site: sources.site.clone(),
        policy: sources.policy.clone(),
        devices: sources.devices.clone(),
    })?;
    let hash = hash_of(sources);
    let (read, policy) = (started.elapsed(), Arc::new(validated.policy));
    let updated = before.and_then(|before| before.update(&policy, &hash, today));
    let mut active = match updated {
        Some(active) => active,
        None => compile_policy(policy, hash, today, invariants)?,
    };
    let unused = active.unused_rules();
    active.warnings.extend(validated.warnings);
    active.warnings.extend(unused);
    active.compile_seconds = started.elapsed().as_secs_f64();
    tracing::info!(
        devices = active.policy.devices.len(),
        rules = active.policy.rules.len(),
        read_seconds = read.as_secs_f64(),
        compile_seconds = active.compile_seconds - read.as_secs_f64(),
        changed_entries = active.after.as_ref().map(|(_, change)| change.len()),
        "policy compiled"
    );
    Ok(active)
}

/// Compiles a whole policy.
pub fn compile_policy(
    policy: Arc<Policy>,
    hash: String,
    today: Date,
    invariants: Invariants,
) -> Result<ActivePolicy, Rejected> {
    let mut broken: Vec<Problem> = Vec::new();
    let compiled = match cordon_compile::compile(&policy, today) {
        Err(rejected) if invariants == Invariants::Report && only_invariants(&rejected) => {
            broken = rejected.problems;
            let without = Policy {
                invariants: Vec::new(),
                ..Policy::clone(&policy)
            };
            cordon_compile::compile(&without, today)?
        }
        compiled => compiled?,
    };
    let mut active = ActivePolicy::new(policy, hash, today, compiled);
    if !broken.is_empty() {
        // Without its invariants the policy cannot be the basis of a change, which is checked against them.
        let _ = active.take_basis();
    }
    active.warnings = broken;
    Ok(active)
}

fn only_invariants(rejected: &Rejected) -> bool {
    let mut problems = rejected.problems.iter();
    problems.all(|problem| problem.code == Code::Invariant)
}

/// Compiles a stored policy, which was valid when it was applied.
pub fn compile_stored(
    sources: &Sources,
    today: Date,
    before: Option<&ActivePolicy>,
) -> Result<ActivePolicy, Rejected> {
    compile(sources, today, Invariants::Report, before)
}
