//! Orders: the strictest applies, they expire on time, and a full disk does not stop a quarantine.

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
fn a_repeated_order_is_accepted_and_the_first_stays_the_reported_one() {
    let (_, gateway) = machine_with_policy();
    quarantine(&gateway, "contain").expect("is given");
    let again = quarantine(&gateway, "contain").expect("is given");
    assert_eq!(
        (again.before.as_str(), again.posture.as_str()),
        ("contain", "contain")
    );
    let reported = gateway.engine().last_order().expect("there is one");
    assert_eq!(reported.sequence, 1);
    assert_eq!(gateway.engine().orders().expect("reads").len(), 2);
}

#[test]
fn an_invalid_order_is_refused_without_effect() {
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
fn a_quarantine_to_a_lower_posture_is_refused() {
    let (machine, gateway) = machine_with_policy();
    quarantine(&gateway, "lockdown").expect("is given");
    assert!(matches!(
        quarantine(&gateway, "contain"),
        Err(Refusal::Conflict { .. })
    ));
    assert_eq!(machine.kernel.posture(), LOCKDOWN);
}

#[test]
fn an_order_expires_on_time_and_weaker_ones_stay_in_force() {
    let (machine, gateway) = machine_with_policy();
    quarantine(&gateway, "contain").expect("is given");
    quarantine_for(&gateway, "lockdown", 600).expect("is given");
    machine.clock.advance(599);
    gateway.tick();
    assert_eq!(machine.kernel.posture(), LOCKDOWN);
    machine.clock.advance(1);
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
fn a_repeated_order_that_expires_does_not_shorten_one_that_does_not() {
    let (machine, gateway) = machine_with_policy();
    quarantine(&gateway, "contain").expect("is given");
    quarantine_for(&gateway, "contain", 60).expect("is given");
    machine.clock.advance(61);
    gateway.tick();
    assert_eq!(machine.kernel.posture(), CONTAIN);
}

#[test]
fn setting_the_wall_clock_ends_no_order() {
    let (machine, gateway) = machine_with_policy();
    quarantine_for(&gateway, "contain", 600).expect("is given");
    machine.clock.jump(366 * 86400);
    gateway.tick();
    assert_eq!(machine.kernel.posture(), CONTAIN);
    drop(gateway);
    let gateway = machine.start();
    gateway.tick();
    assert_eq!(machine.kernel.posture(), CONTAIN);
    machine.clock.advance(600);
    gateway.tick();
    assert_eq!(machine.kernel.posture(), NORMAL);
}

#[test]
fn after_a_reboot_an_order_continues_with_its_remaining_time() {
    let (mut machine, gateway) = machine_with_policy();
    quarantine_for(&gateway, "contain", 600).expect("is given");
    drop(gateway);
    machine.reboot();
    machine.clock.jump(30 * 86400);
    let gateway = machine.start();
    machine.clock.advance(599);
    gateway.tick();
    assert_eq!(machine.kernel.posture(), CONTAIN);
    machine.clock.advance(1);
    gateway.tick();
    assert_eq!(machine.kernel.posture(), NORMAL);
}

#[test]
fn an_order_that_expired_while_the_daemon_was_down_has_ended() {
    let (machine, gateway) = machine_with_policy();
    quarantine_for(&gateway, "contain", 600).expect("is given");
    drop(gateway);
    machine.clock.advance(601);
    let gateway = machine.start();
    assert_eq!(machine.kernel.posture(), NORMAL);
    assert!(!warned(&gateway, "found at"));
}

#[test]
fn a_quarantine_does_not_need_disk_space() {
    let (mut machine, gateway) = machine_with_policy();
    machine.fill_disk(true);
    let order = quarantine(&gateway, "contain").expect("is given");
    assert_eq!(machine.kernel.posture(), CONTAIN);
    let warning = order.warning.expect("it warns");
    assert!(
        warning.contains("in force") && warning.contains("disk is full"),
        "{warning}"
    );
    assert!(warned(&gateway, "not durable"));
    // The daemon restarts: the kernel still has the posture.
    drop(gateway);
    let gateway = machine.start();
    assert_eq!(machine.kernel.posture(), CONTAIN);
    // The disk has space again.
    machine.fill_disk(false);
    gateway.tick();
    assert!(!warned(&gateway, "not durable"));
    drop(gateway);
    machine.reboot();
    let _gateway = machine.start();
    assert_eq!(machine.kernel.posture(), CONTAIN);
}

#[test]
fn a_release_needs_disk_space() {
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
fn an_order_without_a_policy_applies_to_the_first_policy() {
    let machine = Machine::new();
    let gateway = machine.start();
    quarantine(&gateway, "contain").expect("is given");
    assert_eq!(machine.kernel.tables().control, None);
    apply(&gateway, policy_a()).expect("is applied");
    assert_eq!(machine.kernel.posture(), CONTAIN);
}

#[test]
fn characters_of_a_reason_that_cannot_be_seen_are_escaped() {
    let (_machine, gateway) = machine_with_policy();
    let order = NewOrder {
        reason: "a\u{200f}b\u{61c}c\u{2028}d\u{200b}".to_owned(),
        ticket: Some("INC\u{202e}1".to_owned()),
        by: Some("a\u{2066}nn".to_owned()),
        ..new_order(OrderKind::Quarantine, "contain", None)
    };
    let order = give(&gateway, order).expect("is given");
    assert_eq!(order.reason, "a\\u{200f}b\\u{61c}c\\u{2028}d\\u{200b}");
    assert_eq!(order.ticket.as_deref(), Some("INC\\u{202e}1"));
    assert_eq!(order.by, "a\\u{2066}nn (uid 7)");
    assert_eq!(gateway.engine().orders().expect("reads"), [order]);
}
