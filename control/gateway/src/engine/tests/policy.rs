//! Applying policies: completely or not at all, and again when the day changes.

use super::*;

#[test]
fn an_invalid_policy_has_no_effect() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    let installs = machine.kernel.tables().installs;
    let wrong = sources("  - {name: x, from: missing, to: us, service: dicom}\n");
    let Err(Refusal::Rejected(rejected)) = apply(&gateway, wrong) else {
        panic!("is refused");
    };
    assert_eq!(rejected.problems.len(), 1);
    assert_eq!(machine.kernel.tables().installs, installs);
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
}

#[test]
fn on_a_full_disk_a_policy_is_refused_and_the_old_one_stays() {
    let mut machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    let before = machine.kernel.generation();
    machine.fill_disk(true);
    let Err(refusal @ Refusal::NotDurable { .. }) = apply(&gateway, policy_b()) else {
        panic!("is refused");
    };
    let failure = refusal.into_failure();
    assert_eq!(failure.code, cordon_protocol::FailureCode::NotDurable);
    assert!(failure.hint.expect("has one").contains("disk is full"));
    assert!(machine.kernel.generation() == before);
    drop(gateway);
    machine.reboot();
    let gateway = machine.start();
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
}

#[test]
fn a_rule_ends_on_the_day_after_its_expiry_date() {
    let machine = Machine::new();
    let gateway = machine.start();
    // The clock of tests starts on 2026-05-28.
    let rules = "  - {name: a, from: ct, to: us, service: dicom}\n  \
                 - {name: until, from: us, to: ct, service: ssh, expires: 2026-05-28}\n";
    let mut policy = sources(rules);
    let invariants = "invariants:\n  - {from: us, to: ct, service: ssh, expect: allow}\n";
    policy.policy = policy.policy.map(|text| text + invariants);
    apply(&gateway, policy).expect("is applied");
    let before = machine.kernel.generation();
    gateway.tick();
    assert!(machine.kernel.generation() == before);
    machine.clock.advance(86400);
    gateway.tick();
    let after = machine.kernel.generation();
    assert!(after.policy.rows.len() < before.policy.rows.len());
    assert!(warned(&gateway, "breaks an invariant"));
    // It was valid when it was applied: a restart restores it.
    drop(gateway);
    let gateway = machine.start();
    assert!(machine.kernel.generation() == after);
    assert!(warned(&gateway, "breaks an invariant"));
}

#[test]
fn a_new_day_without_expiring_rules_has_no_effect() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    let installs = machine.kernel.tables().installs;
    machine.clock.advance(86400);
    gateway.tick();
    gateway.tick();
    drop(gateway);
    let gateway = machine.start();
    assert_eq!(machine.kernel.tables().installs, installs);
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
}

#[test]
fn concurrent_calls_are_served_one_after_the_other() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    std::thread::scope(|scope| {
        scope.spawn(|| (0..20).for_each(|_| apply(&gateway, policy_b()).expect("is applied")));
        scope.spawn(|| (0..20).for_each(|_| gateway.tick()));
        scope.spawn(|| {
            for _ in 0..20 {
                quarantine(&gateway, "contain").expect("is given");
                assert_eq!(
                    machine.kernel.posture(),
                    CONTAIN,
                    "in force when it returns"
                );
                release(&gateway).expect("is given");
            }
        });
    });
    assert_eq!(machine.kernel.posture(), NORMAL);
    assert_eq!(gateway.engine().state().generation, 21);
    let orders = gateway.engine().orders().expect("reads");
    let numbers: Vec<u64> = orders.iter().map(|order| order.sequence).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<u64>>());
}
