//! Policies: applied, confirmed, gone back from, compiled anew when the day changes.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use cordon_kernel::Error;
use cordon_policy::{Code, Date, Policy, Problem, Rejected};
use cordon_protocol::{Applied, Apply, PolicyStatus, Sources};

use super::staging::Staged;
use super::{Engine, Gateway};
use crate::clock::{self, Countdown};
use crate::names::Named;
use crate::refusal::Refusal;
use crate::state::{State, StoredPolicy, Trial};
use crate::store::{Store, StoreError, hash_of};
use crate::views;

/// The longest time to confirm a policy in: a day.
const LONGEST_TRIAL: u64 = 86400;

/// What to do about an invariant that the rules break.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Invariants {
    /// A policy that breaks one is refused.
    Refuse,
    /// It was accepted once; since then the day has changed, and a rule expired. What was said to end ends, and the
    /// operator is told what no longer holds.
    Tell,
}

/// Where there is a policy in force, it is looked whether the new one differs from it in little.
fn compile(
    sources: &Sources,
    today: Date,
    invariants: Invariants,
    before: Option<&Named>,
) -> Result<Named, Rejected> {
    let started = Instant::now();
    let validated = cordon_policy::from_sources(&cordon_policy::Sources {
        site: sources.site.clone(),
        policy: sources.policy.clone(),
        devices: sources.devices.clone(),
    })?;
    let hash = hash_of(sources);
    let (read, policy) = (started.elapsed(), Arc::new(validated.policy));
    let updated = before.and_then(|before| before.update(&policy, &hash, today));
    let mut named = match updated {
        Some(named) => named,
        None => compile_policy(policy, hash, today, invariants)?,
    };
    let unused = named.unused_rules();
    named.warnings.extend(validated.warnings);
    named.warnings.extend(unused);
    named.compile_seconds = started.elapsed().as_secs_f64();
    tracing::info!(
        devices = named.policy.devices.len(),
        rules = named.policy.rules.len(),
        read_seconds = read.as_secs_f64(),
        compile_seconds = named.compile_seconds - read.as_secs_f64(),
        changed_entries = named.after.as_ref().map(|(_, change)| change.len()),
        "policy compiled"
    );
    Ok(named)
}

fn compile_policy(
    policy: Arc<Policy>,
    hash: String,
    today: Date,
    invariants: Invariants,
) -> Result<Named, Rejected> {
    let mut broken: Vec<Problem> = Vec::new();
    let compiled = match cordon_compile::compile(&policy, today) {
        Err(rejected) if invariants == Invariants::Tell && only_invariants(&rejected) => {
            broken = rejected.problems;
            let without = Policy {
                invariants: Vec::new(),
                ..Policy::clone(&policy)
            };
            cordon_compile::compile(&without, today)?
        }
        compiled => compiled?,
    };
    let mut named = Named::new(policy, hash, today, compiled);
    if !broken.is_empty() {
        // What keeps none of its invariants cannot be looked at for those that a change would break.
        let _ = named.take_basis();
    }
    named.warnings = broken;
    Ok(named)
}

fn only_invariants(rejected: &Rejected) -> bool {
    let mut problems = rejected.problems.iter();
    problems.all(|problem| problem.code == Code::Invariant)
}

/// Of a policy that is to be put back into force.
pub(super) fn compile_stored(
    sources: &Sources,
    today: Date,
    before: Option<&Named>,
) -> Result<Named, Rejected> {
    compile(sources, today, Invariants::Tell, before)
}

/// What is to be done without holding the engine.
pub enum Job {
    /// The policy on trial was not confirmed: back to this one, or to none.
    GoBack(Option<Sources>),
    /// The day has changed.
    Recompile(Arc<Named>),
    /// The slot that is not in force is to hold the policy that is.
    PrepareSpare,
}

impl Gateway {
    /// Puts a policy into force.
    ///
    /// # Errors
    /// [`Refusal`]; what was in force then stays in force.
    pub fn apply(&self, apply: &Apply) -> Result<Applied, Refusal> {
        let trial = match apply.confirm_seconds {
            None => None,
            Some(seconds @ 1..=LONGEST_TRIAL) => Some(Duration::from_secs(seconds)),
            Some(_) => {
                return Err(Refusal::BadRequest {
                    message: "the time to confirm in is a second to a day".to_owned(),
                    hint: "`--confirm 10m` goes back after ten minutes, unless confirmed",
                });
            }
        };
        let today = clock::date(self.clock.wall());
        let applied = self.while_compiling(|| {
            let before = self.engine().current();
            let named = compile(&apply.sources, today, Invariants::Refuse, before.as_deref())?;
            self.put_into_force(&Arc::new(named), &apply.sources, trial)
        });
        self.take_apart_what_is_gone();
        applied
    }

    /// Makes the sources durable and writes the tables without holding the engine, then puts them into force.
    fn put_into_force(
        &self,
        named: &Arc<Named>,
        sources: &Sources,
        trial: Option<Duration>,
    ) -> Result<Applied, Refusal> {
        let store = self.engine().expect(&named.hash, trial)?;
        let kept = store.add_sources(sources);
        let staged = kept.map(|_| self.stage(Some(Arc::clone(named))));
        let mut engine = self.engine();
        let applied = engine.apply(named, staged, trial);
        engine.coming = None;
        if applied.is_err() {
            engine.forget_policies();
        }
        applied?;
        engine.applied()
    }

    /// A policy of a hundred thousand devices is a million small pieces: nobody is to wait for them.
    fn take_apart_what_is_gone(&self) {
        let gone = std::mem::take(&mut self.engine().gone);
        drop(gone);
    }

    /// Does what a tick found to be done.
    pub(super) fn work(&self, job: Job) {
        let today = clock::date(self.clock.wall());
        self.while_compiling(|| match job {
            Job::GoBack(sources) => {
                let before = self.engine().current();
                let before = before.as_deref();
                let named = sources
                    .map(|sources| compile_stored(&sources, today, before).map(Arc::new))
                    .transpose();
                let staged = match &named {
                    Ok(named) if self.engine().is_over() => self.stage(named.clone()),
                    _ => Ok(None),
                };
                self.engine().go_back(named, staged);
            }
            Job::Recompile(before) => {
                let policy = Arc::clone(&before.policy);
                let hash = before.hash.clone();
                let started = Instant::now();
                let compiled = compile_policy(policy, hash, today, Invariants::Tell);
                let compiled = compiled.map(|mut named| {
                    named.compile_seconds = started.elapsed().as_secs_f64();
                    Arc::new(named)
                });
                let differs =
                    |named: &Named| !before.generation(|old| named.generation(|new| old == new));
                let staged = match &compiled {
                    Ok(named) if differs(named) => self.stage(Some(Arc::clone(named))).map(Some),
                    _ => Ok(None),
                };
                self.engine().recompiled(&before, compiled, staged);
            }
            Job::PrepareSpare => self.prepare_spare(),
        });
        self.take_apart_what_is_gone();
    }

    /// Compiles: one at a time, and without holding the engine, so that orders do not wait for it.
    pub(crate) fn while_compiling<T>(&self, work: impl FnOnce() -> T) -> T {
        let _one_at_a_time = self
            .compiling
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        work()
    }
}

impl Engine {
    /// A policy is to be put into force: its sources will be needed.
    fn expect(&mut self, hash: &str, trial: Option<Duration>) -> Result<Arc<dyn Store>, Refusal> {
        if trial.is_some() && self.state.lost {
            return Err(Refusal::Conflict {
                message: "it is not known which policy is in force, so there is none to go back to"
                    .to_owned(),
                hint: "apply it without a time to confirm in".to_owned(),
            });
        }
        self.coming = Some(hash.to_owned());
        Ok(Arc::clone(&self.store))
    }

    fn apply(
        &mut self,
        named: &Arc<Named>,
        staged: Result<Result<Option<Staged>, Error>, StoreError>,
        trial: Option<Duration>,
    ) -> Result<(), Refusal> {
        let not_durable = |source| Refusal::NotDurable {
            what: "the policy was not applied, because it could not be made durable",
            source,
        };
        let not_applied = |source| Refusal::Dataplane {
            what: "the policy was not applied",
            source,
        };
        let staged = staged.map_err(not_durable)?.map_err(not_applied)?;
        let trial = trial.map(|time| Trial {
            back_to: self.confirmed(),
            end: Countdown::start(&*self.clock, time),
        });
        let next = self.next(Some(&named.hash), trial);
        self.store.prepare_state(&next).map_err(not_durable)?;
        // In force first: a policy that the kernel does not take must not be what a reboot finds. The state is on
        // the disk already, but for its name.
        let before = self.current.clone();
        let in_force = self.in_force().ok();
        if let Err(source) = self.change_kernel(Some(Arc::clone(named)), staged) {
            if self.in_force().ok() != in_force {
                self.put_back(before);
            }
            return Err(not_applied(source));
        }
        if let Err(source) = self.store.commit_state() {
            self.put_back(before);
            // Which of the two the disk has is not certain: write the old one again.
            let _ = self.save();
            return Err(not_durable(source));
        }
        self.state = next;
        self.dirty = false;
        for over in ["durability", "policy", "state", "trial"] {
            self.warn(over, None);
        }
        self.forget_policies();
        self.tell_warnings();
        tracing::info!(
            hash = named.hash,
            generation = self.state.generation,
            devices = named.policy.devices.len(),
            "policy in force"
        );
        Ok(())
    }

    fn next(&self, hash: Option<&String>, trial: Option<Trial>) -> State {
        let mut next = self.state.clone();
        next.refresh(&*self.clock);
        next.generation += 1;
        next.lost = false;
        next.policy = hash.map(|hash| StoredPolicy {
            hash: hash.clone(),
            applied: self.now(),
            trial,
        });
        next
    }

    /// The policy that was last in force without a trial.
    fn confirmed(&self) -> Option<String> {
        let stored = self.state.policy.as_ref()?;
        match &stored.trial {
            Some(trial) => trial.back_to.clone(),
            None => Some(stored.hash.clone()),
        }
    }

    fn put_back(&mut self, before: Option<Arc<Named>>) {
        if let Err(error) = self.change_kernel(before, None) {
            self.warn(
                "policy",
                Some(format!("the policy before could not be put back: {error}")),
            );
        }
    }

    /// Removes the sources of policies that nothing goes back to.
    fn forget_policies(&self) {
        let stored = self.state.policy.as_ref();
        let back = stored
            .and_then(|stored| stored.trial.as_ref())
            .and_then(|trial| trial.back_to.as_deref());
        let hashes: Vec<&str> = stored
            .map(|stored| stored.hash.as_str())
            .into_iter()
            .chain(back)
            .chain(self.coming.as_deref())
            .collect();
        self.store.keep_only(&hashes);
    }

    /// Ends a trial: the policy stays.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] if there is none, [`Refusal::NotDurable`].
    pub fn confirm(&mut self) -> Result<Applied, Refusal> {
        let stored = self.state.policy.as_mut();
        let Some(trial) = stored.and_then(|stored| stored.trial.take()) else {
            return Err(Refusal::Conflict {
                message: "there is nothing to confirm: the policy in force is not on trial".to_owned(),
                hint: "`cordon status` shows what is in force; an unconfirmed policy has gone back by itself"
                    .to_owned(),
            });
        };
        if let Err(source) = self.save() {
            if let Some(stored) = &mut self.state.policy {
                stored.trial = Some(trial);
            }
            let what = "the policy was not confirmed, because that could not be made durable";
            return Err(Refusal::NotDurable { what, source });
        }
        self.forget_policies();
        self.applied()
    }

    /// What there is to do, if anything: found under the lock, done without it.
    pub(super) fn job(&mut self) -> Option<Job> {
        let urgent = self.urgent_job();
        urgent.or_else(|| self.spare_is_stale().then_some(Job::PrepareSpare))
    }

    fn urgent_job(&mut self) -> Option<Job> {
        let trial = self.state.policy.as_ref()?.trial.clone();
        if let Some(trial) = trial
            && trial.end.is_over(&*self.clock)
        {
            let sources = trial.back_to.map(|hash| self.store.sources(&hash));
            match sources.transpose() {
                Ok(sources) => return Some(Job::GoBack(sources)),
                Err(error) => self.cannot_go_back(&error.to_string()),
            }
        }
        let current = self.current.as_ref()?;
        let today = clock::date(self.clock.wall());
        (current.day != today).then(|| Job::Recompile(Arc::clone(current)))
    }

    /// Whether the policy in force was on trial, and was not confirmed in time.
    fn is_over(&self) -> bool {
        let trial = self.state.policy.as_ref();
        let trial = trial.and_then(|stored| stored.trial.as_ref());
        trial.is_some_and(|trial| trial.end.is_over(&*self.clock))
    }

    fn go_back(
        &mut self,
        named: Result<Option<Arc<Named>>, Rejected>,
        staged: Result<Option<Staged>, Error>,
    ) {
        if !self.is_over() {
            // Confirmed, or replaced, while the old one was being compiled.
            return;
        }
        let named = match named {
            Ok(named) => named,
            Err(rejected) => return self.cannot_go_back(&rejected.to_string()),
        };
        let next = self.next(named.as_ref().map(|named| &named.hash), None);
        let changed = staged.and_then(|staged| self.change_kernel(named, staged));
        if let Err(error) = changed {
            let text =
                format!("the unconfirmed policy is still in force: {error}; it is tried again");
            return self.warn("policy", Some(text));
        }
        self.state = next;
        // If it cannot be written, a restart finds the same trial over again.
        let _ = self.save();
        self.forget_policies();
        self.tell_warnings();
        self.warn("policy", None);
        // For whoever lost the line while trying it out, and looks later.
        let text =
            "the policy applied last was not confirmed in time: the one before is in force again";
        self.warn("trial", Some(text.to_owned()));
    }

    fn cannot_go_back(&mut self, why: &str) {
        let text = format!(
            "the policy was not confirmed, but the one before cannot be put back ({why}): the unconfirmed one stays"
        );
        self.warn("policy", Some(text));
        if let Some(stored) = &mut self.state.policy {
            stored.trial = None;
        }
        let _ = self.save();
    }

    fn recompiled(
        &mut self,
        before: &Arc<Named>,
        compiled: Result<Arc<Named>, Rejected>,
        staged: Result<Option<Option<Staged>>, Error>,
    ) {
        let same = |current: &Arc<Named>| Arc::ptr_eq(current, before);
        if !self.current.as_ref().is_some_and(same) {
            return;
        }
        let installed = match compiled {
            Ok(named) => {
                let done = staged.and_then(|staged| match staged {
                    None => self.rename_day(named),
                    Some(staged) => self.change_kernel(Some(named), staged),
                });
                done.map_err(|error| error.to_string())
            }
            Err(rejected) => Err(rejected.to_string()),
        };
        let text = installed.err().map(|why| {
            format!("rules that expired yesterday are still in force: {why}; it is tried again")
        });
        self.warn("day", text);
        self.tell_warnings();
    }

    /// Invariants that hold no longer are something to look at.
    pub(super) fn tell_warnings(&mut self) {
        let current = self.current.as_ref();
        let broken: Vec<String> = current
            .iter()
            .flat_map(|named| &named.warnings)
            .filter(|problem| problem.code == Code::Invariant)
            .map(|problem| format!("{}: {}", problem.place, problem.message))
            .collect();
        let text = (!broken.is_empty()).then(|| {
            let list = broken.join("; ");
            format!("since a rule has expired, the policy breaks an invariant: {list}")
        });
        self.warn("invariants", text);
    }

    /// The policy in force, as it is told.
    pub fn policy_status(&self) -> Option<PolicyStatus> {
        let stored = self.state.policy.as_ref()?;
        let current = self.current.as_ref()?;
        Some(PolicyStatus {
            hash: stored.hash.clone(),
            generation: self.state.generation,
            applied: stored.applied.clone(),
            devices: current.policy.devices.len(),
            rules: current.policy.rules.len(),
            classes: current.classes,
            reverts: stored
                .trial
                .as_ref()
                .map(|trial| trial.end.until(&*self.clock)),
        })
    }

    fn applied(&self) -> Result<Applied, Refusal> {
        let (Some(policy), Some(current)) = (self.policy_status(), &self.current) else {
            return Err(Refusal::Internal("no policy is in force".to_owned()));
        };
        Ok(Applied {
            policy,
            compile_milliseconds: current.compile_seconds * 1000.0,
            install_milliseconds: self.last_install.as_secs_f64() * 1000.0,
            warnings: current.warnings.iter().map(views::problem).collect(),
        })
    }
}
