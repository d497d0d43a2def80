//! Faults that the differential test has found, each as a test with few frames. User space and the oracle must agree,
//! on the result that is given here.

mod attacked;
mod bound;

use std::net::IpAddr;

use cordon_integration::differential::{Decision, Sides, Verdict};
use cordon_integration::generate::frame::{self, ACK, ICMP, ICMP6, IGMP, RST, SYN, TCP, UDP};
use cordon_policy::{Mac, Policy, Posture, Sources, from_sources};
use cordon_verdict::Reason;
use cordon_verdict::abi::{RULE_ARP, RULE_ETHER_TYPE, RULE_LINK_CONTROL, location};

const PUMP: Mac = Mac([2, 0, 0, 0, 0, 1]);
const SERVER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const GUEST: Mac = Mac([2, 0, 0, 0, 0, 7]);
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 9]);

/// A policy with two device-facing ports, an uplink, and port 1, which is either.
fn policy(port1_is_uplink: bool, rules: &str) -> Policy {
    let site = format!(
        "site: s
ports:
  p0: {{device: p0, pass: [lldp]}}
  p1: {{device: p1, uplink: {port1_is_uplink}}}
  p2: {{device: p2, uplink: true}}
  p3: {{device: p3}}
segments:
  wards: {{attach: [p0.10, p1.10, p2.10, p3.10], subnets: [10.1.0.0/24, \"2001:db8:1::/64\"], isolate: true, ether-types: [0x88b8]}}
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
    from_sources(&sources).expect("the policy is valid").policy
}

struct Gateway(Sides);

impl Gateway {
    fn with(policy: &Policy) -> Gateway {
        let mut sides = Sides::new(None, None);
        sides.install(policy, Posture::Normal);
        Gateway(sides)
    }

    fn judge(&mut self, port: u16, frame: &[u8]) -> Decision {
        let result = self.0.judge(port, frame);
        result.unwrap_or_else(|difference| panic!("user space and oracle differ\n{difference}"))
    }

    fn verdict(&mut self, port: u16, frame: &[u8]) -> Verdict {
        self.judge(port, frame).verdict
    }

    /// The location of the egress attachment of a unicast frame.
    fn egress(&mut self, port: u16, frame: &[u8]) -> u32 {
        match self.verdict(port, frame) {
            Verdict::Leaves { at, .. } => at,
            other => panic!("{other:?}"),
        }
    }
}

/// A frame in VLAN 10 or 20, according to its addresses.
fn packet(from: (Mac, &str), to: (Mac, &str), protocol: u8, payload: &[u8]) -> Vec<u8> {
    let ip = |text: &str| text.parse::<IpAddr>().expect("the address is valid");
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
fn a_flow_that_both_ends_may_open_passes_in_both_directions() {
    let mut gateway = Gateway::with(&policy(
        false,
        "  - {name: kept, from: pump, to: server, service: udp/2000, survives: lockdown, owner: o, reason: r}
  - {name: lost, from: server, to: pump, service: udp/1000, survives: normal}
",
    ));
    gateway.judge(0, &udp(OF_PUMP, OF_SERVER));
    // By the server's own rule, so that the server is the last sender.
    gateway.judge(1, &udp(OF_SERVER, OF_PUMP));
    gateway.0.set_posture(Posture::Lockdown);
    assert_eq!(
        gateway.egress(1, &udp(OF_SERVER, OF_PUMP)),
        location(0, 10, 0)
    );
    assert_eq!(
        gateway.egress(0, &udp(OF_PUMP, OF_SERVER)),
        location(1, 10, 0)
    );
}

#[test]
fn an_answer_without_an_opened_flow_is_dropped() {
    let mut gateway = Gateway::with(&policy(
        false,
        "  - {name: one-way, from: pump, to: server, service: udp/2000}\n",
    ));
    let unasked = udp(OF_SERVER, OF_PUMP);
    assert_eq!(gateway.verdict(1, &unasked), Verdict::Drop(Reason::NoRule));
    gateway.judge(0, &udp(OF_PUMP, OF_SERVER));
    assert_eq!(gateway.egress(1, &unasked), location(0, 10, 0));
}

#[test]
fn a_flow_follows_a_station_that_moves() {
    let mut gateway = Gateway::with(&policy(
        false,
        "  - {name: r, from: pump, to: server, service: udp/2000}\n",
    ));
    gateway.judge(0, &udp(OF_PUMP, OF_SERVER));
    assert_eq!(
        gateway.egress(1, &udp(OF_SERVER, OF_PUMP)),
        location(0, 10, 0)
    );
    gateway.judge(0, &udp(OF_PUMP, OF_SERVER));
    gateway.judge(3, &udp(OF_PUMP, OF_SERVER));
    assert_eq!(
        gateway.egress(1, &udp(OF_SERVER, OF_PUMP)),
        location(3, 10, 0)
    );
}

#[test]
fn stations_of_a_port_that_becomes_an_uplink_are_outside() {
    let rules = "  - {name: r, from: guests, to: guests, service: tcp/80, survives: lockdown, owner: o, reason: r}\n";
    let mut gateway = Gateway::with(&policy(false, rules));
    let guest = (GUEST, "10.2.0.7");
    let other = (Mac([2, 0, 0, 0, 0, 8]), "10.2.0.8");
    let syn = frame::tcp((1000, 80), SYN, &[]);
    gateway.judge(1, &packet(other, guest, TCP, &syn));
    let inside = gateway.egress(0, &packet(guest, other, TCP, &syn));
    assert_eq!(inside, location(1, 20, 0));

    gateway.0.install(&policy(true, rules), Posture::Normal);
    let outside = gateway.verdict(0, &packet(guest, other, TCP, &syn));
    assert_eq!(outside, Verdict::Drop(Reason::NoRule));
}

#[test]
fn a_directed_broadcast_address_is_no_valid_source() {
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
fn an_advertisement_of_another_devices_address_is_dropped() {
    let mut gateway = Gateway::with(&policy(false, "  []\n"));
    let IpAddr::V6(target) = "2001:db8:1::2".parse().expect("the address is valid") else {
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
fn arp_dropped_at_sever_names_the_rule() {
    let mut gateway = Gateway::with(&policy(false, "  []\n"));
    let request = frame::arp(
        1,
        (PUMP, [10, 1, 0, 1].into()),
        (Mac([0; 6]), [10, 1, 0, 2].into()),
    );
    let frame = frame::ethernet(Mac([0xff; 6]), PUMP, Some(10), 0x0806, &request);
    gateway.0.set_posture(Posture::Sever);
    let decision = gateway.judge(0, &frame);
    assert_eq!(
        (decision.verdict, decision.rule),
        (Verdict::Drop(Reason::Posture), RULE_ARP)
    );
}

/// Pump and server may open any TCP and UDP flow to each other.
const BOTH: &str = "  - {name: r, from: [pump, server], to: [pump, server], service: [tcp/any, udp/any], survives: lockdown, owner: o, reason: r}
";

fn segment(from: (Mac, &str, u16), to: (Mac, &str, u16), flags: u8, numbers: [u32; 2]) -> Vec<u8> {
    let mut segment = frame::tcp((from.2, to.2), flags, &[]);
    segment[4..8].copy_from_slice(&numbers[0].to_be_bytes());
    segment[8..12].copy_from_slice(&numbers[1].to_be_bytes());
    packet((from.0, from.1), (to.0, to.1), TCP, &segment)
}

fn leaves(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Leaves { .. } | Verdict::Flood { .. })
}

#[test]
fn a_syn_does_not_establish_the_reverse_flow() {
    let mut gateway = Gateway::with(&policy(false, BOTH));
    for (port, frame) in [
        (0, segment(OF_PUMP, OF_SERVER, ACK, [1, 100])),
        (1, segment(OF_SERVER, OF_PUMP, SYN, [1, 0])),
        (0, segment(OF_PUMP, OF_SERVER, ACK, [1, 100])),
    ] {
        assert!(leaves(&gateway.verdict(port, &frame)));
    }
    // The flow is not established, so resets are not checked against acknowledgements.
    let reset = segment(OF_SERVER, OF_PUMP, RST, [1 << 30, 0]);
    assert!(leaves(&gateway.verdict(1, &reset)));
}

#[test]
fn a_reset_must_be_at_or_slightly_ahead_of_the_expected_sequence_number() {
    let mut gateway = Gateway::with(&policy(false, BOTH));
    let handshake = [
        (0, segment(OF_PUMP, OF_SERVER, SYN, [1, 0])),
        (1, segment(OF_SERVER, OF_PUMP, SYN | ACK, [99, 2])),
        (0, segment(OF_PUMP, OF_SERVER, ACK, [2, 100])),
    ];
    for (port, frame) in &handshake {
        assert!(leaves(&gateway.verdict(*port, frame)));
    }
    let reset = |sequence| segment(OF_SERVER, OF_PUMP, RST, [sequence, 0]);
    for (sequence, allowed) in [
        (0, false),
        (99, false),
        (100, true),
        (100 + (1 << 22) - 1, true),
        (100 + (1 << 22), false),
        (100u32.wrapping_sub(1 << 22), false),
    ] {
        match gateway.verdict(1, &reset(sequence)) {
            Verdict::Drop(reason) => {
                assert!(!allowed && reason == Reason::TcpSequence, "{sequence}")
            }
            passes => assert!(allowed && leaves(&passes), "{sequence}"),
        }
    }
    // A pending new connection may be reset with sequence number 0, until the old one continues.
    assert!(leaves(&gateway.verdict(0, &handshake[0].1)));
    assert!(leaves(&gateway.verdict(1, &reset(0))));
    assert!(leaves(&gateway.verdict(0, &handshake[2].1)));
    assert_eq!(
        gateway.verdict(1, &reset(0)),
        Verdict::Drop(Reason::TcpSequence)
    );
}

#[test]
fn an_icmp_error_about_a_flow_of_an_earlier_policy_names_no_rule() {
    let mut gateway = Gateway::with(&policy(false, BOTH));
    let request = udp(OF_PUMP, OF_SERVER);
    gateway.judge(1, &udp(OF_SERVER, OF_PUMP));
    gateway.judge(0, &request);
    let unreachable = |request: &[u8]| {
        let message = frame::icmp(3, 3, 0, &request[18..]);
        packet((SERVER, "10.1.0.2"), (PUMP, "10.1.0.1"), ICMP, &message)
    };
    assert_eq!(
        gateway.egress(1, &unreachable(&request)),
        location(0, 10, 0)
    );
    gateway.0.install(&policy(false, "  []\n"), Posture::Normal);
    let decision = gateway.judge(1, &unreachable(&request));
    assert_eq!(
        (decision.verdict, decision.rule),
        (Verdict::Drop(Reason::IcmpError), 0)
    );
}

#[test]
fn other_protocols_dropped_by_a_posture_name_the_rule() {
    let mut gateway = Gateway::with(&policy(false, "  []\n"));
    let goose = frame::ethernet(Mac([0xff; 6]), PUMP, Some(10), 0x88b8, &[0; 46]);
    let lldp = frame::ethernet(
        Mac([1, 0x80, 0xc2, 0, 0, 0x0e]),
        PUMP,
        None,
        0x88cc,
        &[0; 46],
    );
    for (frame, rule) in [(&goose, RULE_ETHER_TYPE), (&lldp, RULE_LINK_CONTROL)] {
        gateway.0.set_posture(Posture::Normal);
        let decision = gateway.judge(0, frame);
        assert!(leaves(&decision.verdict));
        assert_eq!(decision.rule, rule);
        gateway.0.set_posture(Posture::Sever);
        let decision = gateway.judge(0, frame);
        assert_eq!(
            (decision.verdict, decision.rule),
            (Verdict::Drop(Reason::Posture), rule)
        );
    }
}

#[test]
fn an_inside_only_frame_is_not_sent_to_a_station_at_the_uplink() {
    let mut gateway = Gateway::with(&policy(false, "  []\n"));
    let from_outside = frame::ethernet(Mac([0xff; 6]), ROUTER, Some(10), 0x88b8, &[0; 46]);
    assert!(leaves(&gateway.verdict(2, &from_outside)));
    gateway.0.set_posture(Posture::Contain);
    let to_outside = frame::ethernet(ROUTER, PUMP, Some(10), 0x88b8, &[0; 46]);
    let decision = gateway.judge(0, &to_outside);
    assert_eq!(
        (decision.verdict, decision.rule),
        (Verdict::Drop(Reason::Posture), RULE_ETHER_TYPE)
    );
}

#[test]
fn an_igmp_message_that_is_too_short_is_dropped() {
    let mut gateway = Gateway::with(&policy(false, "  []\n"));
    let group = (Mac([1, 0, 0x5e, 0, 0, 1]), "224.0.0.1");
    let message = [0x16, 0, 0, 0, 239, 1, 1, 1];
    for length in [4, 8] {
        let mut report = packet((PUMP, "10.1.0.1"), group, IGMP, &message[..length]);
        report[18 + 8] = 1;
        let verdict = gateway.verdict(0, &report);
        match length {
            8 => assert!(leaves(&verdict)),
            _ => assert_eq!(verdict, Verdict::Drop(Reason::Membership)),
        }
    }
}

#[test]
fn an_ip_option_cut_off_by_the_end_of_the_frame_is_dropped() {
    let mut gateway = Gateway::with(&policy(false, BOTH));
    let mut frame = udp(OF_PUMP, OF_SERVER);
    frame.truncate(18 + 20);
    frame.extend([1, 1, 1, 148]);
    (frame[18], frame[18 + 3]) = (0x46, 24);
    assert_eq!(gateway.verdict(0, &frame), Verdict::Drop(Reason::IpOptions));
}

#[test]
fn of_two_hosts_with_one_address_the_last_requester_is_answered() {
    let mut gateway = Gateway::with(&policy(
        false,
        "  - {name: r, from: any, to: any, service: udp/3702}\n",
    ));
    let group = (Mac([1, 0, 0x5e, 0x7f, 0xff, 0xfa]), "239.255.255.250");
    let request = |mac| {
        packet(
            (mac, "10.2.0.7"),
            group,
            UDP,
            &frame::udp((4000, 3702), b"probe"),
        )
    };
    let other = Mac([2, 0, 0, 0, 0, 8]);
    let answer = |mac| {
        let datagram = frame::udp((3702, 4000), b"match");
        packet((ROUTER, "203.0.113.7"), (mac, "10.2.0.7"), UDP, &datagram)
    };
    let mut at = |port, frame: &mut Vec<u8>| {
        // All frames are in the guests' VLAN.
        frame[15] = 20;
        gateway.verdict(port, frame)
    };
    for mac in [GUEST, other] {
        assert!(leaves(&at(0, &mut request(mac))));
    }
    assert_eq!(at(2, &mut answer(GUEST)), Verdict::Drop(Reason::NoRule));
    assert!(leaves(&at(2, &mut answer(other))));
}
