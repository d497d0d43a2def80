//! Keeps the ledger of observed segments up to date: from events, from the flow table, and on changes of policy.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, UNIX_EPOCH};

use cordon_kernel::FlowEntry;
use cordon_verdict::{Reason, abi};

use crate::active_policy::ActivePolicy;
use crate::clock::Clock;
use crate::durable;
use crate::engine::{Gateway, InForce};
use crate::probe::ProbeOutcome;
use crate::sync::lock;

use super::identify::conversation_of;
use super::ledger::{Conversation, Evidence, FlowId, Ledger};
use super::opening::FlowOpening;
use super::policy_index::PolicyIndex;
use super::shadow::{ShadowPolicy, ShadowVerdict};

/// How often to check whether the policy has changed.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How often to scan the flow table. An unanswered flow stays in it for longer than this.
const SCAN_INTERVAL: Duration = Duration::from_secs(10);
/// How often to write the ledger to disk.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// The ledger of observed segments, and the shadow policy that its flows are judged by.
pub struct Observed {
    shadow: Mutex<Option<Arc<ShadowPolicy>>>,
    /// Held while a shadow policy is compiled.
    compiling: Mutex<()>,
    ledger: Mutex<Ledger>,
    /// Held while the flow table is scanned.
    scanning: Mutex<()>,
    clock: Arc<dyn Clock>,
    file: PathBuf,
}

impl Observed {
    /// Reads the ledger from the state directory.
    pub fn new(state: &Path, clock: Arc<dyn Clock>) -> Observed {
        let file = state.join("observed.json");
        let ledger = match fs::read(&file) {
            Err(_) => Ledger::default(),
            Ok(text) => Ledger::from_json(&text).unwrap_or_else(|| {
                tracing::warn!(
                    "{} is damaged or has another version: the record of observed segments starts empty",
                    file.display()
                );
                Ledger::default()
            }),
        };
        Observed {
            shadow: Mutex::default(),
            compiling: Mutex::default(),
            ledger: Mutex::new(ledger),
            scanning: Mutex::default(),
            clock,
            file,
        }
    }

    /// The shadow policy of a policy, compiled if it is not yet; none if no segment is observed.
    pub fn shadow_policy(&self, active: &Arc<ActivePolicy>) -> Option<Arc<ShadowPolicy>> {
        active.observed_segments().next()?;
        if let Some(shadow) = self.compiled_shadow(active) {
            return Some(shadow);
        }
        let _guard = lock(&self.compiling);
        if let Some(shadow) = self.compiled_shadow(active) {
            return Some(shadow);
        }
        let compiled = ShadowPolicy::new(active).map(Arc::new);
        lock(&self.shadow).clone_from(&compiled);
        compiled
    }

    /// The shadow policy of a policy, if it has been compiled.
    fn compiled_shadow(&self, active: &Arc<ActivePolicy>) -> Option<Arc<ShadowPolicy>> {
        let shadow = lock(&self.shadow).clone();
        shadow.filter(|shadow| Arc::ptr_eq(&shadow.base, active))
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    fn now(&self) -> u64 {
        let since = self.clock.wall().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }

    /// Records the flow of an event. Returns the verdict of the shadow policy if an observe rule let the flow pass.
    pub fn record_event(
        &self,
        event: &abi::Event,
        active: &Arc<ActivePolicy>,
    ) -> Option<(Arc<ShadowPolicy>, ShadowVerdict)> {
        if !active.is_observe_rule(event.rule) {
            return None;
        }
        let opening = FlowOpening::of_event(event, active)?;
        let shadow = self.compiled_shadow(active)?;
        let verdict = shadow.judge(&opening);
        self.record_flow(&shadow, (&opening, Evidence::Event), event.segment, verdict);
        Some((shadow, verdict))
    }

    fn record_flow(
        &self,
        shadow: &ShadowPolicy,
        (opening, evidence): (&FlowOpening, Evidence),
        segment: u16,
        verdict: ShadowVerdict,
    ) {
        let (conversation, rule) = match verdict {
            ShadowVerdict::Drops(rule) => (
                conversation_of(&shadow.base, opening, segment),
                shadow.enforced.rule(rule),
            ),
            _ => (None, None),
        };
        let (now, mut ledger) = (self.now(), self.ledger());
        let FlowOpening {
            ips,
            ports,
            protocol,
            ..
        } = *opening;
        if opening.is_to_group() {
            let id = FlowId::to_group(segment, ips[0], ports, protocol);
            return ledger.group_traffic(id, conversation, rule, now);
        }
        let id = FlowId::new(ips, ports, protocol);
        ledger.flow_opened((id, evidence), conversation, rule, now);
    }

    /// Starts the thread that follows changes of policy, scans the flow table and saves the ledger.
    ///
    /// # Errors
    /// If the thread cannot be created.
    pub fn start(self: &Arc<Observed>, gateway: &Arc<Gateway>) -> std::io::Result<()> {
        let (observed, gateway) = (Arc::clone(self), Arc::clone(gateway));
        let work = move || {
            let mut known: Option<Arc<ActivePolicy>> = None;
            let (mut scanned, mut saved) = (Instant::now(), Instant::now());
            loop {
                let current = gateway.engine().current();
                if let Some(active) = current {
                    if !known
                        .as_ref()
                        .is_some_and(|known| Arc::ptr_eq(known, &active))
                    {
                        observed.reevaluate(&active);
                        scanned = Instant::now();
                        known = Some(active);
                    } else if scanned.elapsed() >= SCAN_INTERVAL {
                        observed.scan_flows(&gateway, &active);
                        scanned = Instant::now();
                    }
                }
                if saved.elapsed() >= SAVE_INTERVAL {
                    observed.ledger().age(saved.elapsed().as_secs());
                    observed.save();
                    saved = Instant::now();
                }
                std::thread::sleep(POLL_INTERVAL);
            }
        };
        let thread = std::thread::Builder::new().name("observed".to_owned());
        thread.spawn(work).map(drop)
    }

    /// Evaluates the ledger by a policy that has just been put into force: what that allows is removed.
    pub(super) fn reevaluate(&self, active: &Arc<ActivePolicy>) {
        let shadow = self.shadow_policy(active);
        let index = shadow
            .as_ref()
            .map(|shadow| PolicyIndex::new(&shadow.enforced));
        let observed = active.observed_segments();
        let observed: HashSet<&str> = observed.map(|segment| segment.name.as_str()).collect();
        // The ledger is not held meanwhile: events would wait for it.
        let conversations = self.ledger().list();
        let probe = |conversation: &Conversation| {
            let index = index.as_ref()?;
            observed
                .contains(&*conversation.segment)
                .then(|| index.probe(conversation))
        };
        let outcomes: HashMap<&Conversation, Option<ProbeOutcome>> = conversations
            .iter()
            .map(|conversation| (&**conversation, probe(conversation)))
            .collect();
        self.ledger().reevaluate(|conversation, record| {
            let name = |rule| index.as_ref().and_then(|index| index.active.rule(rule));
            match outcomes.get(conversation) {
                Some(None | Some(ProbeOutcome::Forwarded)) => None,
                Some(Some(ProbeOutcome::Dropped(Reason::Rule | Reason::NoRule, rule))) => {
                    Some(name(*rule).map(str::to_owned))
                }
                // The probe is built from addresses alone and does not reach the rules, as the frame did; or the
                // conversation was added since the list was taken.
                Some(Some(ProbeOutcome::Dropped(..) | ProbeOutcome::Unknown)) | None => {
                    Some(record.rule.clone())
                }
            }
        });
    }

    /// Scans the flow table.
    pub fn scan_flows(&self, gateway: &Gateway, active: &Arc<ActivePolicy>) {
        let _guard = lock(&self.scanning);
        let Some(shadow) = self.shadow_policy(active) else {
            return;
        };
        self.ledger().begin_scan();
        let now = self.now();
        let Some(entries) = observed_flows(gateway, active) else {
            return;
        };
        for (entry, is_current) in &entries {
            // The entry of packets to a group does not say which group: only events do.
            if self.update_tracked(entry, now) || !is_current || entry.is_to_group() {
                continue;
            }
            let Some(opening) = FlowOpening::of_flow(entry, active) else {
                continue;
            };
            let verdict = shadow.judge(&opening);
            self.record_flow(
                &shadow,
                (&opening, Evidence::FlowTable),
                entry.segment,
                verdict,
            );
            self.update_tracked(entry, now);
        }
        self.ledger().end_scan();
    }

    /// Updates the byte count of a flow; returns whether it is tracked.
    fn update_tracked(&self, entry: &FlowEntry, now: u64) -> bool {
        let id = match entry.is_to_group() {
            true => FlowId::group_entry(entry.segment, entry.address, entry.port, entry.protocol),
            false => FlowId::new(entry.address, entry.port, entry.protocol),
        };
        let mut ledger = self.ledger();
        ledger.update(id, entry.bytes(0) + entry.bytes(1), now);
        ledger.tracks(id)
    }

    /// Writes the ledger to disk if it has changed.
    pub fn save(&self) {
        let text = {
            let mut ledger = self.ledger();
            if !ledger.changed {
                return;
            }
            ledger.changed = false;
            ledger.to_json()
        };
        if let Err(error) = durable::replace(&self.file, &text) {
            self.ledger().changed = true;
            tracing::warn!("{} cannot be written: {error}", self.file.display());
        }
    }
}

/// The flows that an observe rule of this policy lets pass, each with `true`; and those judged by the policy before,
/// with `false`, because they may be tracked already. None if the policy is not in force, or the kernel does not answer.
fn observed_flows(gateway: &Gateway, active: &Arc<ActivePolicy>) -> Option<Vec<(FlowEntry, bool)>> {
    let engine = gateway.engine();
    let Ok(InForce::Tables(control)) = engine.in_force() else {
        return None;
    };
    let in_slot = gateway.slots.get(control.slot);
    if !in_slot.is_some_and(|in_slot| Arc::ptr_eq(&in_slot, active)) {
        return None;
    }
    let first_epoch = engine.first_epochs()[usize::from(control.slot)];
    // Only copies entries: an order may be waiting for the engine.
    let mut entries = Vec::new();
    engine.flows(&mut |entry| {
        let is_current = entry.epoch() >= first_epoch;
        if !is_current || active.is_observe_rule(entry.flow.ruling().rule()) {
            entries.push((entry, is_current));
        }
    });
    Some(entries)
}
