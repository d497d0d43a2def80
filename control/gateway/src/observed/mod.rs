//! What enforcement would have dropped in observed segments: which talks, by which rule or by none.
//!
//! A flow that only a rule `observe:...` lets pass is judged once more by the policy without such rules. Who opens one is
//! told of by an event; what events miss, and the bytes, are found in the flow table.

mod ledger;
mod tell;
#[cfg(test)]
pub mod tests;
mod twin;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use cordon_kernel::FlowEntry;
use cordon_policy::Mode;
use cordon_protocol::ObservedEnd;
use cordon_verdict::{Ip, Mac, Reason, abi};

use crate::clock::Clock;
use crate::engine::{Gateway, InForce};
use crate::explain::Fate;
use crate::explain::ends::of_address;
use crate::explain::packet::Packet;
use crate::names::{Named, ip_address};

pub use ledger::Sum;
use ledger::{FlowId, Host, Known, Ledger, Talk};
use tell::Names;
pub use twin::{Enforced, Opening, Twin, has_observed, observes};

/// How often it is looked whether the policy is another.
const TURN: Duration = Duration::from_millis(500);
/// How often the flow table is looked through: an unanswered flow stays in it for longer.
const LOOK: Duration = Duration::from_secs(10);
/// How often what is known is written down.
const SAVE: Duration = Duration::from_secs(60);

/// What is known of observed segments.
pub struct Observed {
    twin: Mutex<Option<Arc<Twin>>>,
    /// Held while one is compiled.
    compiling: Mutex<()>,
    ledger: Mutex<Ledger>,
    /// Held while the flow table is looked through: one at a time.
    looking: Mutex<()>,
    clock: Arc<dyn Clock>,
    file: PathBuf,
}

impl Observed {
    /// Reads what was written down in the directory of the state.
    pub fn new(state: &Path, clock: Arc<dyn Clock>) -> Observed {
        let file = state.join("observed.json");
        let ledger = match fs::read(&file) {
            Err(_) => Ledger::default(),
            Ok(text) => Ledger::read(&text).unwrap_or_else(|| {
                tracing::warn!(
                    "{} is damaged or of another version: what observed segments let be is noted anew",
                    file.display()
                );
                Ledger::default()
            }),
        };
        Observed {
            twin: Mutex::default(),
            compiling: Mutex::default(),
            ledger: Mutex::new(ledger),
            looking: Mutex::default(),
            clock,
            file,
        }
    }

    /// The twin of a policy; none if it observes nothing. It may have to be compiled.
    pub fn twin(&self, named: &Arc<Named>) -> Option<Arc<Twin>> {
        if !has_observed(named) {
            return None;
        }
        if let Some(twin) = self.ready(named) {
            return Some(twin);
        }
        let _turn = self
            .compiling
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(twin) = self.ready(named) {
            return Some(twin);
        }
        let made = Twin::new(named).map(Arc::new);
        let mut twin = self.twin.lock().unwrap_or_else(PoisonError::into_inner);
        twin.clone_from(&made);
        made
    }

    /// The same, if it has been compiled.
    fn ready(&self, named: &Arc<Named>) -> Option<Arc<Twin>> {
        let twin = self.twin.lock().unwrap_or_else(PoisonError::into_inner);
        twin.clone().filter(|twin| Arc::ptr_eq(&twin.of, named))
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        let since = self.clock.wall().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }

    /// Takes note of an event; answers what enforcement says of what it tells, if an observed segment let it be.
    pub fn heard(&self, event: &abi::Event, named: &Arc<Named>) -> Option<(Arc<Twin>, Enforced)> {
        if !observes(named, event.rule) {
            return None;
        }
        let opening = Opening::of_event(event, named)?;
        let twin = self.ready(named)?;
        let enforced = twin.judge(&opening);
        self.note(&twin, (&opening, Known::Told), event.segment, enforced);
        Some((twin, enforced))
    }

    fn note(
        &self,
        twin: &Twin,
        (opening, known): (&Opening, Known),
        segment: u16,
        enforced: Enforced,
    ) {
        let talk = match enforced {
            Enforced::Drops(_) => talk(&twin.of, opening, segment),
            _ => None,
        };
        let rule = match enforced {
            Enforced::Drops(rule) => twin.enforced.rule(rule),
            _ => None,
        };
        let (now, mut ledger) = (self.now(), self.ledger());
        let Opening {
            ips,
            ports,
            protocol,
            ..
        } = *opening;
        if opening.is_to_group() {
            let id = FlowId::to_group(segment, ips[0], ports, protocol);
            return ledger.said(id, talk, rule, now);
        }
        let id = FlowId::new(ips, ports, protocol);
        ledger.opened((id, known), talk, rule, now);
    }

    /// Keeps what is known up to date, for as long as the daemon runs, on a thread of its own.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn start(self: &Arc<Observed>, gateway: &Arc<Gateway>) -> std::io::Result<()> {
        let (observed, gateway) = (Arc::clone(self), Arc::clone(gateway));
        let work = move || {
            let mut known: Option<Arc<Named>> = None;
            let (mut looked, mut saved) = (Instant::now(), Instant::now());
            loop {
                let current = gateway.engine().current();
                if let Some(named) = current {
                    if !known
                        .as_ref()
                        .is_some_and(|known| Arc::ptr_eq(known, &named))
                    {
                        observed.judge_again(&named);
                        looked = Instant::now();
                        known = Some(named);
                    } else if looked.elapsed() >= LOOK {
                        observed.look(&gateway, &named);
                        looked = Instant::now();
                    }
                }
                if saved.elapsed() >= SAVE {
                    observed.ledger().pass(saved.elapsed().as_secs());
                    observed.save();
                    saved = Instant::now();
                }
                std::thread::sleep(TURN);
            }
        };
        let thread = std::thread::Builder::new().name("observed".to_owned());
        thread.spawn(work).map(drop)
    }

    /// Another policy is in force: what it allows by now would not be dropped any more.
    fn judge_again(&self, named: &Arc<Named>) {
        let twin = self.twin(named);
        let names = twin.as_ref().map(|twin| Names::new(&twin.enforced));
        let observed = named.policy.segments.iter();
        let observed = observed.filter(|segment| segment.mode == Mode::Observe);
        let observed: HashSet<&str> = observed.map(|segment| segment.name.as_str()).collect();
        // Without the ledger, or whoever opens a flow meanwhile would wait.
        let talks = self.ledger().list();
        let fate = |talk: &Arc<Talk>| {
            let names = names.as_ref()?;
            observed.contains(&*talk.segment).then(|| names.fate(talk))
        };
        let fates: HashMap<&Talk, Option<Fate>> =
            talks.iter().map(|talk| (&**talk, fate(talk))).collect();
        self.ledger().judge_again(|talk, said| {
            let by = |rule| names.as_ref().and_then(|names| names.named.rule(rule));
            match fates.get(talk) {
                Some(None | Some(Fate::Passes)) => None,
                Some(Some(Fate::Drops(Reason::Rule | Reason::NoRule, rule))) => {
                    Some(by(*rule).map(str::to_owned))
                }
                // As far as the addresses tell; the frame told more. Or it was opened just now.
                Some(Some(Fate::Drops(..) | Fate::Unknown)) | None => Some(said.rule.clone()),
            }
        });
    }

    /// Looks through the flow table.
    pub fn look(&self, gateway: &Gateway, named: &Arc<Named>) {
        let _turn = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(twin) = self.twin(named) else { return };
        self.ledger().begin();
        let now = self.now();
        let Some(entries) = entries(gateway, named) else {
            return;
        };
        for (entry, is_current) in &entries {
            // What was said to which group only events tell.
            if self.still_there(entry, now) || !is_current || entry.is_to_group() {
                continue;
            }
            let Some(opening) = Opening::of_flow(entry, named) else {
                continue;
            };
            let enforced = twin.judge(&opening);
            self.note(&twin, (&opening, Known::Found), entry.segment, enforced);
            self.still_there(entry, now);
        }
        self.ledger().end();
    }

    /// Takes note of a flow in the table; answers whether it was known.
    fn still_there(&self, entry: &FlowEntry, now: u64) -> bool {
        let id = match entry.is_to_group() {
            true => FlowId::kept(entry.segment, entry.address, entry.port, entry.protocol),
            false => FlowId::new(entry.address, entry.port, entry.protocol),
        };
        let mut ledger = self.ledger();
        ledger.still_there(id, entry.bytes(0) + entry.bytes(1), now);
        ledger.knows(id)
    }

    /// Writes down what is known.
    pub fn save(&self) {
        let text = {
            let mut ledger = self.ledger();
            if !ledger.changed {
                return;
            }
            ledger.changed = false;
            ledger.write()
        };
        let beside = self.file.with_extension("json.new");
        let write = || -> std::io::Result<()> {
            let mut file = fs::File::create(&beside)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&beside, &self.file)
        };
        if let Err(error) = write() {
            let _ = fs::remove_file(&beside);
            self.ledger().changed = true;
            tracing::warn!("{} cannot be written: {error}", self.file.display());
        }
    }
}

/// The flows that observed segments let be, and whether that was by this policy: of others, which are judged by it at
/// their next packet, it may be known from before. None if the policy is not in force, or the table cannot be read.
fn entries(gateway: &Gateway, named: &Arc<Named>) -> Option<Vec<(FlowEntry, bool)>> {
    let engine = gateway.engine();
    let Ok(InForce::Tables(control)) = engine.in_force() else {
        return None;
    };
    let in_slot = gateway.slots.get(control.slot);
    if !in_slot.is_some_and(|in_slot| Arc::ptr_eq(&in_slot, named)) {
        return None;
    }
    let filled = engine.filled()[usize::from(control.slot)];
    // No more is done here than must be: an order may be waiting for the engine.
    let mut entries = Vec::new();
    engine.flows(&mut |entry| {
        let is_current = (entry.flow.judged >> 32) as u32 >= filled;
        if !is_current || observes(named, entry.flow.ruling().rule()) {
            entries.push((entry, is_current));
        }
    });
    Some(entries)
}

/// Who talks to whom; none if neither end is in an observed segment.
fn talk(named: &Named, opening: &Opening, segment: u16) -> Option<Talk> {
    let [from, to] = [0, 1].map(|end| host(named, opening.ips[end], opening.macs[end], segment));
    let observed = |(_, segment): &(Host, Option<usize>)| {
        let segment = named.policy.segments.get((*segment)?)?;
        (segment.mode == Mode::Observe).then(|| segment.name.clone())
    };
    let (inside, segment) = match (observed(&from), observed(&to)) {
        (Some(segment), _) => (ObservedEnd::From, segment),
        (None, Some(segment)) => (ObservedEnd::To, segment),
        (None, None) => {
            let segment = named.segment_of(segment)?;
            // A host that has no address of its segment yet speaks in it; one of elsewhere is heard by its groups.
            let inside = match opening.is_to_group() && opening.is_from_uplink(named) {
                true => ObservedEnd::To,
                false => ObservedEnd::From,
            };
            (inside, segment.name.clone())
        }
    };
    let port = match opening.packet()? {
        Packet::Echo => 0,
        _ => opening.ports[1],
    };
    Some(Talk {
        segment,
        inside,
        from: from.0,
        to: to.0,
        protocol: opening.protocol,
        port,
    })
}

/// A host by its address, or, where that is bound to nobody, by its MAC; and the segment it is in.
fn host(named: &Named, ip: Ip, mac: Mac, segment: u16) -> (Host, Option<usize>) {
    let ip = ip_address(ip);
    let device = match named.device_by_ip(ip) {
        Some((_, device)) => Some(device),
        None => named.device_by_mac(segment, mac),
    };
    let segment = match device {
        Some(device) => Some(device.segment),
        None => of_address(named, ip).segment(named),
    };
    let device = device.map(|device| device.name.clone());
    (Host { device, ip }, segment)
}
