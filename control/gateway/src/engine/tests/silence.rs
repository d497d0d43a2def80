//! For how long flows may be silent.

use std::time::Duration;

use cordon_kernel::{FlowEntry, Silence};
use cordon_verdict::Ip;
use cordon_verdict::abi::{Flow, RULE_FIRST, Ruling};

use super::*;

/// A flow that the first rule of a policy let pass, to a TCP port.
fn flow(epoch: u32, port: u16) -> FlowEntry {
    FlowEntry {
        address: [Ip::v4(1), Ip::v4(2)],
        port: [40000, port],
        segment: 0,
        protocol: 6,
        requester: 0,
        half_open: false,
        flow: Flow {
            judged: Flow::judged(epoch, Ruling::allow(RULE_FIRST)),
            ..Flow::blank(0)
        },
    }
}

/// A policy by the first rule of which results may be silent for so many hours.
fn with_idle(name: &str, hours: u64) -> Sources {
    let mut sources = sources(&format!(
        "  - {{name: {name}, from: ct, to: us, service: [results, ssh]}}\n"
    ));
    let rules = sources.policy.get_or_insert_default();
    *rules += &format!("services: {{results: {{tcp: 2575, idle: {hours}h}}}}\n");
    sources
}

#[test]
fn a_service_says_how_long_and_another_policy_cuts_nobody_short() {
    let machine = Machine::new();
    let gateway = machine.start();
    let epoch = || machine.kernel.tables().control.expect("is there").epoch;
    // The epochs that a flow was judged under, its port, and what the sweep is told.
    let told = |flows: &[(u32, u16)], expected: &[Silence]| {
        let flows = flows.iter().map(|(epoch, port)| flow(*epoch, *port));
        machine.kernel.tables().flows = flows.collect();
        gateway.tick();
        assert_eq!(machine.kernel.tables().silence, expected);
    };
    let hours = |hours: u64| Duration::from_secs(hours * 3600);

    apply(&gateway, policy_a()).expect("is applied");
    let first = epoch();
    told(
        &[(first, 2575), (0, 2575)],
        &[Silence::Usual, Silence::Usual],
    );

    apply(&gateway, with_idle("long", 40)).expect("is applied");
    let long = epoch();
    told(
        &[(long, 2575), (long, 22), (first, 2575), (0, 2575)],
        &[
            Silence::Exactly(hours(40)),
            Silence::Usual,
            Silence::AtLeast(Duration::ZERO),
            Silence::AtLeast(hours(40)),
        ],
    );

    apply(&gateway, with_idle("short", 1)).expect("is applied");
    let short = epoch();
    told(
        &[(short, 2575), (long, 2575), (long, 22), (first, 2575)],
        &[
            Silence::Exactly(hours(1)),
            Silence::AtLeast(hours(40)),
            Silence::AtLeast(Duration::ZERO),
            Silence::AtLeast(hours(40)),
        ],
    );

    // An order judges anew under the same policy: the rules are the same.
    quarantine(&gateway, "watch").expect("is given");
    assert!(epoch() > short);
    told(
        &[(epoch(), 2575), (short, 2575)],
        &[Silence::Exactly(hours(1)), Silence::Exactly(hours(1))],
    );
}
