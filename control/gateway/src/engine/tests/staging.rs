//! Writing policies: what happens meanwhile, and what is written of a small change.

use std::sync::Barrier;

use super::*;

/// Applies a policy on another thread, and runs `work` while its tables are half written.
fn while_written(machine: &Machine, gateway: &Gateway, sources: Sources, work: impl FnOnce()) {
    let barrier = Arc::new(Barrier::new(2));
    machine.kernel.tables().stage_barrier = Some(Arc::clone(&barrier));
    std::thread::scope(|scope| {
        let applied = scope.spawn(|| apply(gateway, sources));
        barrier.wait();
        machine.kernel.tables().stage_barrier = None;
        work();
        barrier.wait();
        applied.join().expect("does not panic").expect("is applied");
    });
}

#[test]
fn an_order_does_not_wait_for_a_policy_that_is_being_written() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    while_written(&machine, &gateway, policy_b(), || {
        quarantine(&gateway, "contain").expect("is given");
        assert_eq!(machine.kernel.posture(), CONTAIN);
        assert_eq!(in_force(&gateway).as_deref(), Some("a"));
    });
    assert_eq!(in_force(&gateway).as_deref(), Some("b"));
    assert_eq!(machine.kernel.posture(), CONTAIN);
    while_written(&machine, &gateway, policy_a(), || {
        quarantine(&gateway, "sever").expect("is given");
        release(&gateway).expect("is given");
        assert_eq!(machine.kernel.posture(), NORMAL);
    });
    assert_eq!(machine.kernel.posture(), NORMAL);
    // Both are durable: the policy, and the orders given while it was written.
    drop(gateway);
    let gateway = machine.start();
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
    assert_eq!(gateway.engine().orders().expect("reads").len(), 3);
}

#[test]
fn confirming_while_another_policy_is_written_keeps_that_policy() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply_for(&gateway, policy_a(), 60).expect("is applied");
    while_written(&machine, &gateway, policy_b(), || {
        gateway.engine().confirm().expect("is confirmed");
    });
    drop(gateway);
    let gateway = machine.start();
    assert_eq!(in_force(&gateway).as_deref(), Some("b"));
}

/// The number of policies written whole during `work`. Checks that the kernel has the tables of the policy in force.
fn written(machine: &Machine, gateway: &Gateway, work: impl FnOnce()) -> usize {
    let before = machine.kernel.tables().whole;
    work();
    let current = gateway.engine().current().expect("is there");
    let tables = machine.kernel.generation();
    assert!(current.generation(|generation| *generation == tables));
    machine.kernel.tables().whole - before
}

#[test]
fn of_a_small_change_only_the_change_is_written() {
    let machine = Machine::new();
    let gateway = machine.start();
    let change = |more| apply(&gateway, with_more(policy_a(), more)).expect("is applied");
    assert_eq!(written(&machine, &gateway, || change(0)), 1);
    // The next tick brings the inactive slot up to date.
    assert_eq!(written(&machine, &gateway, || gateway.tick()), 1);
    assert_eq!(written(&machine, &gateway, || gateway.tick()), 0);
    for more in [1, 2, 5, 0, 3] {
        assert_eq!(written(&machine, &gateway, || change(more)), 0, "{more}");
        assert_eq!(devices(&gateway), 2 + more);
    }
    assert_eq!(written(&machine, &gateway, || gateway.tick()), 0);

    // Without a tick in between, the inactive slot is out of date.
    let other = || apply(&gateway, policy_b()).expect("is applied");
    assert_eq!(written(&machine, &gateway, other), 1);
    let change = |more| apply(&gateway, with_more(policy_b(), more)).expect("is applied");
    assert_eq!(written(&machine, &gateway, || change(1)), 1);
    assert_eq!(written(&machine, &gateway, || change(2)), 0);
    assert_eq!(written(&machine, &gateway, || change(3)), 0);

    // If the tables are full, the whole policy is written.
    machine.kernel.tables().no_room = true;
    assert_eq!(written(&machine, &gateway, || change(4)), 1);
    assert_eq!(written(&machine, &gateway, || change(5)), 0);
    // After a restart the content of the slots is unknown.
    drop(gateway);
    let gateway = machine.start();
    let change = |more| apply(&gateway, with_more(policy_b(), more)).expect("is applied");
    assert_eq!(written(&machine, &gateway, || change(6)), 1);
    assert_eq!(written(&machine, &gateway, || gateway.tick()), 1);
    assert_eq!(written(&machine, &gateway, || change(7)), 0);
}

#[test]
fn a_change_that_is_not_durable_is_undone_and_the_next_one_is_correct() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    gateway.tick();
    apply(&gateway, with_more(policy_a(), 1)).expect("is applied");
    machine.fill_disk(true);
    apply(&gateway, with_more(policy_a(), 2)).expect_err("the disk is full");
    assert_eq!(devices(&gateway), 3);
    machine.fill_disk(false);
    for more in [3, 4] {
        written(&machine, &gateway, || {
            apply(&gateway, with_more(policy_a(), more)).expect("is applied");
        });
        assert_eq!(devices(&gateway), 2 + more);
    }
}
