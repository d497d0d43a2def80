//! Idle timeouts.

use std::time::Duration;

use cordon_kernel::{FlowEntry, IdleTimeout};
use cordon_verdict::Ip;
use cordon_verdict::abi::{Flow, RULE_FIRST, Ruling};

use super::*;

/// A flow to a TCP port that the first rule of a policy let pass.
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

/// A policy whose first rule allows a service with an idle timeout in hours.
fn with_idle(name: &str, hours: u64) -> Sources {
    let mut sources = sources(&format!(
        "  - {{name: {name}, from: ct, to: us, service: [results, ssh]}}\n"
    ));
    let rules = sources.policy.get_or_insert_default();
    *rules += &format!("services: {{results: {{tcp: 2575, idle: {hours}h}}}}\n");
    sources
}

#[test]
fn a_service_sets_the_idle_timeout_and_a_new_policy_does_not_shorten_it() {
    let machine = Machine::new();
    let gateway = machine.start();
    let epoch = || machine.kernel.tables().control.expect("is there").epoch;
    // The epoch that each flow was judged under and its port; the timeouts passed to the sweep.
    let expect = |flows: &[(u32, u16)], expected: &[IdleTimeout]| {
        let flows = flows.iter().map(|(epoch, port)| flow(*epoch, *port));
        machine.kernel.tables().flows = flows.collect();
        gateway.tick();
        assert_eq!(machine.kernel.tables().idle_timeouts, expected);
    };
    let hours = |hours: u64| Duration::from_secs(hours * 3600);

    apply(&gateway, policy_a()).expect("is applied");
    let first = epoch();
    expect(
        &[(first, 2575), (0, 2575)],
        &[IdleTimeout::Default, IdleTimeout::Default],
    );

    apply(&gateway, with_idle("long", 40)).expect("is applied");
    let long = epoch();
    expect(
        &[(long, 2575), (long, 22), (first, 2575), (0, 2575)],
        &[
            IdleTimeout::Exactly(hours(40)),
            IdleTimeout::Default,
            IdleTimeout::AtLeast(Duration::ZERO),
            IdleTimeout::AtLeast(hours(40)),
        ],
    );

    apply(&gateway, with_idle("short", 1)).expect("is applied");
    let short = epoch();
    expect(
        &[(short, 2575), (long, 2575), (long, 22), (first, 2575)],
        &[
            IdleTimeout::Exactly(hours(1)),
            IdleTimeout::AtLeast(hours(40)),
            IdleTimeout::AtLeast(Duration::ZERO),
            IdleTimeout::AtLeast(hours(40)),
        ],
    );

    // An order starts a new epoch under the same policy: the rules are the same.
    quarantine(&gateway, "watch").expect("is given");
    assert!(epoch() > short);
    expect(
        &[(epoch(), 2575), (short, 2575)],
        &[
            IdleTimeout::Exactly(hours(1)),
            IdleTimeout::Exactly(hours(1)),
        ],
    );
}
