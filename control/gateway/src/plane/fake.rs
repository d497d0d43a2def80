//! A kernel for tests. It outlives the daemon, and can be where the daemon is killed.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Barrier, Mutex, MutexGuard};

use cordon_kernel::{Drops, Error, FlowEntry, IdleTimeout, Installed, Swept, TableBytes};
use cordon_tables::{Change, Generation};
use cordon_verdict::Reason;
use cordon_verdict::abi::{Control, Counter, Station};

use super::{Link, Links, Plane, Stage};
use crate::kill_switch::KillSwitch;
use crate::sync::lock;

/// The state of the kernel.
#[derive(Default)]
pub struct Tables {
    /// The control word.
    pub control: Option<Control>,
    /// The tables in each slot.
    pub slots: [Generation; 2],
    /// The rule counters, by slot.
    pub counters: [Vec<Counter>; 2],
    /// MTUs of interfaces, where not 1500.
    pub mtus: BTreeMap<String, i32>,
    /// Interfaces by port.
    pub ports: BTreeMap<u16, String>,
    /// Interfaces that do not exist.
    pub missing: Vec<String>,
    /// The flow table.
    pub flows: Vec<FlowEntry>,
    /// The idle timeouts of these flows, as passed to the last sweep.
    pub idle_timeouts: Vec<IdleTimeout>,
    /// FDB keys of hosts that the next sweep takes a flow from if they are not listed.
    pub openers: Vec<u64>,
    /// How many more calls of `reclaim` find entries to free.
    pub pending_reclaims: usize,
    /// Number of policies activated.
    pub installs: usize,
    /// Number of policies written whole.
    pub whole: usize,
    /// The next write finds the tables full.
    pub no_room: bool,
    /// A writer waits here twice, halfway through a slot.
    pub stage_barrier: Option<Arc<Barrier>>,
    /// Every combination of tables and ports that packets were judged by.
    pub judged: Vec<(Generation, BTreeMap<u16, String>)>,
}

/// A fake kernel. Clones share its state.
#[derive(Clone, Default)]
pub struct Kernel {
    tables: Arc<Mutex<Tables>>,
    kill_switch: Arc<KillSwitch>,
}

impl Kernel {
    /// A kernel whose changes are steps of a kill switch.
    pub fn new(kill_switch: Arc<KillSwitch>) -> Kernel {
        Kernel {
            tables: Arc::default(),
            kill_switch,
        }
    }

    /// Its state.
    pub fn tables(&self) -> MutexGuard<'_, Tables> {
        lock(&self.tables)
    }

    /// The posture in force; 0 without a policy.
    pub fn posture(&self) -> u8 {
        self.tables().control.map_or(0, |control| control.posture)
    }

    /// The tables in force.
    pub fn generation(&self) -> Generation {
        let tables = self.tables();
        let slot = tables.control.map_or(0, |control| control.slot);
        tables.slots[usize::from(slot)].clone()
    }

    /// Loses everything, as in a power failure.
    pub fn forget(&self) {
        *self.tables() = Tables::default();
    }

    fn change(&self, work: impl FnOnce(&mut Tables) -> Control) -> Control {
        self.kill_switch.step();
        let mut tables = self.tables();
        let control = work(&mut tables);
        tables.control = Some(control);
        self.record_judged(&mut tables);
        control
    }

    /// Fills a slot in two steps: a daemon killed between them leaves it half written.
    fn stage(&self, slot: u8, work: impl FnOnce(&mut Tables)) -> Result<(), Error> {
        self.kill_switch.step();
        let at = usize::from(slot);
        let before = {
            let mut tables = self.tables();
            let in_force = tables.control.map(|control| control.slot);
            assert_ne!(in_force, Some(slot), "the active slot is not written");
            tables.counters[at].clear();
            std::mem::take(&mut tables.slots[at])
        };
        let barrier = self.tables().stage_barrier.clone();
        if let Some(barrier) = barrier {
            barrier.wait();
            barrier.wait();
        }
        self.kill_switch.step();
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

    fn record_judged(&self, tables: &mut Tables) {
        if let Some(control) = tables.control {
            let generation = tables.slots[usize::from(control.slot)].clone();
            let ports = tables.ports.clone();
            tables.judged.push((generation, ports));
        }
    }
}

const BLANK: Control = Control {
    epoch: 0,
    tick: 0,
    posture: 0,
    slot: 0,
};

impl Plane for Kernel {
    fn control(&self) -> Result<Control, Error> {
        Ok(self.tables().control.unwrap_or(BLANK))
    }

    fn stager(&self) -> Result<Box<dyn Stage>, Error> {
        Ok(Box::new(self.clone()))
    }

    fn flip(&mut self, posture: u8, _: usize) -> Result<Installed, Error> {
        let mut counted = Vec::new();
        let control = self.change(|tables| {
            let Control { epoch, slot, .. } = tables.control.unwrap_or(BLANK);
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
            let control = tables.control.unwrap_or(BLANK);
            Control {
                tick: 0,
                epoch: control.epoch + 1,
                posture,
                ..control
            }
        }))
    }

    fn attach(&mut self, port: u16, nic: &str) -> Result<u32, Error> {
        self.kill_switch.step();
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
        self.record_judged(&mut tables);
        Ok(index(nic))
    }

    fn detach(&mut self, port: u16) -> Result<(), Error> {
        self.kill_switch.step();
        let mut tables = self.tables();
        tables.ports.remove(&port);
        self.record_judged(&mut tables);
        Ok(())
    }

    fn age(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn sweep(
        &mut self,
        idle_timeout: &dyn Fn(&FlowEntry) -> IdleTimeout,
        listed: &dyn Fn(u64) -> bool,
    ) -> Result<Swept, Error> {
        let mut tables = self.tables();
        tables.idle_timeouts = tables.flows.iter().map(idle_timeout).collect();
        let fdb_keys = std::mem::take(&mut tables.openers);
        let surplus = fdb_keys.iter().filter(|fdb_key| !listed(**fdb_key)).count() as u64;
        Ok(Swept {
            excess: surplus,
            ..Swept::default()
        })
    }

    fn reclaim(&mut self, _: usize) -> Result<bool, Error> {
        let mut tables = self.tables();
        tables.pending_reclaims = tables.pending_reclaims.saturating_sub(1);
        Ok(tables.pending_reclaims > 0)
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
            policy: Some(3),
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
            tables.slots[usize::from(slot)].apply(change);
        })
    }
}

fn index(nic: &str) -> u32 {
    nic.bytes().map(u32::from).sum()
}
