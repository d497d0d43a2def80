//! Orders: the strictest counts, they end when they should, and a full disk stops none that closes.

use super::*;

fn machine_with_policy() -> (Machine, Gateway) {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    (machine, gateway)
}

#[test]
fn a_quarantine_is_in_force_when_it_returns() {
    let (machine, gateway) = machine_with_policy();
    let order = quarantine(&gateway, "contain").expect("is given");
    assert_eq!(machine.kernel.posture(), CONTAIN);
    assert_eq!((order.sequence, order.before.as_str()), (1, "normal"));
    assert_eq!(order.by, "tester (uid 7)");
    assert!(order.in_force_milliseconds.is_some());
    assert_eq!(order.warning, None);
    let order = release(&gateway).expect("is given");
    assert_eq!((order.sequence, order.before.as_str()), (2, "contain"));
    assert_eq!(machine.kernel.posture(), NORMAL);
}

#[test]
fn the_same_again_is_fine_and_the_first_stays_the_one_that_is_told_of() {
    let (_, gateway) = machine_with_policy();
    quarantine(&gateway, "contain").expect("is given");
    let again = quarantine(&gateway, "contain").expect("is given");
    assert_eq!(
        (again.before.as_str(), again.posture.as_str()),
        ("contain", "contain")
    );
    let told = gateway.engine().last_order().expect("there is one");
    assert_eq!(told.sequence, 1);
    assert_eq!(gateway.engine().orders().expect("reads").len(), 2);
}

#[test]
fn what_is_not_understood_or_makes_no_sense_is_refused_and_changes_nothing() {
    let (machine, gateway) = machine_with_policy();
    let with = |change: fn(&mut NewOrder)| {
        let mut order = new_order(OrderKind::Quarantine, "contain", None);
        change(&mut order);
        order
    };
    for order in [
        with(|order| order.reason = " \t".to_owned()),
        with(|order| order.reason = "two\nlines".to_owned()),
        with(|order| order.by = Some("x".repeat(1001))),
        with(|order| order.posture = "closed".to_owned()),
        with(|order| order.posture = "normal".to_owned()),
        with(|order| order.seconds = Some(0)),
        with(|order| order.seconds = Some(u64::MAX)),
        new_order(OrderKind::Release, "contain", None),
        new_order(OrderKind::Release, "normal", Some(60)),
    ] {
        let refused = give(&gateway, order.clone());
        assert!(
            matches!(refused, Err(Refusal::BadRequest { .. })),
            "{order:?}"
        );
    }
    assert!(matches!(release(&gateway), Err(Refusal::Conflict { .. })));
    assert_eq!(machine.kernel.posture(), NORMAL);
    assert!(gateway.engine().orders().expect("reads").is_empty());
}

#[test]
fn a_lower_posture_is_no_way_to_open() {
    let (machine, gateway) = machine_with_policy();
    quarantine(&gateway, "lockdown").expect("is given");
    assert!(matches!(
        quarantine(&gateway, "contain"),
        Err(Refusal::Conflict { .. })
    ));
    assert_eq!(machine.kernel.posture(), LOCKDOWN);
}

#[test]
fn an_order_ends_when_it_was_said_to_and_what_lies_under_it_stays() {
    let (machine, gateway) = machine_with_policy();
    quarantine(&gateway, "contain").expect("is given");
    quarantine_for(&gateway, "lockdown", 600).expect("is given");
    machine.clock.pass(599);
    gateway.tick();
    assert_eq!(machine.kernel.posture(), LOCKDOWN);
    machine.clock.pass(1);
    gateway.tick();
    assert_eq!(machine.kernel.posture(), CONTAIN);
    let orders = gateway.engine().orders().expect("reads");
    let last = orders.last().expect("there is one");
    assert_eq!((last.sequence, last.by.as_str()), (3, "cordond"));
    assert_eq!(
        (last.before.as_str(), last.posture.as_str()),
        ("lockdown", "contain")
    );
}

#[test]
fn a_repeated_order_with_an_end_does_not_shorten_one_without() {
    let (machine, gateway) = machine_with_policy();
    quarantine(&gateway, "contain").expect("is given");
    quarantine_for(&gateway, "contain", 60).expect("is given");
    machine.clock.pass(61);
    gateway.tick();
    assert_eq!(machine.kernel.posture(), CONTAIN);
}

#[test]
fn a_clock_that_jumps_ends_nothing() {
    let (machine, gateway) = machine_with_policy();
    quarantine_for(&gateway, "contain", 600).expect("is given");
    machine.clock.jump(366 * 86400);
    gateway.tick();
    assert_eq!(machine.kernel.posture(), CONTAIN);
    drop(gateway);
    let gateway = machine.start();
    gateway.tick();
    assert_eq!(machine.kernel.posture(), CONTAIN);
    machine.clock.pass(600);
    gateway.tick();
    assert_eq!(machine.kernel.posture(), NORMAL);
}

#[test]
fn after_a_reboot_what_was_left_is_left_again() {
    let (mut machine, gateway) = machine_with_policy();
    quarantine_for(&gateway, "contain", 600).expect("is given");
    drop(gateway);
    machine.reboot();
    machine.clock.jump(30 * 86400);
    let gateway = machine.start();
    machine.clock.pass(599);
    gateway.tick();
    assert_eq!(machine.kernel.posture(), CONTAIN);
    machine.clock.pass(1);
    gateway.tick();
    assert_eq!(machine.kernel.posture(), NORMAL);
}

#[test]
fn an_order_that_ended_while_the_daemon_was_away_is_over() {
    let (machine, gateway) = machine_with_policy();
    quarantine_for(&gateway, "contain", 600).expect("is given");
    drop(gateway);
    machine.clock.pass(601);
    let gateway = machine.start();
    assert_eq!(machine.kernel.posture(), NORMAL);
    assert!(!warned(&gateway, "found at"));
}

#[test]
fn a_quarantine_does_not_need_room_on_the_disk() {
    let (mut machine, gateway) = machine_with_policy();
    machine.fill_disk(true);
    let order = quarantine(&gateway, "contain").expect("is given");
    assert_eq!(machine.kernel.posture(), CONTAIN);
    let warning = order.warning.expect("it says so");
    assert!(
        warning.contains("in force") && warning.contains("disk is full"),
        "{warning}"
    );
    assert!(warned(&gateway, "not durable"));
    // The daemon dies and comes back: the kernel has not forgotten.
    drop(gateway);
    let gateway = machine.start();
    assert_eq!(machine.kernel.posture(), CONTAIN);
    // There is room again.
    machine.fill_disk(false);
    gateway.tick();
    assert!(!warned(&gateway, "not durable"));
    drop(gateway);
    machine.reboot();
    let _gateway = machine.start();
    assert_eq!(machine.kernel.posture(), CONTAIN);
}

#[test]
fn a_release_does_need_room_on_the_disk() {
    let (machine, gateway) = machine_with_policy();
    quarantine(&gateway, "contain").expect("is given");
    machine.fill_disk(true);
    assert!(matches!(release(&gateway), Err(Refusal::NotDurable { .. })));
    gateway.tick();
    assert_eq!(machine.kernel.posture(), CONTAIN);
    assert_eq!(gateway.engine().posture() as u8, CONTAIN);
    machine.fill_disk(false);
    let order = release(&gateway).expect("is given");
    assert_eq!(order.sequence, 2);
    assert_eq!(machine.kernel.posture(), NORMAL);
}

#[test]
fn before_there_is_a_policy_an_order_counts_for_the_first() {
    let machine = Machine::new();
    let gateway = machine.start();
    quarantine(&gateway, "contain").expect("is given");
    assert_eq!(machine.kernel.tables().control, None);
    apply(&gateway, policy_a()).expect("is applied");
    assert_eq!(machine.kernel.posture(), CONTAIN);
}
