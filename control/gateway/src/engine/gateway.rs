//! The engine and its lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cordon_kernel::{FlowEntry, Opened, Swept, TableBytes};
use cordon_policy::Posture;
use cordon_protocol::{NewOrder, Order};
use cordon_verdict::abi::{Control, Station};

use super::counter_history::CounterHistory;
use super::orders::Caller;
use super::port_list::Ports;
use super::slot_contents::{SlotContents, Stager};
use crate::active_policy::{ActivePolicy, PolicySlots};
use crate::clock::{self, Clock};
use crate::plane::Plane;
use crate::refusal::Refusal;
use crate::state::{KernelRecord, State};
use crate::store::{Store, StoreError};
use crate::sync::lock;

/// The parts of an engine.
pub struct Parts {
    /// The data plane.
    pub plane: Box<dyn Plane>,
    /// Whether it was loaded without a pinned program, replaced one, or took it over.
    pub opened: Opened,
    /// The persistence of the state.
    pub store: Box<dyn Store>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Directory where the kernel's tables are pinned.
    pub pins: String,
    /// Capacity for IPv4 and IPv6 flows of a data plane that is loaded without a pinned program.
    pub flows: [u32; 2],
    /// Histogram of the seconds until an order is in force.
    pub order_seconds: prometheus::Histogram,
}

/// What the kernel has in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InForce {
    /// No policy was ever installed.
    Empty,
    /// A policy, with this control word.
    Tables(Control),
}

/// The state of the daemon.
pub struct Engine {
    pub(super) plane: Box<dyn Plane>,
    pub(super) stager: Stager,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) slots: PolicySlots,
    pub(super) order_seconds: prometheus::Histogram,
    /// Whether the data plane was loaded without a pinned program, replaced one, or took it over.
    pub opened: Opened,
    /// The state to be stored.
    pub(super) state: State,
    /// Whether the stored state is out of date.
    pub(super) dirty: bool,
    /// When the state was last stored.
    pub(super) last_saved: Instant,
    /// When the clock of flow idle times was last advanced.
    pub(super) last_aged: Instant,
    pub(super) in_kernel: KernelRecord,
    pub(super) slot_contents: SlotContents,
    /// Serial number of the policy that was last written to the inactive slot, or failed to be.
    pub(super) inactive_sync_tried: Option<u64>,
    /// By slot, the first epoch that its policy was in force.
    pub(super) first_epochs: [u32; 2],
    /// Hash of the policy that is being applied: its sources are kept.
    pub(super) pending_hash: Option<String>,
    /// Replaced policies, to be freed while the engine is not held.
    pub(super) retired: Vec<Arc<ActivePolicy>>,
    pub(super) current: Option<Arc<ActivePolicy>>,
    pub(super) ports: Ports,
    pub(super) counters: CounterHistory,
    pub(super) swept: Swept,
    pub(super) flows_removed: u64,
    /// When unlisted hosts were last found to have filled the flow table.
    pub(super) unlisted_excess_since: Option<Instant>,
    pub(super) last_install: Duration,
    /// Warnings to the operator, by subject.
    pub(super) warnings: BTreeMap<&'static str, String>,
}

/// The engine, and what may be used without locking it.
pub struct Gateway {
    engine: Mutex<Engine>,
    /// Orders that wait for the engine or have it.
    orders: Mutex<usize>,
    /// Signals that there are none.
    no_orders: Condvar,
    /// Held while a policy is compiled: one at a time, so that callers cannot pile up work.
    pub(super) compiling: Mutex<()>,
    /// The policies that events and flows refer to.
    pub slots: PolicySlots,
    /// When the daemon was started.
    pub started: Instant,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Events that were read from the ring but that a subscriber was too slow for.
    events_missed: AtomicU64,
}

/// Counts an order that waits for the engine or has it.
struct Waiting<'a>(&'a Gateway);

impl<'a> Waiting<'a> {
    fn new(gateway: &'a Gateway) -> Waiting<'a> {
        *lock(&gateway.orders) += 1;
        Waiting(gateway)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut orders = lock(&self.0.orders);
        *orders -= 1;
        if *orders == 0 {
            self.0.no_orders.notify_all();
        }
    }
}

impl Gateway {
    pub(super) fn new(engine: Engine) -> Gateway {
        Gateway {
            slots: engine.slots.clone(),
            clock: Arc::clone(&engine.clock),
            engine: Mutex::new(engine),
            orders: Mutex::new(0),
            no_orders: Condvar::new(),
            compiling: Mutex::new(()),
            started: Instant::now(),
            events_missed: AtomicU64::new(0),
        }
    }

    /// Locks the engine. Do lengthy work without it. Orders go first: an order waits for one holder at most.
    pub fn engine(&self) -> MutexGuard<'_, Engine> {
        let waits = self
            .no_orders
            .wait_while(lock(&self.orders), |orders| *orders > 0);
        drop(waits.unwrap_or_else(PoisonError::into_inner));
        lock(&self.engine)
    }

    /// Carries out an order, before any other work that waits for the engine. See [`Engine::give`].
    ///
    /// # Errors
    /// As [`Engine::give`].
    pub fn give(
        &self,
        order: NewOrder,
        caller: Caller,
        received: Instant,
    ) -> Result<Order, Refusal> {
        let _first = Waiting::new(self);
        lock(&self.engine).give(order, caller, received)
    }

    /// Counts events that a subscriber missed.
    pub fn add_missed_events(&self, events: u64) {
        self.events_missed.fetch_add(events, Ordering::Relaxed);
    }

    /// Number of events that subscribers missed.
    pub fn events_missed(&self) -> u64 {
        self.events_missed.load(Ordering::Relaxed)
    }
}

impl Engine {
    pub(super) fn new(parts: Parts) -> Result<Engine, cordon_kernel::Error> {
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
            in_kernel = KernelRecord {
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
            slots: PolicySlots::default(),
            order_seconds,
            opened,
            state: State::default(),
            dirty: false,
            last_saved: Instant::now(),
            last_aged: Instant::now(),
            in_kernel,
            slot_contents: SlotContents::default(),
            inactive_sync_tried: None,
            first_epochs: [u32::MAX; 2],
            pending_hash: None,
            retired: Vec::new(),
            current: None,
            ports: Ports::default(),
            counters: CounterHistory::default(),
            swept: Swept::default(),
            unlisted_excess_since: None,
            flows_removed: 0,
            last_install: Duration::ZERO,
            warnings: BTreeMap::new(),
        })
    }

    /// What the kernel has in force.
    ///
    /// # Errors
    /// If it does not say.
    pub fn in_force(&self) -> Result<InForce, cordon_kernel::Error> {
        let control = self.plane.control()?;
        Ok(match control.epoch {
            0 => InForce::Empty,
            _ => InForce::Tables(control),
        })
    }

    /// The posture of the site.
    pub fn posture(&self) -> Posture {
        self.state.posture()
    }

    /// The policy in force.
    pub fn current(&self) -> Option<Arc<ActivePolicy>> {
        self.current.clone()
    }

    /// The state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The warnings to the operator.
    pub fn warnings(&self) -> impl Iterator<Item = &String> {
        self.warnings.values()
    }

    /// Sets the warning of a subject, or clears it.
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
            // Computed again: the wall clock may have been set since.
            until: end.map(|end| end.until(&*self.clock)),
            ..strictest.order.clone()
        })
    }

    /// The flow counts of the last sweep, and the total of flows that all sweeps removed.
    pub fn flow_counts(&self) -> (Swept, u64) {
        (self.swept, self.flows_removed)
    }

    /// Capacity for flows.
    pub fn flow_limit(&self) -> u64 {
        self.in_kernel
            .flows
            .iter()
            .map(|room| u64::from(*room))
            .sum()
    }

    /// How long the installation of the policy in force took.
    pub fn last_install(&self) -> Duration {
        self.last_install
    }

    /// Bytes of memory that the kernel's tables take.
    ///
    /// # Errors
    /// If the data plane does not answer.
    pub fn table_bytes(&self) -> Result<TableBytes, cordon_kernel::Error> {
        self.plane.table_bytes()
    }

    /// By slot of the kernel's tables, the first epoch that its policy was in force.
    pub fn first_epochs(&self) -> [u32; 2] {
        self.first_epochs
    }

    /// Calls `each` with every flow.
    pub fn flows(&self, each: &mut dyn FnMut(FlowEntry)) {
        self.plane.flows(each);
    }

    /// The FDB: where each MAC address was last seen, by FDB key.
    pub fn stations(&self) -> HashMap<u64, Station> {
        let mut stations = HashMap::new();
        self.plane.stations(&mut |key, station| {
            // If there are two entries, packets use the first.
            stations.entry(key).or_insert(station);
        });
        stations
    }

    pub(super) fn now(&self) -> String {
        clock::rfc3339(self.clock.wall())
    }

    /// Stores the state. If that fails, every tick retries.
    pub(super) fn save(&mut self) -> Result<(), StoreError> {
        let saved = self.try_save();
        self.dirty = saved.is_err();
        self.last_saved = Instant::now();
        let text = saved.as_ref().err().map(|error| {
            format!(
                "the state in force is not durable: {error}; {}",
                error.hint()
            )
        });
        self.warn("durability", text);
        saved
    }

    fn try_save(&mut self) -> Result<(), StoreError> {
        self.state.refresh(&*self.clock);
        self.store.set_state(&self.state)
    }
}
