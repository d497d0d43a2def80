//! A kernel that a test stands in for, and a disk that fills up: both outlive the daemon, and both can be where it
//! dies.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard};

use cordon_kernel::{Drops, Error, FlowEntry, Installed, Silence, Swept, TableBytes};
use cordon_portable::{Change, Generation};
use cordon_protocol::{Order, Sources};
use cordon_verdict::Reason;
use cordon_verdict::abi::{Control, Counter, Station};

use super::{Link, Links, Plane, Stage};
use crate::state::{InKernel, State};
use crate::store::{Directory, Store, StoreError};

/// What a daemon says when it is killed: the panic of a test that stands in for `kill -9`.
pub const KILLED: &str = "killed";

/// Counts the steps that change something, and kills at one of them.
#[derive(Default)]
pub struct Steps {
    taken: AtomicUsize,
    kill_before: AtomicUsize,
}

impl Steps {
    /// Kills before the step with this number, from 1; 0 for never.
    pub fn kill_before(&self, step: usize) {
        self.taken.store(0, Ordering::SeqCst);
        self.kill_before.store(step, Ordering::SeqCst);
    }

    /// How many there have been since.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    fn step(&self) {
        let step = self.taken.fetch_add(1, Ordering::SeqCst) + 1;
        if step == self.kill_before.load(Ordering::SeqCst) {
            // Not a panic that anyone needs to be told of.
            std::panic::resume_unwind(Box::new(KILLED));
        }
    }
}

/// What a kernel holds.
#[derive(Default)]
pub struct Tables {
    /// The control word.
    pub control: Option<Control>,
    /// The tables in each slot.
    pub slots: [Generation; 2],
    /// What its rules counted, by slot.
    pub counters: [Vec<Counter>; 2],
    /// MTUs of interfaces that have another than 1500.
    pub mtus: BTreeMap<String, i32>,
    /// Interfaces by port.
    pub ports: BTreeMap<u16, String>,
    /// Interfaces that are not there.
    pub missing: Vec<String>,
    /// Flows, as the next look at them finds them.
    pub flows: Vec<FlowEntry>,
    /// For how long these may be silent, as the last sweep was told.
    pub silence: Vec<Silence>,
    /// Hosts that the next sweep asks about, each with a flow to give if it is not listed.
    pub openers: Vec<u64>,
    /// How often there is something to tidy up.
    pub leaving: usize,
    /// How often a policy was put into force.
    pub installs: usize,
    /// How often one was written whole.
    pub whole: usize,
    /// The next that is written does not fit.
    pub no_room: bool,
    /// Whoever fills a slot waits here twice.
    pub hold: Option<Arc<Barrier>>,
    /// Every state in which packets were judged: policy tables, and the ports that they had.
    pub judged: Vec<(Generation, BTreeMap<u16, String>)>,
}

/// A kernel.
#[derive(Clone, Default)]
pub struct Kernel {
    tables: Arc<Mutex<Tables>>,
    steps: Arc<Steps>,
}

impl Kernel {
    /// A kernel that kills at the steps of `steps`.
    pub fn new(steps: Arc<Steps>) -> Kernel {
        Kernel {
            tables: Arc::default(),
            steps,
        }
    }

    /// What it holds.
    pub fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The posture in force, 0 if there is nothing in force.
    pub fn posture(&self) -> u8 {
        self.tables().control.map_or(0, |control| control.posture)
    }

    /// The tables in force.
    pub fn generation(&self) -> Generation {
        let tables = self.tables();
        let slot = tables.control.map_or(0, |control| control.slot);
        tables.slots[usize::from(slot)].clone()
    }

    /// The power fails.
    pub fn forget(&self) {
        *self.tables() = Tables::default();
    }

    fn change(&self, work: impl FnOnce(&mut Tables) -> Control) -> Control {
        self.steps.step();
        let mut tables = self.tables();
        let control = work(&mut tables);
        tables.control = Some(control);
        self.note(&mut tables);
        control
    }

    /// Fills a slot, in two steps: whoever dies between them leaves half of it.
    fn stage(&self, slot: u8, work: impl FnOnce(&mut Tables)) -> Result<(), Error> {
        self.steps.step();
        let at = usize::from(slot);
        let before = {
            let mut tables = self.tables();
            let in_force = tables.control.map(|control| control.slot);
            assert_ne!(in_force, Some(slot), "what is in force is not touched");
            tables.counters[at].clear();
            std::mem::take(&mut tables.slots[at])
        };
        let hold = self.tables().hold.clone();
        if let Some(hold) = hold {
            hold.wait();
            hold.wait();
        }
        self.steps.step();
        let mut tables = self.tables();
        if std::mem::take(&mut tables.no_room) {
            return Err(Error::Batch {
                name: "DEVICES",
                source: io::Error::from_raw_os_error(nix::errno::Errno::E2BIG as i32),
            });
        }
        tables.slots[at] = before;
        work(&mut tables);
        Ok(())
    }

    fn note(&self, tables: &mut Tables) {
        if let Some(control) = tables.control {
            let generation = tables.slots[usize::from(control.slot)].clone();
            let ports = tables.ports.clone();
            tables.judged.push((generation, ports));
        }
    }
}

const NOTHING: Control = Control {
    epoch: 0,
    tick: 0,
    posture: 0,
    slot: 0,
};

impl Plane for Kernel {
    fn control(&self) -> Result<Control, Error> {
        Ok(self.tables().control.unwrap_or(NOTHING))
    }

    fn stager(&self) -> Result<Box<dyn Stage>, Error> {
        Ok(Box::new(self.clone()))
    }

    fn flip(&mut self, posture: u8, _: usize) -> Result<Installed, Error> {
        let mut counted = Vec::new();
        let control = self.change(|tables| {
            let Control { epoch, slot, .. } = tables.control.unwrap_or(NOTHING);
            let next = slot ^ 1;
            counted = tables.counters[usize::from(slot)].clone();
            tables.installs += 1;
            Control {
                tick: 0,
                epoch: epoch + 1,
                posture,
                slot: next,
            }
        });
        Ok(Installed { control, counted })
    }

    fn set_posture(&mut self, posture: u8) -> Result<Control, Error> {
        Ok(self.change(|tables| {
            let control = tables.control.unwrap_or(NOTHING);
            Control {
                tick: 0,
                epoch: control.epoch + 1,
                posture,
                ..control
            }
        }))
    }

    fn attach(&mut self, port: u16, nic: &str) -> Result<u32, Error> {
        self.steps.step();
        let mut tables = self.tables();
        let taken = tables.ports.iter().find(|(_, name)| *name == nic);
        if taken.is_some_and(|(number, _)| *number != port) {
            return Err(Error::Link {
                nic: nic.to_owned(),
                what: "attaching in driver mode",
                why: "another XDP program is on it".to_owned(),
            });
        }
        if tables.missing.iter().any(|missing| missing == nic) {
            return Err(Error::NoNic {
                nic: nic.to_owned(),
            });
        }
        tables.ports.insert(port, nic.to_owned());
        self.note(&mut tables);
        Ok(index(nic))
    }

    fn detach(&mut self, port: u16) -> Result<(), Error> {
        self.steps.step();
        let mut tables = self.tables();
        tables.ports.remove(&port);
        self.note(&mut tables);
        Ok(())
    }

    fn age(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn sweep(
        &mut self,
        silence: &dyn Fn(&FlowEntry) -> Silence,
        listed: &dyn Fn(u64) -> bool,
    ) -> Result<Swept, Error> {
        let mut tables = self.tables();
        tables.silence = tables.flows.iter().map(silence).collect();
        let members = std::mem::take(&mut tables.openers);
        let surplus = members.iter().filter(|member| !listed(**member)).count() as u64;
        Ok(Swept {
            surplus,
            ..Swept::default()
        })
    }

    fn tidy(&mut self, _: usize) -> Result<bool, Error> {
        let mut tables = self.tables();
        tables.leaving = tables.leaving.saturating_sub(1);
        Ok(tables.leaving > 0)
    }

    fn flows(&self, each: &mut dyn FnMut(FlowEntry)) {
        self.tables().flows.iter().copied().for_each(each);
    }

    fn stations(&self, _: &mut dyn FnMut(u64, Station)) {}

    fn rule_counters(&self, slot: u8, rules: usize) -> Result<Vec<Counter>, Error> {
        let mut counters = self.tables().counters[usize::from(slot)].clone();
        counters.truncate(rules);
        Ok(counters)
    }

    fn drops(&self) -> Result<Drops, Error> {
        let none = |reason: &Reason| (*reason, Counter::default());
        Ok(Reason::ALL.iter().map(none).collect())
    }

    fn events_lost(&self) -> Result<u64, Error> {
        Ok(0)
    }

    fn table_bytes(&self) -> Result<TableBytes, Error> {
        Ok(TableBytes {
            policy: 3,
            flows: 2,
            other: 1,
        })
    }

    fn links(&self) -> Links {
        let tables = self.tables();
        let names = ["eth1", "eth2", "eth3"];
        let there = names
            .into_iter()
            .filter(|name| !tables.missing.iter().any(|missing| missing == name));
        let link = |name: &str| Link {
            index: index(name),
            running: true,
            mtu: Some(tables.mtus.get(name).copied().unwrap_or(1500)),
        };
        there.map(|name| (name.to_owned(), link(name))).collect()
    }
}

impl Stage for Kernel {
    fn write(&mut self, slot: u8, generation: &Generation, _: usize) -> Result<(), Error> {
        self.stage(slot, |tables| {
            tables.whole += 1;
            tables.slots[usize::from(slot)] = generation.clone();
        })
    }

    fn amend(&mut self, slot: u8, change: &Change, _: usize) -> Result<(), Error> {
        self.stage(slot, |tables| {
            tables.slots[usize::from(slot)].change(change);
        })
    }
}

fn index(nic: &str) -> u32 {
    nic.bytes().map(u32::from).sum()
}

/// A directory on a disk that can be full, and that can be where the daemon is killed.
pub struct Disk {
    directory: Directory,
    steps: Arc<Steps>,
    full: Arc<AtomicBool>,
}

impl Disk {
    /// A disk.
    pub fn new(directory: Directory, steps: Arc<Steps>, full: Arc<AtomicBool>) -> Disk {
        Disk {
            directory,
            steps,
            full,
        }
    }

    fn room(&self, what: &str) -> Result<(), StoreError> {
        self.steps.step();
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Io {
                path: PathBuf::from(what),
                source: io::Error::from_raw_os_error(nix::errno::Errno::ENOSPC as i32),
            });
        }
        Ok(())
    }
}

impl Store for Disk {
    fn state(&self) -> Result<Option<State>, StoreError> {
        self.directory.state()
    }

    fn prepare_state(&self, state: &State) -> Result<(), StoreError> {
        self.room("state.json")?;
        self.directory.prepare_state(state)
    }

    fn commit_state(&self) -> Result<(), StoreError> {
        // A new name for what is there takes no room.
        self.steps.step();
        self.directory.commit_state()
    }

    fn set_state_aside(&self) -> Result<(), StoreError> {
        self.steps.step();
        self.directory.set_state_aside()
    }

    fn sources(&self, hash: &str) -> Result<Sources, StoreError> {
        self.directory.sources(hash)
    }

    fn add_sources(&self, sources: &Sources) -> Result<String, StoreError> {
        self.room("policy")?;
        self.directory.add_sources(sources)
    }

    fn keep_only(&self, hashes: &[&str]) {
        self.steps.step();
        self.directory.keep_only(hashes);
    }

    fn add_order(&self, order: &Order) -> Result<(), StoreError> {
        self.room("orders.jsonl")?;
        self.directory.add_order(order)
    }

    fn orders(&self) -> Result<Vec<Order>, StoreError> {
        self.directory.orders()
    }

    fn kernel(&self) -> InKernel {
        self.directory.kernel()
    }

    fn set_kernel(&self, kernel: &InKernel) {
        self.steps.step();
        self.directory.set_kernel(kernel);
    }
}
