//! What may cross a closed boundary, frame by frame: the oracle decides as a reader of the specification expects.

use std::net::Ipv6Addr;

use cordon_oracle::{Forwarded, Judgement, MatchedRule, Oracle};
use cordon_policy::{Attachment, Date, Mac, Posture, Sources, from_sources};
use cordon_verdict::Reason;

const PUMP: Mac = Mac([2, 0, 0, 0, 0, 1]);
const SERVER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const GUEST: Mac = Mac([2, 0, 0, 0, 0, 7]);
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 9]);
const BROADCAST: Mac = Mac([0xff; 6]);
const WARD: usize = 0;
const CORE: usize = 1;
const LOBBY: usize = 2;
const LOBBY_2: usize = 3;
const CLOSET: usize = 4;

fn oracle(posture: Posture) -> Oracle {
    let site = "site: s
ports:
  p0: {device: p0, storm: 0}
  p1: {device: p1, uplink: true, storm: 0}
  p2: {device: p2, storm: 8}
  p3: {device: p3, storm: 0}
  p4: {device: p4, storm: 0}
segments:
  ward: {attach: [p0, p1, p3.5], subnets: [10.1.0.0/24, \"2001:db8:1::/64\"], routers: [10.1.0.254, \"fe80::9\"]}
  lobby: {attach: [p2, p3, p1.20], subnets: [10.2.0.0/24, \"2001:db8:2::/64\"], unknown: admit}
  closet: {attach: [p4, p1.30], subnets: [10.3.0.0/24], unknown: admit}
zones:
  wide: {networks: [0.0.0.0/0, \"::/0\"]}
";
    let devices = "name,mac,ips,segment
pump,02:00:00:00:00:01,10.1.0.1 2001:db8:1::1,ward
server,02:00:00:00:00:02,10.1.0.2 2001:db8:1::2,ward
";
    let policy = "rules:
  - {name: out, from: [ward, lobby, closet], to: [wide], service: udp/9, survives: lockdown, owner: o, reason: r}
  - {name: in, from: [wide], to: [ward], service: udp/9, survives: lockdown, owner: o, reason: r}
";
    let sources = Sources {
        site: site.to_owned(),
        policy: Some(policy.to_owned()),
        devices: Some(devices.to_owned()),
    };
    let policy = from_sources(&sources).expect("is a policy").policy;
    let mut oracle = Oracle::new(Date::new(2026, 6, 15).expect("is a day"));
    oracle.set_clock(10);
    oracle.install(policy, posture);
    oracle
}

fn frame(to: Mac, from: Mac, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = [to.0, from.0].concat();
    out.extend(ether_type.to_be_bytes());
    out.extend(payload);
    out
}

fn ip6(text: &str) -> Ipv6Addr {
    text.parse().expect("is an address")
}

fn mac_of(group: &str) -> Mac {
    let [.., a, b, c, d] = ip6(group).octets();
    Mac([0x33, 0x33, a, b, c, d])
}

/// A packet with hop limit 255.
fn icmp6(from: &str, to: &str, message: &[u8]) -> Vec<u8> {
    let mut out = vec![0x60, 0, 0, 0, 0, message.len() as u8, 58, 255];
    out.extend(ip6(from).octets());
    out.extend(ip6(to).octets());
    out.extend(message);
    out
}

fn about(kind: u8, target: &str) -> Vec<u8> {
    let mut out = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    out.extend(ip6(target).octets());
    out
}

/// A neighbour solicitation of the pump.
fn solicits(to: &str, to_mac: Mac, target: &str) -> Vec<u8> {
    let packet = icmp6("2001:db8:1::1", to, &about(135, target));
    frame(to_mac, PUMP, 0x86dd, &packet)
}

fn arp(operation: u8, from: (Mac, [u8; 4]), target: (Mac, [u8; 4])) -> Vec<u8> {
    let mut out = vec![0, 1, 0x08, 0x00, 6, 4, 0, operation];
    for (mac, ip) in [from, target] {
        out.extend(mac.0);
        out.extend(ip);
    }
    out
}

fn ip4(protocol: u8, ttl: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x45, 0, 0, 20 + payload.len() as u8];
    out.extend([0, 0, 0, 0, ttl, protocol, 0, 0]);
    out.extend(from);
    out.extend(to);
    out.extend(payload);
    out
}

const UDP: [u8; 8] = [0, 9, 0, 9, 0, 8, 0, 0];

fn inside(answer: &Judgement) -> bool {
    match answer.verdict {
        Ok(Forwarded::Flood { inside, .. }) => inside,
        ref other => panic!("it is not flooded: {other:?}"),
    }
}

fn refused(answer: &Judgement) -> Reason {
    answer.verdict.expect_err("is dropped")
}

#[test]
fn discovery_goes_to_the_destinations_of_its_rfc_alone() {
    let solicited = "ff02::1:ff00:2";
    let target = "2001:db8:1::2";
    let judge = |frame: Vec<u8>| oracle(Posture::Normal).judge(Some(WARD), &frame);
    for (to, mac) in [(solicited, mac_of(solicited)), (target, SERVER)] {
        assert!(judge(solicits(to, mac, target)).verdict.is_ok(), "{to}");
    }
    for (to, mac, target) in [
        ("ff02::1", mac_of("ff02::1"), target),
        ("ff0e::2", mac_of("ff0e::2"), target),
        ("ff02::1:ff00:3", mac_of("ff02::1:ff00:3"), target),
        ("ff05::1:ff00:2", mac_of("ff05::1:ff00:2"), target),
        ("2001:db8:1::3", ROUTER, target),
        // The MAC address of another group.
        (solicited, mac_of("ff02::1"), target),
        (solicited, BROADCAST, target),
        // Targets that are not on-link: of a wider network, and outside fe80::/64.
        (solicited, mac_of(solicited), "2001:db8:9::2"),
        (solicited, mac_of(solicited), "fe80:1::2"),
    ] {
        let answer = judge(solicits(to, mac, target));
        assert_eq!(
            refused(&answer),
            Reason::NeighbourDiscovery,
            "{to} {target}"
        );
    }
    let advertises = |to: &str, mac| {
        let packet = icmp6("2001:db8:1::1", to, &about(136, "2001:db8:1::1"));
        judge(frame(mac, PUMP, 0x86dd, &packet))
    };
    for (to, mac) in [
        ("ff02::1", mac_of("ff02::1")),
        ("fe80::9", ROUTER),
        (target, SERVER),
    ] {
        assert!(advertises(to, mac).verdict.is_ok(), "{to}");
    }
    for (to, mac) in [("ff02::2", mac_of("ff02::2")), ("2001:db8:9::1", ROUTER)] {
        assert_eq!(
            refused(&advertises(to, mac)),
            Reason::NeighbourDiscovery,
            "{to}"
        );
    }
    let asks_routers = |to: &str, mac| {
        let packet = icmp6("fe80::1", to, &[133, 0, 0, 0, 0, 0, 0, 0]);
        judge(frame(mac, PUMP, 0x86dd, &packet))
    };
    assert!(asks_routers("ff02::2", mac_of("ff02::2")).verdict.is_ok());
    assert!(asks_routers("fe80::9", ROUTER).verdict.is_ok());
    for (to, mac) in [("ff02::1", mac_of("ff02::1")), ("2001:db8:1::9", ROUTER)] {
        assert_eq!(
            refused(&asks_routers(to, mac)),
            Reason::NeighbourDiscovery,
            "{to}"
        );
    }
}

#[test]
fn discovery_has_no_extension_headers_and_little_padding() {
    let target = "2001:db8:1::2";
    let mac = mac_of("ff02::1:ff00:2");
    let mut long = solicits("ff02::1:ff00:2", mac, target);
    long.extend([1; 26]);
    assert!(
        oracle(Posture::Normal)
            .judge(Some(WARD), &long)
            .verdict
            .is_ok()
    );
    long.push(1);
    let answer = oracle(Posture::Normal).judge(Some(WARD), &long);
    assert_eq!(refused(&answer), Reason::NeighbourDiscovery);
    let mut extended = solicits("ff02::1:ff00:2", mac, target);
    extended[14 + 5] += 8;
    extended[14 + 6] = 60;
    extended.splice(54..54, [58, 0, 1, 4, 0, 0, 0, 0]);
    let answer = oracle(Posture::Normal).judge(Some(WARD), &extended);
    assert_eq!(refused(&answer), Reason::NeighbourDiscovery);
}

#[test]
fn discovery_leaves_in_its_canonical_form() {
    let mut packet = icmp6("2001:db8:1::1", "ff02::1", &about(136, "2001:db8:1::1"));
    packet[..4].copy_from_slice(&[0x6f, 0xff, 0xff, 0xff]);
    packet[42..48].copy_from_slice(&[1, 2, 0xff, 0xff, 0xff, 0xff]);
    packet.extend([0xaa; 4]);
    let sent = frame(mac_of("ff02::1"), PUMP, 0x86dd, &packet);
    let answer = oracle(Posture::Normal).judge(Some(WARD), &sent);
    let mut expected = icmp6("2001:db8:1::1", "ff02::1", &about(136, "2001:db8:1::1"));
    expected[44] = 0xe0;
    let sum: u32 = expected[8..]
        .chunks(2)
        .map(|two| u32::from(two[0]) << 8 | u32::from(two[1]))
        .sum();
    let sum = sum + 24 + 58;
    let folded = (sum & 0xffff) + (sum >> 16);
    expected[42..44].copy_from_slice(&(!folded as u16).to_be_bytes());
    expected.extend([0; 4]);
    let expected = frame(mac_of("ff02::1"), PUMP, 0x86dd, &expected);
    assert_eq!(answer.leaving[0], (CORE, expected));
    // Router advertisements leave as they came.
    let mut packet = icmp6(
        "fe80::9",
        "ff02::1",
        &[134, 0, 1, 2, 64, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    packet[1] = 0xab;
    packet.extend([0xaa; 4]);
    let sent = frame(mac_of("ff02::1"), ROUTER, 0x86dd, &packet);
    let answer = oracle(Posture::Normal).judge(Some(CORE), &sent);
    assert!(
        answer
            .leaving
            .iter()
            .any(|one| *one == (WARD, sent.clone()))
    );
}

#[test]
fn arp_leaves_without_what_its_sender_chose() {
    let mut packet = arp(1, (PUMP, [10, 1, 0, 1]), (Mac([9; 6]), [10, 1, 0, 2]));
    packet.extend([0xaa; 18]);
    let answer =
        oracle(Posture::Normal).judge(Some(WARD), &frame(BROADCAST, PUMP, 0x0806, &packet));
    let mut expected = arp(1, (PUMP, [10, 1, 0, 1]), (Mac([0; 6]), [10, 1, 0, 2]));
    expected.extend([0; 18]);
    assert_eq!(
        answer.leaving[0].1,
        frame(BROADCAST, PUMP, 0x0806, &expected)
    );
    // Replies: to the host that they are for; to a group without a host.
    let reply = |to, target| {
        let packet = arp(2, (PUMP, [10, 1, 0, 1]), (target, [10, 1, 0, 2]));
        oracle(Posture::Normal).judge(Some(WARD), &frame(to, PUMP, 0x0806, &packet))
    };
    assert!(reply(SERVER, SERVER).verdict.is_ok());
    assert_eq!(refused(&reply(SERVER, ROUTER)), Reason::Arp);
    let expected = arp(2, (PUMP, [10, 1, 0, 1]), (Mac([0; 6]), [10, 1, 0, 2]));
    assert_eq!(
        reply(BROADCAST, ROUTER).leaving[0].1,
        frame(BROADCAST, PUMP, 0x0806, &expected)
    );
}

fn igmp(message: &[u8]) -> Vec<u8> {
    let packet = ip4(2, 1, [10, 1, 0, 1], [224, 0, 0, 22], message);
    frame(Mac([1, 0, 0x5e, 0, 0, 22]), PUMP, 0x0800, &packet)
}

/// An IGMPv3 report; each record has this many sources.
fn report(counted: u8, sources: &[u8]) -> Vec<u8> {
    let mut out = vec![0x22, 0, 0, 0, 0, 0, 0, counted];
    for number in sources {
        out.extend([4, 0, 0, *number, 239, 1, 1, 1]);
        out.extend(vec![1; usize::from(*number) * 4]);
    }
    out
}

#[test]
fn membership_messages_have_exact_lengths() {
    let verdict = |message: &[u8]| {
        oracle(Posture::Normal)
            .judge(Some(WARD), &igmp(message))
            .verdict
    };
    for good in [
        report(1, &[0]),
        report(2, &[3, 1]),
        vec![0x16, 0, 0, 0, 239, 1, 1, 1],
    ] {
        assert!(verdict(&good).is_ok(), "{good:?}");
    }
    let mut auxiliary = report(1, &[0]);
    auxiliary[9] = 1;
    auxiliary.extend([0; 4]);
    for bad in [
        report(0, &[]),
        report(1, &[]),
        report(1, &[0, 0]),
        report(2, &[0]),
        [report(1, &[0]), vec![0]].concat(),
        auxiliary,
        vec![0x16, 0, 0, 0, 239, 1, 1, 1, 0],
    ] {
        assert_eq!(verdict(&bad), Err(Reason::Membership), "{bad:?}");
    }
    // The second record starts at byte 42 + 8 + 4 N: at 254 and at 258 of the frame.
    assert!(verdict(&report(2, &[51, 0])).is_ok());
    assert_eq!(verdict(&report(2, &[52, 0])), Err(Reason::Membership));
    let query = |message: &[u8]| {
        let packet = ip4(2, 1, [10, 1, 0, 254], [224, 0, 0, 1], message);
        let sent = frame(Mac([1, 0, 0x5e, 0, 0, 1]), ROUTER, 0x0800, &packet);
        oracle(Posture::Normal).judge(Some(CORE), &sent).verdict
    };
    let mut counted = vec![0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 10, 1, 0, 1];
    assert!(query(&counted).is_ok());
    assert!(query(&counted[..8]).is_ok());
    counted[11] = 2;
    assert_eq!(query(&counted), Err(Reason::Membership));
    assert_eq!(query(&counted[..9]), Err(Reason::Membership));
}

#[test]
fn membership_stays_inside_a_closed_site() {
    let mut oracle = oracle(Posture::Contain);
    assert!(inside(&oracle.judge(Some(WARD), &igmp(&report(1, &[0])))));
    let from_outside = |kind: u8| {
        let packet = ip4(
            2,
            1,
            [10, 1, 0, 254],
            [224, 0, 0, 1],
            &[kind, 0, 0, 0, 0, 0, 0, 0],
        );
        frame(Mac([1, 0, 0x5e, 0, 0, 1]), ROUTER, 0x0800, &packet)
    };
    assert!(
        oracle
            .judge(Some(CORE), &from_outside(0x11))
            .verdict
            .is_ok()
    );
    let answer = oracle.judge(Some(CORE), &from_outside(0x16));
    assert_eq!(refused(&answer), Reason::Posture);
    assert_eq!(answer.rule, MatchedRule::Membership);
}

#[test]
fn link_local_addresses_are_in_no_wide_network() {
    let datagram = |to: Mac, from: [u8; 4], ip: [u8; 4]| {
        frame(to, GUEST, 0x0800, &ip4(17, 64, from, ip, &UDP))
    };
    let own = [169, 254, 1, 1];
    // An unlisted host is a member with a link-local address of either family; another one's is a member's, too.
    let answer = oracle(Posture::Normal).judge(Some(LOBBY), &datagram(ROUTER, own, [8, 8, 8, 8]));
    assert!(answer.verdict.is_ok());
    let answer =
        oracle(Posture::Normal).judge(Some(LOBBY), &datagram(ROUTER, own, [169, 254, 1, 2]));
    assert!(answer.verdict.is_ok(), "within the segment");
    assert_ne!(
        answer.rule,
        MatchedRule::Rule(0),
        "0.0.0.0/0 does not hold it"
    );
    // From outside, it is not of the zone with 0.0.0.0/0.
    let packet = ip4(17, 64, [169, 254, 1, 3], [10, 1, 0, 1], &UDP);
    let sent = frame(PUMP, ROUTER, 0x0800, &packet);
    assert_eq!(
        refused(&oracle(Posture::Normal).judge(Some(CORE), &sent)),
        Reason::NoRule
    );
}

#[test]
fn a_host_judged_inside_is_reached_inside() {
    let packet = ip4(17, 64, [10, 2, 0, 7], [10, 2, 0, 8], &UDP);
    let sent = frame(Mac([2, 0, 0, 0, 0, 8]), GUEST, 0x0800, &packet);
    assert!(!inside(&oracle(Posture::Watch).judge(Some(LOBBY), &sent)));
    assert!(inside(&oracle(Posture::Contain).judge(Some(LOBBY), &sent)));
}

#[test]
fn an_inside_flood_without_a_receiver_is_dropped() {
    let packet = ip4(17, 64, [10, 3, 0, 7], [10, 3, 0, 8], &UDP);
    let sent = frame(Mac([2, 0, 0, 0, 0, 8]), GUEST, 0x0800, &packet);
    assert!(
        oracle(Posture::Watch)
            .judge(Some(CLOSET), &sent)
            .verdict
            .is_ok()
    );
    let answer = oracle(Posture::Contain).judge(Some(CLOSET), &sent);
    assert_eq!(refused(&answer), Reason::Posture);
    assert_ne!(answer.rule, MatchedRule::None);
}

#[test]
fn a_device_crosses_a_closed_boundary_once_in_two_ticks() {
    let asks = frame(
        BROADCAST,
        PUMP,
        0x0806,
        &arp(1, (PUMP, [10, 1, 0, 1]), (Mac([0; 6]), [10, 1, 0, 254])),
    );
    let mut oracle = oracle(Posture::Contain);
    // A host that is not known is not limited.
    assert!(!inside(&oracle.judge(Some(WARD), &asks)));
    assert!(!inside(&oracle.judge(Some(WARD), &asks)));
    assert!(inside(&oracle.judge(Some(WARD), &asks)));
    oracle.set_clock(11);
    assert!(inside(&oracle.judge(Some(WARD), &asks)));
    oracle.set_clock(12);
    // ARP and discovery count together.
    let routers = icmp6("fe80::1", "ff02::2", &[133, 0, 0, 0, 0, 0, 0, 0]);
    let routers = frame(mac_of("ff02::2"), PUMP, 0x86dd, &routers);
    assert!(!inside(&oracle.judge(Some(WARD), &routers)));
    assert!(inside(&oracle.judge(Some(WARD), &asks)));
    oracle.set_posture(Posture::Watch);
    assert!(!inside(&oracle.judge(Some(WARD), &asks)));
}

#[test]
fn only_questions_for_what_may_be_outside_cross() {
    let stays = |port, sent: &[u8]| inside(&oracle(Posture::Contain).judge(Some(port), sent));
    let request = |to, from: (Mac, [u8; 4]), target| {
        frame(to, from.0, 0x0806, &arp(1, from, (Mac([0; 6]), target)))
    };
    let pump = (PUMP, [10, 1, 0, 1]);
    assert!(
        !stays(WARD, &request(BROADCAST, pump, [10, 1, 0, 1])),
        "an announcement"
    );
    assert!(!stays(WARD, &request(BROADCAST, pump, [10, 1, 0, 77])));
    assert!(
        stays(WARD, &request(BROADCAST, pump, [10, 1, 0, 2])),
        "of another device"
    );
    assert!(
        stays(WARD, &request(BROADCAST, pump, [10, 9, 0, 1])),
        "off-link"
    );
    assert!(
        stays(WARD, &request(BROADCAST, pump, [10, 1, 0, 255])),
        "a broadcast address"
    );
    assert!(
        stays(WARD, &request(BROADCAST, (PUMP, [0; 4]), [10, 1, 0, 1])),
        "a probe"
    );
    assert!(
        stays(
            WARD,
            &request(Mac([1, 0, 0x5e, 0, 0, 1]), pump, [10, 1, 0, 254])
        ),
        "multicast"
    );
    assert!(
        stays(WARD, &request(ROUTER, pump, [10, 1, 0, 254])),
        "to a host that is not known outside"
    );
    assert!(
        stays(
            LOBBY,
            &request(BROADCAST, (GUEST, [10, 2, 0, 7]), [10, 2, 0, 254])
        ),
        "unlisted"
    );
    let solicited = mac_of("ff02::1:ff00:2");
    assert!(stays(
        WARD,
        &solicits("ff02::1:ff00:2", solicited, "2001:db8:1::2")
    ));
    let solicited = mac_of("ff02::1:ff00:77");
    assert!(!stays(
        WARD,
        &solicits("ff02::1:ff00:77", solicited, "2001:db8:1::77")
    ));
    // From an address that is not bound, for a router's address alone.
    let from_link_local = |target: &str| {
        let to = format!(
            "ff02::1:ff00:{}",
            target.rsplit(':').next().expect("has groups")
        );
        let packet = icmp6("fe80::1", &to, &about(135, target));
        stays(WARD, &frame(mac_of(&to), PUMP, 0x86dd, &packet))
    };
    assert!(!from_link_local("fe80::9"));
    assert!(from_link_local("fe80::8"));
    // Advertisements: of a bound target; of any other to a router alone.
    let advertises = |target: &str| {
        let packet = icmp6("fe80::1", "ff02::1", &about(136, target));
        stays(WARD, &frame(mac_of("ff02::1"), PUMP, 0x86dd, &packet))
    };
    assert!(!advertises("2001:db8:1::1"));
    assert!(advertises("fe80::1"));
}

#[test]
fn a_router_that_was_seen_outside_is_answered_there() {
    let mut oracle = oracle(Posture::Contain);
    let asks = frame(
        BROADCAST,
        ROUTER,
        0x0806,
        &arp(1, (ROUTER, [10, 1, 0, 254]), (Mac([0; 6]), [10, 1, 0, 1])),
    );
    assert!(oracle.judge(Some(CORE), &asks).verdict.is_ok());
    let reply = frame(
        ROUTER,
        PUMP,
        0x0806,
        &arp(2, (PUMP, [10, 1, 0, 1]), (ROUTER, [10, 1, 0, 254])),
    );
    let core = Attachment {
        port: CORE,
        vlan: 0,
        inner: 0,
    };
    for _ in 0..2 {
        assert_eq!(
            oracle.judge(Some(WARD), &reply).verdict,
            Ok(Forwarded::Unicast(core))
        );
    }
    let answer = oracle.judge(Some(WARD), &reply);
    assert_eq!(
        (answer.verdict, answer.rule),
        (Err(Reason::Posture), MatchedRule::Arp)
    );
}

#[test]
fn unlisted_hosts_leave_half_of_a_ports_broadcasts_to_devices() {
    let mut oracle = oracle(Posture::Normal);
    // 8 a second are 8 a tick: 2 for a host, 4 for all unlisted hosts.
    let mut passed = Vec::new();
    for host in 10..14 {
        let (mac, ip) = (Mac([2, 0, 0, 0, 0, host]), [10, 2, 0, host]);
        let asks = frame(
            BROADCAST,
            mac,
            0x0806,
            &arp(1, (mac, ip), (Mac([0; 6]), [10, 2, 0, 1])),
        );
        for _ in 0..3 {
            passed.push(oracle.judge(Some(LOBBY), &asks).verdict.is_ok());
        }
        // Other ports have their own.
        assert!(oracle.judge(Some(LOBBY_2), &asks).verdict.is_ok());
    }
    let expected = [
        true, true, false, true, true, false, false, false, false, false, false, false,
    ];
    assert_eq!(passed, expected);
}
