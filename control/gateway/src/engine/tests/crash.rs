//! Killed between any two steps that change the kernel or the disk, with and without a reboot: never more open than
//! acknowledged.

use std::cell::{Cell, RefCell};

use cordon_policy::Posture;
use cordon_protocol::OrderKind;

use super::*;

/// What a caller was told, and what it is waiting to be told.
#[derive(Default)]
struct Told {
    /// The posture that was acknowledged last.
    posture: Cell<u8>,
    /// The policy that was acknowledged last.
    policy: RefCell<Option<&'static str>>,
    /// What is under way.
    asked: Cell<Option<Asked>>,
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Policy(&'static str),
    Posture(u8),
}

impl Told {
    fn apply(&self, gateway: &Gateway, name: &'static str) {
        self.asked.set(Some(Asked::Policy(name)));
        let sources = match name {
            "a" => policy_a(),
            "b" => policy_b(),
            more => with_more(policy_b(), more.len() - 1),
        };
        apply(gateway, sources).expect("is applied");
        *self.policy.borrow_mut() = Some(name);
        self.asked.set(None);
    }

    fn order(&self, gateway: &Gateway, posture: Posture) {
        self.asked.set(Some(Asked::Posture(posture as u8)));
        let kind = match posture {
            Posture::Normal => OrderKind::Release,
            _ => OrderKind::Quarantine,
        };
        give(gateway, new_order(kind, posture.name(), None)).expect("is given");
        self.posture.set(posture as u8);
        self.asked.set(None);
    }
}

/// Every kind of change, each after some other.
fn scenario(gateway: &Gateway, told: &Told) {
    told.apply(gateway, "a");
    told.order(gateway, Posture::Contain);
    told.apply(gateway, "b");
    told.order(gateway, Posture::Lockdown);
    // Small changes: when the other slot is far from it, and when it is near.
    told.apply(gateway, "b+");
    gateway.tick();
    told.apply(gateway, "b++");
    told.apply(gateway, "b+++");
    told.order(gateway, Posture::Normal);
    told.apply(gateway, "a");
    told.order(gateway, Posture::Sever);
    told.order(gateway, Posture::Normal);
}

/// How many steps the scenario takes.
fn steps() -> usize {
    let machine = Machine::new();
    let gateway = machine.start();
    machine.steps.kill_before(0);
    scenario(&gateway, &Told::default());
    machine.steps.taken()
}

fn killed_at(step: usize) -> (Machine, Told) {
    let machine = Machine::new();
    let told = Told::default();
    let gateway = machine.start();
    machine.steps.kill_before(step);
    assert!(is_killed(|| scenario(&gateway, &told)));
    machine.steps.kill_before(0);
    drop(gateway);
    (machine, told)
}

#[test]
fn a_killed_daemon_leaves_the_kernel_at_least_as_closed_as_the_store() {
    let steps = steps();
    assert!(steps >= 40, "{steps} steps are too few to be all");
    for step in 1..=steps {
        let (machine, told) = killed_at(step);
        let directory = Directory::open(machine.disk.path()).expect("opens");
        let stored = crate::store::Store::state(&directory).expect("reads");
        let stored = stored.map_or(0, |state| state.posture() as u8);
        let kernel = machine.kernel.posture();
        assert!(
            kernel >= stored,
            "step {step}: kernel {kernel}, store {stored}"
        );
        if !matches!(told.asked.get(), Some(Asked::Posture(NORMAL))) {
            assert!(kernel >= told.posture.get(), "step {step}");
        }
    }
}

#[test]
fn a_daemon_that_comes_back_keeps_what_was_acknowledged() {
    for step in 1..=steps() {
        let (machine, told) = killed_at(step);
        let before = machine.kernel.posture();
        let gateway = machine.start();
        let after = machine.kernel.posture();
        assert_eq!(after, before, "step {step}: nothing opens by itself");
        check(step, "restart", &machine, &told, &gateway);
    }
}

#[test]
fn a_reboot_keeps_what_was_acknowledged() {
    for step in 1..=steps() {
        let (mut machine, told) = killed_at(step);
        machine.reboot();
        let gateway = machine.start();
        check(step, "reboot", &machine, &told, &gateway);
    }
}

fn check(step: usize, after: &str, machine: &Machine, told: &Told, gateway: &Gateway) {
    let asked = told.asked.get();
    let at = format!("{after} after step {step}, asked {asked:?}");
    let policy = in_force(gateway).map(|name| name + &"+".repeat(devices(gateway) - 2));
    let acknowledged = told.policy.borrow().map(str::to_owned);
    match asked {
        Some(Asked::Policy(name)) => {
            let either = policy == acknowledged || policy.as_deref() == Some(name);
            assert!(either, "{at}: {policy:?}");
        }
        _ => assert_eq!(policy, acknowledged, "{at}"),
    }
    // The names that are told are those of the tables in the kernel.
    let generation = machine.kernel.generation();
    match gateway.engine().current() {
        Some(named) => named.generation(|named| assert!(*named == generation, "{at}")),
        None => assert!(generation.admissions.is_empty(), "{at}"),
    }
    let engine = gateway.engine();
    let posture = engine.posture() as u8;
    if policy.is_some() {
        assert_eq!(machine.kernel.posture(), posture, "{at}");
    }
    match asked {
        // Not acknowledged: what was, or what was asked for.
        Some(Asked::Posture(asked)) => {
            assert!(
                posture == told.posture.get() || posture == asked,
                "{at}: {posture}"
            );
        }
        _ => assert_eq!(posture, told.posture.get(), "{at}"),
    }
    drop(engine);
    // And the daemon works.
    give(gateway, new_order(OrderKind::Quarantine, "sever", None)).expect("is given");
    apply(gateway, policy_b()).expect("is applied");
    assert_eq!(machine.kernel.posture(), SEVER, "{at}");
}

#[test]
fn orders_are_numbered_without_gaps_whatever_happens() {
    for step in 1..=steps() {
        let (machine, _) = killed_at(step);
        let gateway = machine.start();
        quarantine(&gateway, "sever").expect("is given");
        let orders = gateway.engine().orders().expect("reads");
        let numbers: Vec<u64> = orders.iter().map(|order| order.sequence).collect();
        let expected: Vec<u64> = (1..=orders.len() as u64).collect();
        assert_eq!(numbers, expected, "step {step}");
    }
}
