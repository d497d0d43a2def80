//! What devices say to everybody to be found works by rule, and only by rule: with it, the question arrives and the answer
//! comes back; without it, neither does. The kernel, user space and the oracle are asked alike.

use std::net::IpAddr;

use cordon_compile::compile;
use cordon_integration::differential::{Kernel, Sides, Verdict, in_namespace};
use cordon_integration::generate::frame::{self, UDP};
use cordon_policy::{Date, Mac, Policy, Posture, Sources, from_sources};
use cordon_verdict::Reason;
use cordon_verdict::abi::EVENT_DROP;

const MONITOR: (Mac, [&str; 2]) = (Mac([2, 0, 0, 0, 0, 1]), ["10.1.0.1", "2001:db8:1::1"]);
const CENTRAL: (Mac, [&str; 2]) = (Mac([2, 0, 0, 0, 0, 2]), ["10.1.0.2", "2001:db8:1::2"]);

/// What is said: the service in the catalogue, to whom a rule has to let it, to what group it goes, and its port.
struct Spoken {
    service: &'static str,
    to: &'static str,
    group: &'static str,
    port: u16,
}

const fn spoken(service: &'static str, to: &'static str, group: &'static str, port: u16) -> Spoken {
    Spoken {
        service,
        to,
        group,
        port,
    }
}

#[rustfmt::skip]
const ALL: &[Spoken] = &[
    //     service                 rule to          group               port
    spoken("intellivue-announce",  "broadcast",     "255.255.255.255",  24005),
    spoken("intellivue-announce",  "broadcast",     "10.1.0.255",       24005),
    spoken("carescape-time",       "broadcast",     "255.255.255.255",  2000),
    spoken("carescape-discovery",  "broadcast",     "10.1.0.255",       7000),
    spoken("ws-discovery",         "ws-discovery",  "239.255.255.250",  3702),
    spoken("ws-discovery",         "ws-discovery",  "ff02::c",          3702),
    spoken("bacnet",               "broadcast",     "255.255.255.255",  47808),
    spoken("bacnet",               "broadcast",     "10.1.0.255",       47808),
    spoken("mdns",                 "mdns",          "224.0.0.251",      5353),
    spoken("mdns",                 "mdns",          "ff02::fb",         5353),
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
    from_sources(&sources).expect("is a policy").policy
}

/// The MAC address of a group (RFC 1112, section 6.4; RFC 2464, section 7).
fn group_mac(group: IpAddr) -> Mac {
    match group {
        IpAddr::V4(ip) if ip.is_multicast() => {
            let [_, a, b, c] = ip.octets();
            Mac([1, 0, 0x5e, a & 0x7f, b, c])
        }
        IpAddr::V4(_) => Mac([0xff; 6]),
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            Mac([0x33, 0x33, a, b, c, d])
        }
    }
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
fn what_is_said_to_everybody_works_by_rule_and_only_by_rule() {
    in_namespace(|| {
        let mut sides = Sides::new(Some(Kernel::open("discovery")), None);
        for (number, spoken) in ALL.iter().enumerate() {
            let group: IpAddr = spoken.group.parse().expect("is one");
            let family = usize::from(group.is_ipv6());
            let of = |who: (Mac, [&str; 2])| -> (Mac, IpAddr) {
                (who.0, who.1[family].parse().expect("is one"))
            };
            let (monitor, central) = (of(MONITOR), of(CENTRAL));
            // Another port every time: what was asked under a rule before is no answer to this.
            let own = if spoken.service == "mdns" {
                5353
            } else {
                40_000 + number as u16
            };
            let asks = datagram(
                (monitor.0, monitor.1, own),
                (group_mac(group), group, spoken.port),
            );
            let answers = datagram(
                (central.0, central.1, spoken.port),
                (monitor.0, monitor.1, own),
            );
            let rule = format!(
                "  - {{name: find, from: monitor, to: {}, service: {}, survives: lockdown, owner: o, reason: r}}\n",
                spoken.to, spoken.service
            );
            let what = format!("{} to {group}", spoken.service);
            for (rules, works) in [("", false), (&rule[..], true), ("", false)] {
                for posture in [Posture::Normal, Posture::Lockdown] {
                    sides.install(&policy(rules), posture);
                    let mut said = |port, frame: &[u8]| match sides.judge(port, frame) {
                        Ok(said) => said.verdict,
                        Err(difference) => panic!("{what}: {difference}"),
                    };
                    let refused = Verdict::Drop(Reason::NoRule);
                    let asked = said(0, &asks);
                    let answer = said(2, &answers);
                    if !works {
                        assert_eq!((asked, answer), (refused.clone(), refused), "{what}");
                        continue;
                    }
                    assert!(matches!(asked, Verdict::Flood { .. }), "{what}: {asked:?}");
                    let arrives = matches!(answer, Verdict::Leaves { .. });
                    assert!(arrives, "{what}: {answer:?}");
                }
            }
        }
    });
}

/// Whoever has frames dropped does not keep it from being told of what others say.
#[test]
fn what_is_said_to_everybody_is_told_of_beside_any_number_of_drops() {
    in_namespace(|| {
        let mut kernel = Kernel::open("discovery-noise");
        let mut events = kernel.dataplane.take_events().expect("nobody has them");
        let rule = "  - {name: find, from: monitor, to: broadcast, service: bacnet}\n";
        let compiled = compile(&policy(rule), Date::new(2026, 11, 27).expect("is a day"));
        let compiled = compiled.expect("can be compiled");
        kernel.install(&compiled.generation, compiled.rules, Posture::Normal);
        let of =
            |who: (Mac, [&str; 2])| -> (Mac, IpAddr) { (who.0, who.1[0].parse().expect("is one")) };
        let (monitor, central) = (of(MONITOR), of(CENTRAL));
        let stranger = (
            Mac([2, 0, 0, 0, 0, 9]),
            "10.1.0.9".parse().expect("is one"),
            1,
        );
        let noise = datagram(stranger, (central.0, central.1, 2));
        let everybody = (Mac([0xff; 6]), "255.255.255.255".parse().expect("is one"));
        // One that begins behind the noise, which takes no more than its share even if that takes more than a tick.
        for round in 0..4 {
            let asks = datagram(
                (monitor.0, monitor.1, 40_000 + round),
                (everybody.0, everybody.1, 47808),
            );
            for _ in 0..3000 {
                kernel.judge(0, &noise);
            }
            kernel.judge(0, &asks);
            let (mut drops, mut told) = (0, 0);
            while let Some(event) = events.next_event() {
                match event.kind {
                    EVENT_DROP => drops += 1,
                    _ => told += u32::from(event.source_port == 40_000 + round),
                }
            }
            assert_eq!(told, 1, "round {round}, beside {drops} drops");
        }
    });
}
