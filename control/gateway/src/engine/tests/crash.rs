//! The daemon is killed before each step that changes the kernel or the disk, with and without a reboot: nothing is
//! more open than acknowledged.

use std::cell::{Cell, RefCell};

use cordon_policy::Posture;
use cordon_protocol::OrderKind;

use super::*;

/// What the gateway has acknowledged, and the request in progress.
#[derive(Default)]
struct Acknowledged {
    /// The last acknowledged posture.
    posture: Cell<u8>,
    /// The last acknowledged policy.
    policy: RefCell<Option<&'static str>>,
    /// The request in progress.
    request: Cell<Option<Request>>,
}

#[derive(Clone, Copy, Debug)]
enum Request {
    Policy(&'static str),
    Posture(u8),
}

impl Acknowledged {
    fn apply(&self, gateway: &Gateway, name: &'static str) {
        self.request.set(Some(Request::Policy(name)));
        let sources = match name {
            "a" => policy_a(),
            "b" => policy_b(),
            more => with_more(policy_b(), more.len() - 1),
        };
        apply(gateway, sources).expect("is applied");
        *self.policy.borrow_mut() = Some(name);
        self.request.set(None);
    }

    fn order(&self, gateway: &Gateway, posture: Posture) {
        self.request.set(Some(Request::Posture(posture as u8)));
        let kind = match posture {
            Posture::Normal => OrderKind::Release,
            _ => OrderKind::Quarantine,
        };
        give(gateway, new_order(kind, posture.name(), None)).expect("is given");
        self.posture.set(posture as u8);
        self.request.set(None);
    }
}

/// Every kind of change, each after different ones.
fn scenario(gateway: &Gateway, acknowledged: &Acknowledged) {
    acknowledged.apply(gateway, "a");
    acknowledged.order(gateway, Posture::Contain);
    acknowledged.apply(gateway, "b");
    acknowledged.order(gateway, Posture::Lockdown);
    // Small changes, with the inactive slot out of date and up to date.
    acknowledged.apply(gateway, "b+");
    gateway.tick();
    acknowledged.apply(gateway, "b++");
    acknowledged.apply(gateway, "b+++");
    acknowledged.order(gateway, Posture::Normal);
    acknowledged.apply(gateway, "a");
    acknowledged.order(gateway, Posture::Sever);
    acknowledged.order(gateway, Posture::Normal);
}

/// The number of steps of the scenario.
fn steps() -> usize {
    let machine = Machine::new();
    let gateway = machine.start();
    machine.kill_switch.kill_before(0);
    scenario(&gateway, &Acknowledged::default());
    machine.kill_switch.taken()
}

fn killed_at(step: usize) -> (Machine, Acknowledged) {
    let machine = Machine::new();
    let acknowledged = Acknowledged::default();
    let gateway = machine.start();
    machine.kill_switch.kill_before(step);
    assert!(is_killed(|| scenario(&gateway, &acknowledged)));
    machine.kill_switch.kill_before(0);
    drop(gateway);
    (machine, acknowledged)
}

#[test]
fn a_killed_daemon_leaves_the_kernel_at_least_as_closed_as_the_store() {
    let steps = steps();
    assert!(steps >= 40, "{steps} steps are too few to be all");
    for step in 1..=steps {
        let (machine, acknowledged) = killed_at(step);
        let directory = Directory::open(machine.disk.path()).expect("opens");
        let stored = crate::store::Store::state(&directory).expect("reads");
        let stored = stored.map_or(0, |state| state.posture() as u8);
        let kernel = machine.kernel.posture();
        assert!(
            kernel >= stored,
            "step {step}: kernel {kernel}, store {stored}"
        );
        if !matches!(acknowledged.request.get(), Some(Request::Posture(NORMAL))) {
            assert!(kernel >= acknowledged.posture.get(), "step {step}");
        }
    }
}

#[test]
fn a_restart_keeps_what_was_acknowledged() {
    for step in 1..=steps() {
        let (machine, acknowledged) = killed_at(step);
        let before = machine.kernel.posture();
        let gateway = machine.start();
        let after = machine.kernel.posture();
        assert_eq!(after, before, "step {step}: a restart does not open");
        check(step, "restart", &machine, &acknowledged, &gateway);
    }
}

#[test]
fn a_reboot_keeps_what_was_acknowledged() {
    for step in 1..=steps() {
        let (mut machine, acknowledged) = killed_at(step);
        machine.reboot();
        let gateway = machine.start();
        check(step, "reboot", &machine, &acknowledged, &gateway);
    }
}

fn check(
    step: usize,
    after: &str,
    machine: &Machine,
    acknowledged: &Acknowledged,
    gateway: &Gateway,
) {
    let request = acknowledged.request.get();
    let at = format!("{after} after step {step}, request {request:?}");
    let policy = in_force(gateway).map(|name| name + &"+".repeat(devices(gateway) - 2));
    let policy_before = acknowledged.policy.borrow().map(str::to_owned);
    match request {
        Some(Request::Policy(name)) => {
            let either = policy == policy_before || policy.as_deref() == Some(name);
            assert!(either, "{at}: {policy:?}");
        }
        _ => assert_eq!(policy, policy_before, "{at}"),
    }
    // The reported names belong to the tables in the kernel.
    let generation = machine.kernel.generation();
    match gateway.engine().current() {
        Some(active) => active.generation(|active| assert!(*active == generation, "{at}")),
        None => assert!(generation.admissions.is_empty(), "{at}"),
    }
    let engine = gateway.engine();
    let posture = engine.posture() as u8;
    if policy.is_some() {
        assert_eq!(machine.kernel.posture(), posture, "{at}");
    }
    match request {
        // Not acknowledged: the posture before, or the requested one.
        Some(Request::Posture(request)) => {
            assert!(
                posture == acknowledged.posture.get() || posture == request,
                "{at}: {posture}"
            );
        }
        _ => assert_eq!(posture, acknowledged.posture.get(), "{at}"),
    }
    drop(engine);
    // The daemon still works.
    give(gateway, new_order(OrderKind::Quarantine, "sever", None)).expect("is given");
    apply(gateway, policy_b()).expect("is applied");
    assert_eq!(machine.kernel.posture(), SEVER, "{at}");
}

#[test]
fn orders_are_numbered_without_gaps_after_every_kill() {
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
