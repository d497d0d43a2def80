//! Policies: whole or not at all, on trial, and by the day.

use cordon_verdict::abi::{Counter, RULE_FIRST};

use super::*;

#[test]
fn a_policy_that_is_refused_changes_nothing() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    let installs = machine.kernel.tables().installs;
    let wrong = sources("  - {name: x, from: nobody, to: us, service: dicom}\n");
    let Err(Refusal::Rejected(rejected)) = apply(&gateway, wrong) else {
        panic!("is refused");
    };
    assert_eq!(rejected.problems.len(), 1);
    assert_eq!(machine.kernel.tables().installs, installs);
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
}

#[test]
fn on_a_full_disk_nothing_is_applied_and_the_old_one_stays() {
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
fn a_policy_that_is_not_confirmed_goes_back() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    try_out(&gateway, policy_b(), 60).expect("is applied");
    assert_eq!(in_force(&gateway).as_deref(), Some("b"));
    machine.clock.jump(3600);
    gateway.tick();
    assert_eq!(
        in_force(&gateway).as_deref(),
        Some("b"),
        "a jump is no time"
    );
    machine.clock.pass(60);
    gateway.tick();
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
    assert!(gateway.engine().confirm().is_err());
    assert!(warned(&gateway, "was not confirmed in time"));
    apply(&gateway, policy_b()).expect("is applied");
    assert!(!warned(&gateway, "was not confirmed in time"));
}

#[test]
fn it_goes_back_also_if_the_daemon_was_away() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    try_out(&gateway, policy_b(), 60).expect("is applied");
    drop(gateway);
    machine.clock.pass(61);
    let gateway = machine.start();
    gateway.tick();
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
    drop(gateway);
    assert_eq!(in_force(&machine.start()).as_deref(), Some("a"));
}

#[test]
fn it_goes_back_also_on_a_full_disk() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    try_out(&gateway, policy_b(), 60).expect("is applied");
    machine.fill_disk(true);
    machine.clock.pass(60);
    gateway.tick();
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
    drop(gateway);
    let gateway = machine.start();
    gateway.tick();
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
}

#[test]
fn a_policy_that_is_confirmed_stays() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    try_out(&gateway, policy_b(), 60).expect("is applied");
    assert!(
        gateway
            .engine()
            .policy_status()
            .expect("is")
            .reverts
            .is_some()
    );
    gateway.engine().confirm().expect("is on trial");
    machine.clock.pass(3600);
    gateway.tick();
    assert_eq!(in_force(&gateway).as_deref(), Some("b"));
}

#[test]
fn a_trial_on_top_of_a_trial_goes_back_to_what_was_confirmed() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    try_out(&gateway, policy_b(), 60).expect("is applied");
    let other = sources("  - {name: c, from: us, to: ct, service: ssh}\n");
    try_out(&gateway, other, 60).expect("is applied");
    machine.clock.pass(60);
    gateway.tick();
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
}

#[test]
fn a_first_policy_that_is_not_confirmed_leaves_none() {
    let machine = Machine::new();
    let gateway = machine.start();
    try_out(&gateway, policy_a(), 60).expect("is applied");
    machine.clock.pass(60);
    gateway.tick();
    assert_eq!(in_force(&gateway), None);
    assert!(machine.kernel.generation().admissions.is_empty());
    assert!(machine.kernel.tables().ports.is_empty());
}

#[test]
fn a_rule_is_gone_on_the_day_after_its_last() {
    let machine = Machine::new();
    let gateway = machine.start();
    // The clocks of a test start on 2026-05-28.
    let rules = "  - {name: a, from: ct, to: us, service: dicom}\n  \
                 - {name: until, from: us, to: ct, service: ssh, expires: 2026-05-28}\n";
    let mut policy = sources(rules);
    let invariants = "invariants:\n  - {from: us, to: ct, service: ssh, expect: allow}\n";
    policy.policy = policy.policy.map(|text| text + invariants);
    apply(&gateway, policy).expect("is applied");
    let before = machine.kernel.generation();
    gateway.tick();
    assert!(machine.kernel.generation() == before);
    machine.clock.pass(86400);
    gateway.tick();
    let after = machine.kernel.generation();
    assert!(after.policy.rows.len() < before.policy.rows.len());
    assert!(warned(&gateway, "breaks an invariant"));
    // It was accepted once: it comes up.
    drop(gateway);
    let gateway = machine.start();
    assert!(machine.kernel.generation() == after);
    assert!(warned(&gateway, "breaks an invariant"));
}

#[test]
fn a_new_day_on_which_nothing_expires_changes_nothing() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    let installs = machine.kernel.tables().installs;
    machine.clock.pass(86400);
    gateway.tick();
    gateway.tick();
    drop(gateway);
    let gateway = machine.start();
    assert_eq!(machine.kernel.tables().installs, installs);
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
}

#[test]
fn ports_that_change_numbers_are_never_judged_by_the_wrong_policy() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    let first = machine.kernel.generation();
    let rules = "  - {name: c, from: ct, to: us, service: dicom}\n";
    let swapped = with_ports(
        "core0: {device: eth2, uplink: true}, access0: {device: eth1}",
        rules,
    );
    machine.kernel.tables().judged.clear();
    apply(&gateway, swapped).expect("is applied");
    let second = machine.kernel.generation();
    let tables = machine.kernel.tables();
    let name =
        |port: u16, ports: &std::collections::BTreeMap<u16, String>| ports.get(&port).cloned();
    for (generation, ports) in &tables.judged {
        if *generation == first {
            assert_eq!(name(0, ports).as_deref(), Some("eth1"));
        }
        if *generation == second {
            assert_ne!(name(0, ports).as_deref(), Some("eth1"));
            assert_ne!(name(1, ports).as_deref(), Some("eth2"));
        }
    }
    assert_eq!(name(0, &tables.ports).as_deref(), Some("eth2"));
    assert_eq!(name(1, &tables.ports).as_deref(), Some("eth1"));
}

#[test]
fn a_port_is_taken_into_service_when_its_interface_appears() {
    let machine = Machine::new();
    machine.kernel.tables().missing.push("eth2".to_owned());
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    assert!(warned(&gateway, "no such network interface"));
    let states: Vec<_> = gateway.engine().ports().iter().map(|now| now.up).collect();
    assert_eq!(states, [true, false]);
    machine.kernel.tables().missing.clear();
    gateway.tick();
    assert!(!warned(&gateway, "no such network interface"));
    assert!(gateway.engine().ports().iter().all(|now| now.up));
}

#[test]
fn a_port_that_takes_less_than_others_is_told_of_with_what_to_do() {
    let machine = Machine::new();
    let told = |gateway: &Gateway| -> Vec<String> {
        gateway.tick();
        let engine = gateway.engine();
        let of_mtu = |warning: &&String| warning.contains("mtu");
        engine.warnings().filter(of_mtu).cloned().collect()
    };
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    assert!(told(&gateway).is_empty());
    let set = |machine: &Machine, nic: &str, mtu| {
        machine.kernel.tables().mtus.insert(nic.to_owned(), mtu)
    };
    set(&machine, "eth1", 9000);
    assert_eq!(
        told(&gateway),
        [
            "port core0 loses packets of more than 1500 bytes (MTU 1500), and the rest of the network may send 9000: \
             ip link set eth2 mtu 9000"
        ]
    );
    set(&machine, "eth1", 1500);
    assert!(told(&gateway).is_empty());

    // A second tag at one of them.
    let mut two_tags = policy_a();
    two_tags.site = two_tags.site.replace("access0.210", "access0.100.210");
    apply(&gateway, two_tags).expect("is applied");
    let warnings = told(&gateway);
    assert!(
        warnings[0].contains(
            "port access0 loses packets of more than 1496 bytes (MTU 1500, less a second VLAN tag)"
        ) && warnings[0].ends_with("ip link set eth1 mtu 1504"),
        "{warnings:?}"
    );
    set(&machine, "eth1", 1504);
    assert!(told(&gateway).is_empty());
}

/// The first rule that is not built in.
const FIRST: usize = RULE_FIRST as usize;

#[test]
fn what_a_rule_counted_goes_on_under_the_next_policy() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    let count = |packets| {
        let mut tables = machine.kernel.tables();
        let slot = usize::from(tables.control.expect("is").slot);
        tables.counters[slot] = vec![Counter::default(); FIRST + 1];
        tables.counters[slot][FIRST] = Counter {
            packets,
            bytes: 60 * packets,
        };
    };
    count(5);
    let counts = gateway.engine().counts().expect("reads");
    assert_eq!((counts.rules[FIRST].packets, counts.passed.packets), (5, 5));
    apply(&gateway, policy_a()).expect("is applied");
    let counts = gateway.engine().counts().expect("reads");
    assert_eq!((counts.rules[FIRST].packets, counts.passed.bytes), (5, 300));
    count(2);
    let counts = gateway.engine().counts().expect("reads");
    assert_eq!((counts.rules[FIRST].packets, counts.passed.packets), (7, 7));
    // Another policy: its rules begin anew, what passed does not.
    apply(&gateway, policy_b()).expect("is applied");
    let counts = gateway.engine().counts().expect("reads");
    assert_eq!((counts.rules[FIRST].packets, counts.passed.packets), (0, 7));
}

#[test]
fn what_a_shut_rule_lets_pass_is_noticed_and_nothing_else() {
    let machine = Machine::new();
    let gateway = machine.start();
    let rules = "  - {name: open, from: ct, to: us, service: dicom, survives: lockdown, owner: x, reason: y}\n  \
                 - {name: shut, from: us, to: ct, service: ssh, survives: normal}\n";
    apply(&gateway, sources(rules)).expect("is applied");
    let count = |open: u64, shut: u64| {
        let mut tables = machine.kernel.tables();
        let slot = usize::from(tables.control.expect("is").slot);
        let counter = |packets| Counter {
            packets,
            bytes: packets,
        };
        tables.counters[slot] = vec![counter(9); FIRST];
        tables.counters[slot].extend([counter(open), counter(shut)]);
    };
    let forbidden = || gateway.engine().counts().expect("reads").forbidden;
    count(10, 10);
    assert_eq!(forbidden(), 0);
    quarantine(&gateway, "contain").expect("is given");
    count(20, 10);
    gateway.tick();
    assert_eq!(forbidden(), 0, "the open rule goes on");
    count(20, 13);
    gateway.tick();
    assert_eq!(forbidden(), 3, "the shut one must not");
    release(&gateway).expect("is given");
    count(30, 30);
    assert_eq!(forbidden(), 3, "open again");
}

#[test]
fn whoever_calls_at_the_same_time_is_served_one_after_the_other() {
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
