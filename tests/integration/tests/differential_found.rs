//! What the differential test has found once: each stays a test of its own, in as few frames as show it. User space
//! and the oracle must agree, and on this.

use std::net::IpAddr;

use cordon_integration::differential::{Said, Sides, Verdict};
use cordon_integration::generate::frame::{self, ACK, ICMP, ICMP6, IGMP, RST, SYN, TCP, UDP};
use cordon_policy::{Mac, Policy, Posture, Sources, from_sources};
use cordon_verdict::Reason;
use cordon_verdict::abi::{RULE_ARP, RULE_ETHER_TYPE, RULE_LINK_CONTROL, place};

const PUMP: Mac = Mac([2, 0, 0, 0, 0, 1]);
const SERVER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const GUEST: Mac = Mac([2, 0, 0, 0, 0, 7]);
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 9]);

/// Two device-facing ports, one whose side is the caller's to choose, and an uplink.
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

    /// The place a frame leaves by.
    fn egress(&mut self, port: u16, frame: &[u8]) -> u32 {
        match self.verdict(port, frame) {
            Verdict::Leaves { at, .. } => at,
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
    assert_eq!(gateway.egress(1, &udp(OF_SERVER, OF_PUMP)), place(0, 10, 0));
    assert_eq!(gateway.egress(0, &udp(OF_PUMP, OF_SERVER)), place(1, 10, 0));
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
    assert_eq!(gateway.egress(1, &unasked), place(0, 10, 0));
}

#[test]
fn a_flow_follows_a_station_that_moves() {
    let mut gateway = Gateway::with(&policy(
        false,
        "  - {name: r, from: pump, to: server, service: udp/2000}\n",
    ));
    gateway.said(0, &udp(OF_PUMP, OF_SERVER));
    assert_eq!(gateway.egress(1, &udp(OF_SERVER, OF_PUMP)), place(0, 10, 0));
    gateway.said(0, &udp(OF_PUMP, OF_SERVER));
    gateway.said(3, &udp(OF_PUMP, OF_SERVER));
    assert_eq!(gateway.egress(1, &udp(OF_SERVER, OF_PUMP)), place(3, 10, 0));
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
    assert_eq!(inside, place(1, 20, 0));

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

/// Both may say anything to each other by TCP.
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
fn an_opening_syn_answers_nothing() {
    let mut gateway = Gateway::with(&policy(false, BOTH));
    for (port, frame) in [
        (0, segment(OF_PUMP, OF_SERVER, ACK, [1, 100])),
        (1, segment(OF_SERVER, OF_PUMP, SYN, [1, 0])),
        (0, segment(OF_PUMP, OF_SERVER, ACK, [1, 100])),
    ] {
        assert!(leaves(&gateway.verdict(port, &frame)));
    }
    // So the flow is not established, and holds nobody to what was acknowledged.
    let reset = segment(OF_SERVER, OF_PUMP, RST, [1 << 30, 0]);
    assert!(leaves(&gateway.verdict(1, &reset)));
}

#[test]
fn a_reset_is_what_is_waited_for_or_a_little_ahead() {
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
    for (sequence, may) in [
        (0, false),
        (99, false),
        (100, true),
        (100 + (1 << 22) - 1, true),
        (100 + (1 << 22), false),
        (100u32.wrapping_sub(1 << 22), false),
    ] {
        match gateway.verdict(1, &reset(sequence)) {
            Verdict::Drop(reason) => assert!(!may && reason == Reason::TcpSequence, "{sequence}"),
            passes => assert!(may && leaves(&passes), "{sequence}"),
        }
    }
    // A new connection is refused with number 0, until one goes on.
    assert!(leaves(&gateway.verdict(0, &handshake[0].1)));
    assert!(leaves(&gateway.verdict(1, &reset(0))));
    assert!(leaves(&gateway.verdict(0, &handshake[2].1)));
    assert_eq!(
        gateway.verdict(1, &reset(0)),
        Verdict::Drop(Reason::TcpSequence)
    );
}

#[test]
fn a_forged_reset_closes_nothing_after_a_change_of_posture_either() {
    let kept = "  - {name: kept, from: pump, to: server, service: tcp/2000, survives: lockdown, owner: o, reason: r}\n";
    let mut gateway = Gateway::with(&policy(false, kept));
    let reset = |sequence| segment(OF_SERVER, OF_PUMP, RST, [sequence, 0]);
    let forged = Verdict::Drop(Reason::TcpSequence);
    assert_eq!(gateway.verdict(1, &reset(100)), forged, "of no flow");
    for (port, frame) in [
        (0, segment(OF_PUMP, OF_SERVER, SYN, [1, 0])),
        (1, segment(OF_SERVER, OF_PUMP, SYN | ACK, [99, 2])),
        (0, segment(OF_PUMP, OF_SERVER, ACK, [2, 100])),
    ] {
        assert!(leaves(&gateway.verdict(port, &frame)));
    }
    gateway.0.set_posture(Posture::Lockdown);
    let said = gateway.said(1, &reset(12345 + (1 << 22)));
    assert_eq!((said.verdict, said.rule), (forged.clone(), 0));
    gateway.0.install(&policy(false, kept), Posture::Lockdown);
    assert_eq!(gateway.verdict(1, &reset(99)), forged);
    assert!(leaves(&gateway.verdict(1, &reset(100))), "the true one");
}

#[test]
fn who_asks_for_a_connection_does_not_refuse_it_as_well() {
    let mut gateway = Gateway::with(&policy(false, BOTH));
    let syn = segment(OF_PUMP, OF_SERVER, SYN, [1, 0]);
    for (port, frame) in [
        (0, syn.clone()),
        (1, segment(OF_SERVER, OF_PUMP, SYN | ACK, [99, 2])),
        (0, segment(OF_PUMP, OF_SERVER, ACK, [2, 100])),
        (1, segment(OF_SERVER, OF_PUMP, ACK, [100, 2])),
        (0, syn),
    ] {
        assert!(leaves(&gateway.verdict(port, &frame)));
    }
    let reset = segment(OF_PUMP, OF_SERVER, RST, [0, 0]);
    assert_eq!(
        gateway.verdict(0, &reset),
        Verdict::Drop(Reason::TcpSequence)
    );
}

#[test]
fn nobody_probes_for_the_address_of_another_to_take_it_away() {
    let mut gateway = Gateway::with(&policy(false, "  []\n"));
    let nobody = [0, 0, 0, 0].into();
    let probe = |mac: Mac, target: [u8; 4]| {
        let packet = frame::arp(1, (mac, nobody), (Mac([0; 6]), target.into()));
        frame::ethernet(Mac([0xff; 6]), mac, Some(10), 0x0806, &packet)
    };
    let [server, pump] = [[10, 1, 0, 2], [10, 1, 0, 1]];
    let binding = Verdict::Drop(Reason::AddressBinding);
    assert_eq!(gateway.verdict(0, &probe(PUMP, server)), binding);
    assert!(leaves(&gateway.verdict(0, &probe(PUMP, pump))));
    assert_eq!(
        gateway.verdict(2, &probe(ROUTER, server)),
        Verdict::Drop(Reason::DeviceOnUplink)
    );

    // Duplicate address detection (RFC 4862, section 5.4).
    let asks = |mac: Mac, target: &str| {
        let target: std::net::Ipv6Addr = target.parse().expect("is one");
        let message = frame::discovery(135, &target.octets(), &[]);
        packet(
            (mac, "::"),
            (Mac([0x33, 0x33, 0xff, 0, 0, 2]), "ff02::1:ff00:2"),
            ICMP6,
            &message,
        )
    };
    let discovery = Verdict::Drop(Reason::NeighbourDiscovery);
    assert_eq!(gateway.verdict(0, &asks(PUMP, "2001:db8:1::2")), discovery);
    assert!(leaves(&gateway.verdict(0, &asks(PUMP, "2001:db8:1::1"))));
    assert!(leaves(&gateway.verdict(0, &asks(PUMP, "fe80::1"))));
}

#[test]
fn nobody_speaks_as_the_router() {
    let site = "site: s
ports:
  p0: {device: p0}
  p1: {device: p1, uplink: true}
segments:
  wards: {attach: [p0.10, p1.10], subnets: [10.1.0.0/24, \"2001:db8:1::/64\"], routers: [10.1.0.1, \"fe80::1\"]}
  guests: {attach: [p0.20, p1.20], subnets: [10.2.0.0/24], unknown: admit, routers: [10.2.0.1]}
";
    let devices = "name,mac,ips,segment\npump,02:00:00:00:00:01,,wards\n";
    let sources = Sources {
        site: site.to_owned(),
        policy: None,
        devices: Some(devices.to_owned()),
    };
    let mut gateway = Gateway::with(&from_sources(&sources).expect("is a policy").policy);
    let here = |mac: Mac, vlan, ip: [u8; 4]| {
        let packet = frame::arp(2, (mac, ip.into()), (mac, ip.into()));
        frame::ethernet(Mac([0xff; 6]), mac, Some(vlan), 0x0806, &packet)
    };
    let binding = Verdict::Drop(Reason::AddressBinding);
    let [pump, guest] = [(PUMP, 10, 1), (GUEST, 20, 2)];
    for (mac, vlan, net) in [pump, guest] {
        let mut said = |port, host| {
            let mac = if port == 1 { ROUTER } else { mac };
            gateway.verdict(port, &here(mac, vlan, [10, net, 0, host]))
        };
        assert_eq!(said(0, 1), binding, "the router's, {vlan}");
        assert!(leaves(&said(0, 7)), "its own, {vlan}");
        assert!(leaves(&said(1, 1)), "the router itself, {vlan}");
    }
    // In every segment: whoever has it in one is the router of the others as well.
    let advertises = |mac: Mac, vlan, ip: &str| {
        let ip: std::net::Ipv6Addr = ip.parse().expect("is one");
        let mut message = frame::discovery(136, &ip.octets(), &frame::link_address_option(2, mac));
        message[4] = 0x20;
        let all = "ff02::1".parse().expect("is one");
        let (ether_type, packet) = frame::ip(ip.into(), all, ICMP6, 255, &message);
        frame::ethernet(
            Mac([0x33, 0x33, 0, 0, 0, 1]),
            mac,
            Some(vlan),
            ether_type,
            &packet,
        )
    };
    for (mac, vlan, _) in [pump, guest] {
        let false_one = gateway.verdict(0, &advertises(mac, vlan, "fe80::1"));
        assert_eq!(false_one, binding, "{vlan}");
        assert!(leaves(
            &gateway.verdict(0, &advertises(mac, vlan, "fe80::7"))
        ));
        let true_one = gateway.verdict(1, &advertises(ROUTER, vlan, "fe80::1"));
        assert!(leaves(&true_one), "{vlan}");
    }
}

#[test]
fn who_answers_dhcp_clients_is_told_by_their_port() {
    let any = "  - {name: any, from: any, to: any, service: any}\n";
    let mut gateway = Gateway::with(&policy(false, any));
    for (from, to) in [(67, 68), (1067, 68), (547, 546), (5547, 546)] {
        let offer = udp((PUMP, "10.1.0.1", from), (SERVER, "10.1.0.2", to));
        assert_eq!(
            gateway.verdict(0, &offer),
            Verdict::Drop(Reason::DhcpGuard),
            "{from} to {to}"
        );
    }
}

#[test]
fn a_device_of_a_segment_is_reached_by_its_own_mac_address_alone() {
    let rules = "  - {name: r, from: pump, to: server, service: udp/2000}\n";
    let mut gateway = Gateway::with(&policy(false, rules));
    let elsewhere = udp(OF_PUMP, (ROUTER, "10.1.0.2", 2000));
    assert_eq!(
        gateway.verdict(0, &elsewhere),
        Verdict::Drop(Reason::AddressBinding)
    );
    assert!(leaves(&gateway.verdict(0, &udp(OF_PUMP, OF_SERVER))));
}

#[test]
fn a_broadcast_is_answered_by_its_segment_and_not_by_the_world() {
    let rules = "  - {name: announce, from: pump, to: broadcast, service: udp/2000, survives: lockdown, owner: o, reason: r}
  - {name: discover, from: pump, to: any, service: udp/3702, survives: lockdown, owner: o, reason: r}\n";
    let mut gateway = Gateway::with(&policy(false, rules));
    gateway.0.set_posture(Posture::Lockdown);
    let everybody = (Mac([0xff; 6]), "255.255.255.255", 2000);
    assert!(leaves(&gateway.verdict(0, &udp(OF_PUMP, everybody))));
    let answer = |ip| udp((ROUTER, ip, 2000), OF_PUMP);
    assert_eq!(
        gateway.verdict(2, &answer("203.0.113.9")),
        Verdict::Drop(Reason::NoRule)
    );
    assert!(leaves(&gateway.verdict(1, &udp(OF_SERVER, OF_PUMP))));

    // A group that routers forward is answered from behind them.
    let group = (Mac([1, 0, 0x5e, 0x7f, 0xff, 0xfa]), "239.255.255.250", 3702);
    assert!(leaves(&gateway.verdict(0, &udp(OF_PUMP, group))));
    let found = udp((ROUTER, "203.0.113.9", 3702), OF_PUMP);
    assert!(leaves(&gateway.verdict(2, &found)));
}

#[test]
fn an_error_is_believed_of_who_was_asked_about_what_was_sent() {
    let mut gateway = Gateway::with(&policy(false, BOTH));
    for (port, frame) in [
        (0, segment(OF_PUMP, OF_SERVER, SYN, [1, 0])),
        (1, segment(OF_SERVER, OF_PUMP, SYN | ACK, [99, 2])),
        (0, segment(OF_PUMP, OF_SERVER, ACK, [2, 100])),
        (1, segment(OF_SERVER, OF_PUMP, ACK, [100, 2])),
    ] {
        assert!(leaves(&gateway.verdict(port, &frame)));
    }
    let about = |sequence, from: (Mac, &str), code: u8, mtu: u16, longer: usize| {
        let quoted = segment(OF_PUMP, OF_SERVER, ACK, [sequence, 100]);
        let quoted = [&quoted[18..], &vec![0; longer][..]].concat();
        let mut message = frame::icmp(3, code, 0, &quoted);
        message[6..8].copy_from_slice(&mtu.to_be_bytes());
        packet(from, (PUMP, "10.1.0.1"), ICMP, &message)
    };
    let server = (SERVER, "10.1.0.2");
    let forged = Verdict::Drop(Reason::IcmpError);
    assert!(leaves(&gateway.verdict(1, &about(2, server, 3, 0, 0))));
    assert_eq!(
        gateway.verdict(1, &about(0xdead_beef, server, 3, 0, 0)),
        forged,
        "a number that was not sent"
    );
    let free = (Mac([2, 0, 0, 0, 0, 3]), "10.1.0.77");
    assert_eq!(
        gateway.verdict(1, &about(2, free, 3, 0, 0)),
        forged,
        "another device"
    );
    assert!(leaves(&gateway.verdict(1, &about(2, server, 4, 1400, 0))));
    assert_eq!(
        gateway.verdict(1, &about(2, server, 4, 68, 0)),
        forged,
        "less than any path takes"
    );
    assert_eq!(
        gateway.verdict(1, &about(2, server, 3, 0, 1000)),
        forged,
        "more than an error says"
    );
}

#[test]
fn built_in_rules_carry_no_more_than_they_are_for() {
    let mut gateway = Gateway::with(&policy(false, "  []\n"));
    let request = |padding: usize| {
        let asks = frame::arp(
            1,
            (PUMP, [10, 1, 0, 1].into()),
            (Mac([0; 6]), [10, 1, 0, 2].into()),
        );
        let packet = [&asks[..], &vec![7; padding][..]].concat();
        frame::ethernet(Mac([0xff; 6]), PUMP, Some(10), 0x0806, &packet)
    };
    assert!(leaves(&gateway.verdict(0, &request(26))));
    assert_eq!(gateway.verdict(0, &request(27)), Verdict::Drop(Reason::Arp));
}

#[test]
fn an_error_about_a_flow_of_an_earlier_policy_names_none_of_its_rules() {
    let mut gateway = Gateway::with(&policy(false, BOTH));
    let asks = udp(OF_PUMP, OF_SERVER);
    gateway.said(1, &udp(OF_SERVER, OF_PUMP));
    gateway.said(0, &asks);
    let unreachable = |asks: &[u8]| {
        let message = frame::icmp(3, 3, 0, &asks[18..]);
        packet((SERVER, "10.1.0.2"), (PUMP, "10.1.0.1"), ICMP, &message)
    };
    assert_eq!(gateway.egress(1, &unreachable(&asks)), place(0, 10, 0));
    gateway.0.install(&policy(false, "  []\n"), Posture::Normal);
    let said = gateway.said(1, &unreachable(&asks));
    assert_eq!(
        (said.verdict, said.rule),
        (Verdict::Drop(Reason::IcmpError), 0)
    );
}

#[test]
fn what_a_posture_refuses_of_other_protocols_names_the_rule() {
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
        let said = gateway.said(0, frame);
        assert!(leaves(&said.verdict));
        assert_eq!(said.rule, rule);
        gateway.0.set_posture(Posture::Sever);
        let said = gateway.said(0, frame);
        assert_eq!(
            (said.verdict, said.rule),
            (Verdict::Drop(Reason::Posture), rule)
        );
    }
}

#[test]
fn what_stays_inside_is_not_sent_to_a_station_outside() {
    let mut gateway = Gateway::with(&policy(false, "  []\n"));
    let from_outside = frame::ethernet(Mac([0xff; 6]), ROUTER, Some(10), 0x88b8, &[0; 46]);
    assert!(leaves(&gateway.verdict(2, &from_outside)));
    gateway.0.set_posture(Posture::Contain);
    let to_outside = frame::ethernet(ROUTER, PUMP, Some(10), 0x88b8, &[0; 46]);
    let said = gateway.said(0, &to_outside);
    assert_eq!(
        (said.verdict, said.rule),
        (Verdict::Drop(Reason::Posture), RULE_ETHER_TYPE)
    );
}

#[test]
fn an_igmp_message_that_is_too_short_is_none() {
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
fn an_option_that_ends_with_the_frame_is_no_option() {
    let mut gateway = Gateway::with(&policy(false, BOTH));
    let mut frame = udp(OF_PUMP, OF_SERVER);
    frame.truncate(18 + 20);
    frame.extend([1, 1, 1, 148]);
    (frame[18], frame[18 + 3]) = (0x46, 24);
    assert_eq!(gateway.verdict(0, &frame), Verdict::Drop(Reason::IpOptions));
}

#[test]
fn of_two_who_ask_from_one_address_the_last_is_answered() {
    let mut gateway = Gateway::with(&policy(
        false,
        "  - {name: r, from: any, to: any, service: udp/3702}\n",
    ));
    let group = (Mac([1, 0, 0x5e, 0x7f, 0xff, 0xfa]), "239.255.255.250");
    let question = |mac| {
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
        // All of it in the guests' VLAN.
        frame[15] = 20;
        gateway.verdict(port, frame)
    };
    for mac in [GUEST, other] {
        assert!(leaves(&at(0, &mut question(mac))));
    }
    assert_eq!(at(2, &mut answer(GUEST)), Verdict::Drop(Reason::NoRule));
    assert!(leaves(&at(2, &mut answer(other))));
}
