//! What the differential test has found once: each stays a test of its own, in as few frames as show it. User space
//! and the oracle must agree, and on this.

use std::net::IpAddr;

use cordon_integration::differential::{Said, Sides, Verdict};
use cordon_integration::generate::frame::{self, ACK, ICMP6, SYN, TCP, UDP};
use cordon_policy::{Mac, Policy, Posture, Sources, from_sources};
use cordon_verdict::Reason;
use cordon_verdict::abi::{RULE_ARP, attachment};

const PUMP: Mac = Mac([2, 0, 0, 0, 0, 1]);
const SERVER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const GUEST: Mac = Mac([2, 0, 0, 0, 0, 7]);
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 9]);

/// Two device-facing ports, one whose side is the caller's to choose, and an uplink.
fn policy(port1_is_uplink: bool, rules: &str) -> Policy {
    let site = format!(
        "site: s
ports:
  p0: {{device: p0}}
  p1: {{device: p1, uplink: {port1_is_uplink}}}
  p2: {{device: p2, uplink: true}}
  p3: {{device: p3}}
segments:
  wards: {{attach: [p0.10, p1.10, p2.10, p3.10], subnets: [10.1.0.0/24, \"2001:db8:1::/64\"], isolate: true}}
  guests: {{attach: [p0.20, p1.20, p2.20], subnets: [10.2.0.0/24], unknown: admit}}
"
    );
    let devices = "name,mac,ips,segment
pump,02:00:00:00:00:01,10.1.0.1 2001:db8:1::1,wards
server,02:00:00:00:00:02,10.1.0.2 2001:db8:1::2,wards
free,02:00:00:00:00:03,,wards
";
    let sources = Sources {
        site,
        policy: Some(format!("rules:\n{rules}")),
        devices: Some(devices.to_owned()),
    };
    from_sources(&sources).expect("is a policy").policy
}

struct Gateway(Sides);

impl Gateway {
    fn with(policy: &Policy) -> Gateway {
        let mut sides = Sides::new(None, None);
        sides.install(policy, Posture::Normal);
        Gateway(sides)
    }

    fn said(&mut self, port: u16, frame: &[u8]) -> Said {
        let said = self.0.judge(port, frame);
        said.unwrap_or_else(|difference| panic!("user space and oracle differ\n{difference}"))
    }

    fn verdict(&mut self, port: u16, frame: &[u8]) -> Verdict {
        self.said(port, frame).verdict
    }

    /// The attachment a frame leaves by.
    fn egress(&mut self, port: u16, frame: &[u8]) -> u16 {
        match self.verdict(port, frame) {
            Verdict::Leaves { attachment, .. } => attachment,
            other => panic!("{other:?}"),
        }
    }
}

/// A frame in VLAN 10 or 20 as the addresses have it.
fn packet(from: (Mac, &str), to: (Mac, &str), protocol: u8, payload: &[u8]) -> Vec<u8> {
    let ip = |text: &str| text.parse::<IpAddr>().expect("is one");
    let vlan = if from.1.starts_with("10.2.") || to.1.starts_with("10.2.") {
        20
    } else {
        10
    };
    let (ether_type, packet) = frame::ip(ip(from.1), ip(to.1), protocol, 255, payload);
    frame::ethernet(to.0, from.0, Some(vlan), ether_type, &packet)
}

fn udp(from: (Mac, &str, u16), to: (Mac, &str, u16)) -> Vec<u8> {
    let datagram = frame::udp((from.2, to.2), b"dose");
    packet((from.0, from.1), (to.0, to.1), UDP, &datagram)
}

const OF_PUMP: (Mac, &str, u16) = (PUMP, "10.1.0.1", 1000);
const OF_SERVER: (Mac, &str, u16) = (SERVER, "10.1.0.2", 2000);

#[test]
fn a_flow_that_both_may_open_is_answered_whoever_was_heard_last() {
    let mut gateway = Gateway::with(&policy(
        false,
        "  - {name: kept, from: pump, to: server, service: udp/2000, survives: lockdown, owner: o, reason: r}
  - {name: lost, from: server, to: pump, service: udp/1000, survives: normal}
",
    ));
    gateway.said(0, &udp(OF_PUMP, OF_SERVER));
    // By its own rule, so that it was the server who was heard last.
    gateway.said(1, &udp(OF_SERVER, OF_PUMP));
    gateway.0.set_posture(Posture::Lockdown);
    assert_eq!(
        gateway.egress(1, &udp(OF_SERVER, OF_PUMP)),
        attachment(0, 10)
    );
    assert_eq!(
        gateway.egress(0, &udp(OF_PUMP, OF_SERVER)),
        attachment(1, 10)
    );
}

#[test]
fn an_end_that_never_opened_is_not_answered() {
    let mut gateway = Gateway::with(&policy(
        false,
        "  - {name: one-way, from: pump, to: server, service: udp/2000}\n",
    ));
    let unasked = udp(OF_SERVER, OF_PUMP);
    assert_eq!(gateway.verdict(1, &unasked), Verdict::Drop(Reason::NoRule));
    gateway.said(0, &udp(OF_PUMP, OF_SERVER));
    assert_eq!(gateway.egress(1, &unasked), attachment(0, 10));
}

#[test]
fn a_flow_follows_a_station_that_moves() {
    let mut gateway = Gateway::with(&policy(
        false,
        "  - {name: r, from: pump, to: server, service: udp/2000}\n",
    ));
    gateway.said(0, &udp(OF_PUMP, OF_SERVER));
    assert_eq!(
        gateway.egress(1, &udp(OF_SERVER, OF_PUMP)),
        attachment(0, 10)
    );
    gateway.said(0, &udp(OF_PUMP, OF_SERVER));
    gateway.said(3, &udp(OF_PUMP, OF_SERVER));
    assert_eq!(
        gateway.egress(1, &udp(OF_SERVER, OF_PUMP)),
        attachment(3, 10)
    );
}

#[test]
fn a_port_that_becomes_an_uplink_takes_its_stations_along() {
    let rules = "  - {name: r, from: guests, to: guests, service: tcp/80, survives: lockdown, owner: o, reason: r}\n";
    let mut gateway = Gateway::with(&policy(false, rules));
    let guest = (GUEST, "10.2.0.7");
    let other = (Mac([2, 0, 0, 0, 0, 8]), "10.2.0.8");
    let syn = frame::tcp((1000, 80), SYN, &[]);
    gateway.said(1, &packet(other, guest, TCP, &syn));
    let inside = gateway.egress(0, &packet(guest, other, TCP, &syn));
    assert_eq!(inside, attachment(1, 20));

    gateway.0.install(&policy(true, rules), Posture::Normal);
    let outside = gateway.verdict(0, &packet(guest, other, TCP, &syn));
    assert_eq!(outside, Verdict::Drop(Reason::NoRule));
}

#[test]
fn a_directed_broadcast_address_is_nobodys() {
    let rules = "  - {name: r, from: any, to: any, service: any}\n";
    let mut gateway = Gateway::with(&policy(false, rules));
    let free = Mac([2, 0, 0, 0, 0, 3]);
    let ack = frame::tcp((1000, 80), ACK, &[]);
    for (port, mac, broadcast) in [
        (0, free, "10.1.0.255"),
        (2, ROUTER, "10.1.0.255"),
        (0, GUEST, "10.2.0.255"),
    ] {
        let to = match broadcast {
            "10.1.0.255" => (SERVER, "10.1.0.2"),
            _ => (ROUTER, "192.0.2.1"),
        };
        assert_eq!(
            gateway.verdict(port, &packet((mac, broadcast), to, TCP, &ack)),
            Verdict::Drop(Reason::AddressBinding),
            "{mac}"
        );
    }
}

#[test]
fn who_advertises_anothers_address_is_named_for_it() {
    let mut gateway = Gateway::with(&policy(false, "  []\n"));
    let IpAddr::V6(target) = "2001:db8:1::2".parse().expect("is one") else {
        unreachable!("it is IPv6");
    };
    let message = frame::discovery(136, &target.octets(), &[]);
    let spoofed = packet(
        (PUMP, "2001:db8:1::1"),
        (ROUTER, "2001:db8:1::9"),
        ICMP6,
        &message,
    );
    assert_eq!(
        gateway.verdict(0, &spoofed),
        Verdict::Drop(Reason::NeighbourDiscovery)
    );
}

#[test]
fn what_sever_refuses_of_arp_names_the_rule() {
    let mut gateway = Gateway::with(&policy(false, "  []\n"));
    let request = frame::arp(
        1,
        (PUMP, [10, 1, 0, 1].into()),
        (Mac([0; 6]), [10, 1, 0, 2].into()),
    );
    let frame = frame::ethernet(Mac([0xff; 6]), PUMP, Some(10), 0x0806, &request);
    gateway.0.set_posture(Posture::Sever);
    let said = gateway.said(0, &frame);
    assert_eq!(
        (said.verdict, said.rule),
        (Verdict::Drop(Reason::Posture), RULE_ARP)
    );
}
