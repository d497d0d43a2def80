//! Rule counters across changes of policy and posture.

use cordon_verdict::abi::{Counter, RULE_FIRST};

use super::*;

/// The first rule that is not built in.
const FIRST: usize = RULE_FIRST as usize;

#[test]
fn rule_counters_continue_under_the_next_policy() {
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
    // Another policy: its rules start at zero, the total of passed packets continues.
    apply(&gateway, policy_b()).expect("is applied");
    let counts = gateway.engine().counts().expect("reads");
    assert_eq!((counts.rules[FIRST].packets, counts.passed.packets), (0, 7));
}

#[test]
fn only_packets_that_a_shut_rule_lets_pass_count_as_forbidden() {
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
    assert_eq!(forbidden(), 0, "the open rule may count");
    count(20, 13);
    gateway.tick();
    assert_eq!(forbidden(), 3, "the shut one must not");
    release(&gateway).expect("is given");
    count(30, 30);
    assert_eq!(forbidden(), 3, "open again");
}
