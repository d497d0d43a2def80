//! Broadcast and multicast discovery works by rule, and only by rule: with a rule, the request is flooded and the
//! answer comes back; without it, both are dropped. Kernel, user space and oracle must agree.

use std::net::IpAddr;

use cordon_compile::compile;
use cordon_integration::differential::{Kernel, Sides, Verdict, in_namespace};
use cordon_integration::generate::frame::{self, BROADCAST, UDP, group_mac};
use cordon_policy::{Date, Mac, Policy, Posture, Sources, from_sources};
use cordon_verdict::Reason;
use cordon_verdict::abi::EVENT_DROP;

const MONITOR: (Mac, [&str; 2]) = (Mac([2, 0, 0, 0, 0, 1]), ["10.1.0.1", "2001:db8:1::1"]);
const CENTRAL: (Mac, [&str; 2]) = (Mac([2, 0, 0, 0, 0, 2]), ["10.1.0.2", "2001:db8:1::2"]);

/// A discovery protocol: the service in the catalogue, the destination of its rule, the address and port of its
/// requests.
struct Discovery {
    service: &'static str,
    to: &'static str,
    group: &'static str,
    port: u16,
}

const fn discovery(
    service: &'static str,
    to: &'static str,
    group: &'static str,
    port: u16,
) -> Discovery {
    Discovery {
        service,
        to,
        group,
        port,
    }
}

#[rustfmt::skip]
const ALL: &[Discovery] = &[
    //        service                 rule to          group               port
    discovery("intellivue-announce",  "broadcast",     "255.255.255.255",  24005),
    discovery("intellivue-announce",  "broadcast",     "10.1.0.255",       24005),
    discovery("carescape-time",       "broadcast",     "255.255.255.255",  2000),
    discovery("carescape-discovery",  "broadcast",     "10.1.0.255",       7000),
    discovery("ws-discovery",         "ws-discovery",  "239.255.255.250",  3702),
    discovery("ws-discovery",         "ws-discovery",  "ff02::c",          3702),
    discovery("bacnet",               "broadcast",     "255.255.255.255",  47808),
    discovery("bacnet",               "broadcast",     "10.1.0.255",       47808),
    discovery("mdns",                 "mdns",          "224.0.0.251",      5353),
    discovery("mdns",                 "mdns",          "ff02::fb",         5353),
];

fn policy(rule: &str) -> Policy {
    let site = "site: s
ports:
  p0: {device: p0}
  p1: {device: p1, uplink: true}
  p2: {device: p2}
segments:
  wards: {attach: [p0.10, p1.10, p2.10], subnets: [10.1.0.0/24, \"2001:db8:1::/64\"], isolate: true}
zones:
  clinical: {segments: [wards]}
";
    let policy = format!(
        "groups:
  ws-discovery: {{networks: [239.255.255.250/32, \"ff02::c/128\"]}}
  mdns: {{networks: [224.0.0.251/32, \"ff02::fb/128\"]}}
rules:
  - {{name: other, from: monitor, to: central, service: https}}
{rule}"
    );
    let devices = "name,mac,ips,segment
monitor,02:00:00:00:00:01,10.1.0.1 2001:db8:1::1,wards
central,02:00:00:00:00:02,10.1.0.2 2001:db8:1::2,wards
";
    let sources = Sources {
        site: site.to_owned(),
        policy: Some(policy),
        devices: Some(devices.to_owned()),
    };
    from_sources(&sources).expect("the policy is valid").policy
}

fn datagram(from: (Mac, IpAddr, u16), to: (Mac, IpAddr, u16)) -> Vec<u8> {
    let (ether_type, packet) = frame::ip(
        from.1,
        to.1,
        UDP,
        64,
        &frame::udp((from.2, to.2), b"who is there"),
    );
    frame::ethernet(to.0, from.0, Some(10), ether_type, &packet)
}

#[test]
fn discovery_works_by_rule_and_only_by_rule() {
    in_namespace(|| {
        let mut sides = Sides::new(Some(Kernel::open("discovery")), None);
        for (number, discovery) in ALL.iter().enumerate() {
            let group: IpAddr = discovery.group.parse().expect("the address is valid");
            let family = usize::from(group.is_ipv6());
            let endpoint = |(mac, ips): (Mac, [&str; 2])| -> (Mac, IpAddr) {
                (mac, ips[family].parse().expect("the address is valid"))
            };
            let (monitor, central) = (endpoint(MONITOR), endpoint(CENTRAL));
            // A port for each protocol, so that a request of an earlier one does not admit the answer.
            let own = if discovery.service == "mdns" {
                5353
            } else {
                40_000 + number as u16
            };
            let request = datagram(
                (monitor.0, monitor.1, own),
                (group_mac(group), group, discovery.port),
            );
            let reply = datagram(
                (central.0, central.1, discovery.port),
                (monitor.0, monitor.1, own),
            );
            let rule = format!(
                "  - {{name: find, from: monitor, to: {}, service: {}, survives: lockdown, owner: o, reason: r}}\n",
                discovery.to, discovery.service
            );
            let what = format!("{} to {group}", discovery.service);
            for (rules, works) in [("", false), (&rule[..], true), ("", false)] {
                for posture in [Posture::Normal, Posture::Lockdown] {
                    sides.install(&policy(rules), posture);
                    let mut judge = |port, frame: &[u8]| match sides.judge(port, frame) {
                        Ok(decision) => decision.verdict,
                        Err(difference) => panic!("{what}: {difference}"),
                    };
                    let refused = Verdict::Drop(Reason::NoRule);
                    let asked = judge(0, &request);
                    let answered = judge(2, &reply);
                    if !works {
                        assert_eq!((asked, answered), (refused.clone(), refused), "{what}");
                        continue;
                    }
                    assert!(matches!(asked, Verdict::Flood { .. }), "{what}: {asked:?}");
                    let arrives = matches!(answered, Verdict::Leaves { .. });
                    assert!(arrives, "{what}: {answered:?}");
                }
            }
        }
    });
}

/// Events of drops have a rate limit of their own, so that they do not displace events of other frames.
#[test]
fn discovery_events_are_emitted_during_many_drops() {
    in_namespace(|| {
        let mut kernel = Kernel::open("discovery-noise");
        let mut events = kernel
            .dataplane
            .take_events()
            .expect("the events have not been taken");
        let rule = "  - {name: find, from: monitor, to: broadcast, service: bacnet}\n";
        let compiled = compile(
            &policy(rule),
            Date::new(2026, 11, 27).expect("the date is valid"),
        );
        let compiled = compiled.expect("the policy compiles");
        kernel.install(&compiled.generation, compiled.rules, Posture::Normal);
        let endpoint = |(mac, ips): (Mac, [&str; 2])| -> (Mac, IpAddr) {
            (mac, ips[0].parse().expect("the address is valid"))
        };
        let (monitor, central) = (endpoint(MONITOR), endpoint(CENTRAL));
        let unlisted = (
            Mac([2, 0, 0, 0, 0, 9]),
            "10.1.0.9".parse().expect("the address is valid"),
            1,
        );
        let noise = datagram(unlisted, (central.0, central.1, 2));
        let broadcast = "255.255.255.255".parse().expect("the address is valid");
        // Four rounds, because the drops of one round may span two ticks.
        for round in 0..4 {
            let request = datagram(
                (monitor.0, monitor.1, 40_000 + round),
                (BROADCAST, broadcast, 47808),
            );
            for _ in 0..3000 {
                kernel.judge(0, &noise);
            }
            kernel.judge(0, &request);
            let (mut drops, mut requests) = (0, 0);
            while let Some(event) = events.next_event() {
                match event.kind {
                    EVENT_DROP => drops += 1,
                    _ => requests += u32::from(event.source_port == 40_000 + round),
                }
            }
            assert_eq!(requests, 1, "round {round}, with {drops} drops");
        }
    });
}
