//! Idle timeouts of flows, by the services of their rules.

mod common;

use std::time::Duration;

use common::policy;
use cordon_compile::{idle_timeout_of, rule_number};
use cordon_policy::protocols::{ICMP, ICMPV6, SCTP, TCP, UDP};
use cordon_verdict::abi::{RULE_ARP, RULE_FIRST};

#[test]
fn the_idle_timeout_of_a_flow_is_that_of_the_service_that_matches_it() {
    let site = "segments: {lab: {attach: [access0, core0], isolate: true}}\n";
    let text = "
services:
  hl7: {tcp: 2575, idle: 24h}
  wide: {tcp: 2000-3000, udp: 2575, sctp: 2905, idle: 30m}
  ping: {icmp: true, idle: 5s}
rules:
  - {name: hl7, from: lab, to: any, service: hl7}
  - {name: both, from: lab, to: any, service: [wide, hl7, https]}
  - {name: inline, from: lab, to: any, service: [tcp/2575, any]}
  - {name: ping, from: lab, to: any, service: ping}
  - {name: old, from: lab, to: any, service: hl7, expires: 2020-01-01}
";
    let policy = policy(site, text, "");
    let idle = idle_timeout_of(&policy);
    let [hl7, both, inline, ping, old] = [0, 1, 2, 3, 4].map(rule_number);
    for (rule, protocol, port, seconds) in [
        (hl7, TCP, 2575, Some(86_400)),
        (hl7, TCP, 2576, None),
        (hl7, UDP, 2575, None),
        // Of two services with the port, the longer timeout applies, in any order.
        (both, TCP, 2575, Some(86_400)),
        (both, TCP, 2000, Some(1800)),
        (both, TCP, 3000, Some(1800)),
        (both, TCP, 3001, None),
        (both, UDP, 2575, Some(1800)),
        (both, SCTP, 2905, Some(1800)),
        (both, SCTP, 2575, None),
        // A service without `idle` uses the default of the protocol.
        (both, TCP, 443, None),
        (inline, TCP, 2575, None),
        (ping, ICMP, 4711, Some(5)),
        (ping, ICMPV6, 0, Some(5)),
        (ping, TCP, 7, None),
        // A flow may live on after its rule has expired.
        (old, TCP, 2575, Some(86_400)),
        (0, TCP, 2575, None),
        (RULE_ARP, TCP, 2575, None),
        (RULE_FIRST + 5, TCP, 2575, None),
        (u32::MAX, TCP, 2575, None),
    ] {
        let expected = seconds.map(Duration::from_secs);
        assert_eq!(
            idle(rule, protocol, port),
            expected,
            "{rule} {protocol} {port}"
        );
    }
}
