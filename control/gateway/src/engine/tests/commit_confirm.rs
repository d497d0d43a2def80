//! Commit-confirm: rollback of a policy that is not confirmed in time.

use super::*;

#[test]
fn an_unconfirmed_policy_is_rolled_back() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    apply_for(&gateway, policy_b(), 60).expect("is applied");
    assert_eq!(in_force(&gateway).as_deref(), Some("b"));
    machine.clock.jump(3600);
    gateway.tick();
    assert_eq!(
        in_force(&gateway).as_deref(),
        Some("b"),
        "setting the wall clock does not count"
    );
    machine.clock.advance(60);
    gateway.tick();
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
    assert!(gateway.engine().confirm().is_err());
    assert!(warned(&gateway, "was not confirmed in time"));
    apply(&gateway, policy_b()).expect("is applied");
    assert!(!warned(&gateway, "was not confirmed in time"));
}

#[test]
fn it_is_rolled_back_also_if_the_daemon_was_down() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    apply_for(&gateway, policy_b(), 60).expect("is applied");
    drop(gateway);
    machine.clock.advance(61);
    let gateway = machine.start();
    gateway.tick();
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
    drop(gateway);
    assert_eq!(in_force(&machine.start()).as_deref(), Some("a"));
}

#[test]
fn it_is_rolled_back_also_on_a_full_disk() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    apply_for(&gateway, policy_b(), 60).expect("is applied");
    machine.fill_disk(true);
    machine.clock.advance(60);
    gateway.tick();
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
    drop(gateway);
    let gateway = machine.start();
    gateway.tick();
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
}

#[test]
fn a_confirmed_policy_stays() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    apply_for(&gateway, policy_b(), 60).expect("is applied");
    assert!(
        gateway
            .engine()
            .policy_status()
            .expect("is")
            .reverts
            .is_some()
    );
    gateway.engine().confirm().expect("is pending");
    machine.clock.advance(3600);
    gateway.tick();
    assert_eq!(in_force(&gateway).as_deref(), Some("b"));
}

#[test]
fn of_two_unconfirmed_policies_the_rollback_is_to_the_confirmed_one() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    apply_for(&gateway, policy_b(), 60).expect("is applied");
    let other = sources("  - {name: c, from: us, to: ct, service: ssh}\n");
    apply_for(&gateway, other, 60).expect("is applied");
    machine.clock.advance(60);
    gateway.tick();
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
}

#[test]
fn an_unconfirmed_first_policy_is_rolled_back_to_none() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply_for(&gateway, policy_a(), 60).expect("is applied");
    machine.clock.advance(60);
    gateway.tick();
    assert_eq!(in_force(&gateway), None);
    assert!(machine.kernel.generation().admissions.is_empty());
    assert!(machine.kernel.tables().ports.is_empty());
}
