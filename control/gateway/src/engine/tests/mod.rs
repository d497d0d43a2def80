//! The engine over a fake kernel and disk.

mod commit_confirm;
mod counters;
mod crash;
mod idle;
mod orders;
mod policy;
mod ports;
mod restore;

mod staging;
mod unlisted_hosts;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use cordon_protocol::{Apply, NewOrder, Order, OrderKind, Scope, Sources};
use tempfile::TempDir;

use super::{Caller, Gateway, stand_in};
use crate::clock::fake::Fake;
use crate::kill_switch::{KILLED, KillSwitch};
use crate::plane::fake::Kernel;
use crate::refusal::Refusal;
use crate::store::Directory;
use crate::store::fake::Disk;

/// A machine: the kernel, the disk and the clock, which outlive the daemon.
pub struct Machine {
    /// Its kernel.
    pub kernel: Kernel,
    disk: TempDir,
    full: Arc<AtomicBool>,
    kill_switch: Arc<KillSwitch>,
    clock: Arc<Fake>,
    boots: usize,
}

impl Machine {
    /// A new machine.
    pub fn new() -> Machine {
        let kill_switch = Arc::new(KillSwitch::default());
        Machine {
            kernel: Kernel::new(Arc::clone(&kill_switch)),
            disk: tempfile::tempdir().expect("makes a directory"),
            full: Arc::default(),
            kill_switch,
            clock: Arc::new(Fake::new("boot 1")),
            boots: 1,
        }
    }

    /// Starts the daemon.
    pub fn start(&self) -> Gateway {
        let directory = Directory::open(self.disk.path()).expect("is not in use");
        let disk = Disk::new(
            directory,
            Arc::clone(&self.kill_switch),
            Arc::clone(&self.full),
        );
        Gateway::start(stand_in(&self.kernel, disk, Arc::clone(&self.clock))).expect("starts")
    }

    /// A power failure: the kernel loses everything. The daemon is not started yet.
    fn reboot(&mut self) {
        self.kernel.forget();
        self.boots += 1;
        self.clock = Arc::new(Fake::new(&format!("boot {}", self.boots)));
    }

    /// Fills the disk, or empties it.
    pub fn fill_disk(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.disk.path().join(name)
    }
}

/// Runs `work`; true if the daemon was killed in it.
fn is_killed(work: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(()) => false,
        Err(panic) => {
            let killed = panic.downcast_ref::<&str>() == Some(&KILLED);
            if !killed {
                std::panic::resume_unwind(panic);
            }
            true
        }
    }
}

/// A site with two devices, and the rules given.
fn sources(rules: &str) -> Sources {
    with_ports(
        "access0: {device: eth1}, core0: {device: eth2, uplink: true}",
        rules,
    )
}

fn with_ports(ports: &str, rules: &str) -> Sources {
    let site = format!(
        "site: test\nports: {{{ports}}}\nsegments:\n  imaging: {{attach: [access0.210, core0.210], \
         subnets: [10.21.0.0/24], isolate: true}}\nzones:\n  clinical: {{segments: [imaging]}}\n  \
         world: {{networks: [0.0.0.0/0]}}\n"
    );
    let devices = "name,mac,ips,segment,profile,function,criticality\n\
                   ct,02:00:00:00:00:01,10.21.0.1,imaging,ct,imaging,high\n\
                   us,02:00:00:00:00:02,10.21.0.2,imaging,us,imaging,low\n";
    Sources {
        site,
        policy: Some(format!("rules:\n{rules}")),
        devices: Some(devices.to_owned()),
    }
}

/// The first of two policies that differ.
pub fn policy_a() -> Sources {
    sources("  - {name: a, from: ct, to: us, service: dicom}\n")
}

fn policy_b() -> Sources {
    sources("  - {name: b, from: us, to: ct, service: https}\n")
}

/// The same policy with this many more devices, each like the second.
fn with_more(mut sources: Sources, more: usize) -> Sources {
    let listed = sources.devices.get_or_insert_default();
    for number in 0..more {
        *listed += &format!(
            "more-{number},02:00:00:00:01:{number:02x},10.21.0.{},imaging,us,imaging,low\n",
            100 + number
        );
    }
    sources
}

fn apply(gateway: &Gateway, sources: Sources) -> Result<(), Refusal> {
    let apply = Apply {
        sources,
        confirm_seconds: None,
    };
    gateway.apply(&apply).map(drop)
}

fn apply_for(gateway: &Gateway, sources: Sources, seconds: u64) -> Result<(), Refusal> {
    let apply = Apply {
        sources,
        confirm_seconds: Some(seconds),
    };
    gateway.apply(&apply).map(drop)
}

fn new_order(kind: OrderKind, posture: &str, seconds: Option<u64>) -> NewOrder {
    NewOrder {
        kind,
        scope: Scope::Site,
        posture: posture.to_owned(),
        reason: "a test".to_owned(),
        ticket: None,
        by: Some("tester".to_owned()),
        seconds,
    }
}

fn give(gateway: &Gateway, order: NewOrder) -> Result<Order, Refusal> {
    gateway.engine().give(order, Caller(7), Instant::now())
}

fn quarantine(gateway: &Gateway, posture: &str) -> Result<Order, Refusal> {
    give(gateway, new_order(OrderKind::Quarantine, posture, None))
}

fn quarantine_for(gateway: &Gateway, posture: &str, seconds: u64) -> Result<Order, Refusal> {
    give(
        gateway,
        new_order(OrderKind::Quarantine, posture, Some(seconds)),
    )
}

fn release(gateway: &Gateway) -> Result<Order, Refusal> {
    give(gateway, new_order(OrderKind::Release, "normal", None))
}

/// The name of the first rule of the policy in force.
fn in_force(gateway: &Gateway) -> Option<String> {
    let active = gateway.engine().current()?;
    active.policy.rules.first().map(|rule| rule.name.clone())
}

/// The number of devices of the policy in force.
fn devices(gateway: &Gateway) -> usize {
    let current = gateway.engine().current();
    current.map_or(0, |active| active.policy.devices.len())
}

fn warned(gateway: &Gateway, of: &str) -> bool {
    let engine = gateway.engine();
    engine.warnings().any(|warning| warning.contains(of))
}

const NORMAL: u8 = 0;
const CONTAIN: u8 = 2;
const LOCKDOWN: u8 = 4;
const SEVER: u8 = 5;
