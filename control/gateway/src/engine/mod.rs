//! What the daemon knows and does, behind one lock.
//!
//! One rule holds throughout: *at every moment the kernel is at least as closed as the store says*. So what closes
//! is put into the kernel first and written down then; what opens is written down first. Whoever kills the daemon
//! between the two leaves more closed than acknowledged, never less; `restore.rs` puts it straight.

mod counting;
mod kernel;
mod mtu;
mod orders;
mod policy;
mod ports;
mod restore;
mod silence;
mod staging;
mod tick;

#[cfg(test)]
pub mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cordon_kernel::{FlowEntry, Opened, Swept, TableBytes};
use cordon_policy::Posture;
use cordon_protocol::Order;
use cordon_verdict::abi::Station;

pub use counting::Counts;
pub use kernel::InForce;
pub use orders::Caller;

use crate::clock::{self, Clock};
use crate::names::{Named, Slots};
use crate::plane::Plane;
use crate::state::{InKernel, State};
use crate::store::{Store, StoreError};

/// What the engine is made of.
pub struct Parts {
    /// The data plane.
    pub plane: Box<dyn Plane>,
    /// How it was found.
    pub opened: Opened,
    /// What keeps the state.
    pub store: Box<dyn Store>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Where the kernel's tables are pinned.
    pub pins: String,
    /// Room for IPv4 and IPv6 flows, in a data plane that is loaded anew.
    pub flows: [u32; 2],
    /// Where the seconds from an order to its being in force are noted.
    pub order_seconds: prometheus::Histogram,
}

/// What the daemon knows.
pub struct Engine {
    plane: Box<dyn Plane>,
    stager: staging::Stager,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    slots: Slots,
    order_seconds: prometheus::Histogram,
    /// How the data plane was found.
    pub opened: Opened,
    /// As it is to be on the disk.
    state: State,
    /// Whether the disk lags behind.
    dirty: bool,
    /// When it was last written.
    saved: Instant,
    /// When the clock of flows was moved on last.
    aged: Instant,
    in_kernel: InKernel,
    holds: staging::Holds,
    /// The policy that the spare slot was last filled with, or tried to be.
    spare_tried: Option<u64>,
    /// By slot, the first epoch that was judged by what is in it.
    filled: [u32; 2],
    /// A policy that is being applied: its sources are kept.
    coming: Option<String>,
    /// Policies that are no more, to be taken apart when nobody waits for the engine.
    gone: Vec<Arc<Named>>,
    current: Option<Arc<Named>>,
    ports: ports::Ports,
    counting: counting::Counting,
    swept: Swept,
    forgotten: u64,
    /// When unlisted hosts were last found to have crowded the flow table.
    crowded: Option<Instant>,
    last_install: Duration,
    /// What an operator should look at, by subject.
    warnings: BTreeMap<&'static str, String>,
}

/// The engine and what may be used without waiting for it.
pub struct Gateway {
    engine: Mutex<Engine>,
    /// Held while a policy is compiled: one at a time, so that callers cannot pile up work.
    compiling: Mutex<()>,
    /// The policies that events and flows may speak of.
    pub slots: Slots,
    /// When the daemon was started.
    pub started: Instant,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Events that were taken from the ring but that a listener was too slow for.
    untold: AtomicU64,
}

impl Gateway {
    /// Puts what was in force into force again.
    ///
    /// # Errors
    /// If the data plane does not answer, or the state is another version's.
    pub fn start(parts: Parts) -> anyhow::Result<Gateway> {
        let slots = Slots::default();
        let clock = Arc::clone(&parts.clock);
        let mut engine = Engine::new(parts, slots.clone())?;
        engine.restore()?;
        Ok(Gateway {
            engine: Mutex::new(engine),
            compiling: Mutex::new(()),
            slots,
            started: Instant::now(),
            clock,
            untold: AtomicU64::new(0),
        })
    }

    /// The engine, for as long as it is held. What takes long is done without.
    pub fn engine(&self) -> MutexGuard<'_, Engine> {
        // A panic elsewhere must not take the lever out of anyone's hands.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a listener missed events.
    pub fn missed(&self, events: u64) {
        self.untold.fetch_add(events, Ordering::Relaxed);
    }

    /// How many that were.
    pub fn missed_so_far(&self) -> u64 {
        self.untold.load(Ordering::Relaxed)
    }
}

impl Engine {
    fn new(parts: Parts, slots: Slots) -> Result<Engine, cordon_kernel::Error> {
        let Parts {
            plane,
            opened,
            store,
            clock,
            pins,
            flows,
            order_seconds,
        } = parts;
        let mut in_kernel = store.kernel();
        let of_this_kernel = opened != Opened::New
            && in_kernel.pins == pins
            && in_kernel.boot.is_some()
            && in_kernel.boot.as_deref() == clock.boot();
        if !of_this_kernel {
            in_kernel = InKernel {
                boot: clock.boot().map(str::to_owned),
                pins,
                flows,
                slots: [None, None],
            };
        }
        let stager = Arc::new(Mutex::new(plane.stager()?));
        Ok(Engine {
            plane,
            stager,
            store: store.into(),
            clock,
            slots,
            order_seconds,
            opened,
            state: State::default(),
            dirty: false,
            saved: Instant::now(),
            aged: Instant::now(),
            in_kernel,
            holds: staging::Holds::default(),
            spare_tried: None,
            filled: [u32::MAX; 2],
            coming: None,
            gone: Vec::new(),
            current: None,
            ports: ports::Ports::default(),
            counting: counting::Counting::default(),
            swept: Swept::default(),
            crowded: None,
            forgotten: 0,
            last_install: Duration::ZERO,
            warnings: BTreeMap::new(),
        })
    }

    /// The posture of the site.
    pub fn posture(&self) -> Posture {
        self.state.posture()
    }

    /// The policy in force.
    pub fn current(&self) -> Option<Arc<Named>> {
        self.current.clone()
    }

    /// What is known of the state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What an operator should look at.
    pub fn warnings(&self) -> impl Iterator<Item = &String> {
        self.warnings.values()
    }

    /// Notes what an operator should look at, or that it is over.
    pub fn warn(&mut self, subject: &'static str, text: Option<String>) {
        match text {
            None => {
                self.warnings.remove(subject);
            }
            Some(text) => {
                if self.warnings.get(subject) != Some(&text) {
                    tracing::warn!(subject, "{text}");
                }
                self.warnings.insert(subject, text);
            }
        }
    }

    /// The order that set the posture: the strictest in force.
    pub fn last_order(&self) -> Option<Order> {
        let strictest = self.state.quarantines.last()?;
        let end = strictest.end.as_ref();
        Some(Order {
            // Anew, because the wall's clock may have been set since.
            until: end.map(|end| end.until(&*self.clock)),
            ..strictest.order.clone()
        })
    }

    /// Flows as the last sweep found them, and how many it and those before it have forgotten.
    pub fn flow_counts(&self) -> (Swept, u64) {
        (self.swept, self.forgotten)
    }

    /// Room for flows.
    pub fn flow_limit(&self) -> u64 {
        self.in_kernel
            .flows
            .iter()
            .map(|room| u64::from(*room))
            .sum()
    }

    /// How long it took to put the policy in force into the kernel.
    pub fn last_install(&self) -> Duration {
        self.last_install
    }

    /// What the kernel's tables take of the machine's memory.
    ///
    /// # Errors
    /// If the data plane does not answer.
    pub fn table_bytes(&self) -> Result<TableBytes, cordon_kernel::Error> {
        self.plane.table_bytes()
    }

    /// By slot of the kernel's tables, the first epoch that was judged by what is in it.
    pub fn filled(&self) -> [u32; 2] {
        self.filled
    }

    /// Calls `each` with every flow.
    pub fn flows(&self, each: &mut dyn FnMut(FlowEntry)) {
        self.plane.flows(each);
    }

    /// Where MAC addresses were last seen.
    pub fn stations(&self) -> HashMap<u64, Station> {
        let mut stations = HashMap::new();
        self.plane.stations(&mut |member, station| {
            // Should there be two, packets go by the first.
            stations.entry(member).or_insert(station);
        });
        stations
    }

    fn now(&self) -> String {
        clock::rfc3339(self.clock.wall())
    }

    /// Makes the state durable. If that fails it is tried again on every tick.
    fn save(&mut self) -> Result<(), StoreError> {
        let saved = self.try_save();
        self.dirty = saved.is_err();
        self.saved = Instant::now();
        let text = saved
            .as_ref()
            .err()
            .map(|error| format!("what is in force is not durable: {error}; {}", error.hint()));
        self.warn("durability", text);
        saved
    }

    fn try_save(&mut self) -> Result<(), StoreError> {
        self.state.refresh(&*self.clock);
        self.store.set_state(&self.state)
    }
}
