//! Two tags, stitched VLANs and the proxy, frame by frame: the oracle decides as a reader of the specification expects.

use cordon_oracle::{Forwarded, Judgement, MatchedRule, Oracle};
use cordon_policy::{Attachment, Date, Mac, Posture, Sources, from_sources};
use cordon_verdict::Reason;

const GATEWAY: Mac = Mac([0x02, 0x43, 0x4f, 0x52, 0x44, 0x4e]);
const PUMP: Mac = Mac([2, 0, 0, 0, 0, 1]);
const SERVER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const BROADCAST: Mac = Mac([0xff; 6]);

const VLAN: [u8; 2] = [0x81, 0x00];
const SERVICE: [u8; 2] = [0x88, 0xa8];

/// A pump and a server in two VLANs of one switch. The segment's other attachments are untagged or have two tags.
fn oracle() -> Oracle {
    let site = "site: s
ports:
  access: {device: p0}
  core: {device: p1, uplink: true}
  old: {device: p2, outer-tag: 802.1q}
segments:
  ward: {attach: [access.11, access.12, access, core.100.10, old.200.20], subnets: [10.1.0.0/24, \"2001:db8:1::/64\"], proxy: true}
";
    let devices = "name,mac,ips,segment
pump,02:00:00:00:00:01,10.1.0.1 2001:db8:1::1,ward
server,02:00:00:00:00:02,10.1.0.2 2001:db8:1::2,ward
";
    let sources = Sources {
        site: site.to_owned(),
        policy: Some("rules: []\n".to_owned()),
        devices: Some(devices.to_owned()),
    };
    let policy = from_sources(&sources).expect("is a policy").policy;
    let mut oracle = Oracle::new(Date::new(2026, 6, 15).expect("is a day"));
    oracle.install(policy, Posture::Normal);
    oracle
}

fn frame(to: Mac, from: Mac, tags: &[([u8; 2], u16)], rest: &[u8]) -> Vec<u8> {
    let mut out = [to.0, from.0].concat();
    for (kind, control) in tags {
        out.extend(kind);
        out.extend(control.to_be_bytes());
    }
    out.extend(rest);
    out
}

/// EtherType and ARP packet.
fn arp(operation: u8, from: (Mac, u8), to: (Mac, u8)) -> Vec<u8> {
    let mut out = vec![0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, operation];
    for (mac, host) in [from, to] {
        out.extend(mac.0);
        out.extend([10, 1, 0, host]);
    }
    out
}

fn udp(from: u8, to: u8) -> Vec<u8> {
    let mut out = vec![0x08, 0x00, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    out.extend([10, 1, 0, from, 10, 1, 0, to]);
    out.extend([0, 9, 0, 10, 0, 8, 0, 0]);
    out
}

fn at(port: usize, vlan: u16, inner: u16) -> Attachment {
    Attachment { port, vlan, inner }
}

fn passes(answer: &Judgement) -> Forwarded {
    *answer.verdict.as_ref().expect("passes")
}

#[test]
fn an_arp_request_for_a_device_is_answered_with_the_gateways_mac() {
    let asks = arp(1, (PUMP, 1), (Mac([0; 6]), 2));
    let answer = oracle().judge(Some(0), &frame(BROADCAST, PUMP, &[(VLAN, 0xa00b)], &asks));
    assert_eq!(passes(&answer), Forwarded::Reply(at(0, 11, 0)));
    assert_eq!(answer.rule, MatchedRule::Arp);
    let reply = arp(2, (GATEWAY, 2), (PUMP, 1));
    let reply = frame(PUMP, GATEWAY, &[(VLAN, 0xa00b)], &reply);
    assert_eq!(answer.leaving, [(0, reply)]);
}

#[test]
fn duplicate_address_probes_are_not_answered() {
    for (sender, target) in [(0, 1), (1, 1), (1, 9)] {
        let mut asks = arp(1, (PUMP, sender), (Mac([0; 6]), target));
        if sender == 0 {
            asks[16..20].fill(0);
        }
        let answer = oracle().judge(Some(0), &frame(BROADCAST, PUMP, &[(VLAN, 11)], &asks));
        assert!(
            matches!(passes(&answer), Forwarded::Flood { .. }),
            "{sender}"
        );
    }
    // A probe for another device's address: an answer would report it as taken.
    let mut asks = arp(1, (PUMP, 0), (Mac([0; 6]), 2));
    asks[16..20].fill(0);
    let answer = oracle().judge(Some(0), &frame(BROADCAST, PUMP, &[(VLAN, 11)], &asks));
    assert_eq!(answer.verdict, Err(Reason::AddressBinding));
}

#[test]
fn an_advertisement_has_a_correct_checksum() {
    let ip = |host: u8| {
        [
            [0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, host],
        ]
        .concat()
    };
    let mut asks = vec![0x86, 0xdd, 0x6a, 0xbc, 0xde, 0xf0, 0, 32, 58, 255];
    asks.extend(ip(1));
    asks.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 2]);
    asks.extend([135, 0, 0, 0, 0, 0, 0, 0]);
    asks.extend(ip(2));
    asks.extend([1, 1]);
    asks.extend(PUMP.0);
    let to = Mac([0x33, 0x33, 0xff, 0, 0, 2]);
    let answer = oracle().judge(Some(0), &frame(to, PUMP, &[(VLAN, 11)], &asks));
    let mut reply = vec![0x86, 0xdd, 0x6a, 0xbc, 0xde, 0xf0, 0, 32, 58, 255];
    reply.extend(ip(2));
    reply.extend(ip(1));
    // The sum of all words, including the pseudo-header, is 0x1e971.
    reply.extend([136, 0, 0x16, 0x8d, 0x40, 0, 0, 0]);
    reply.extend(ip(2));
    reply.extend([2, 1]);
    reply.extend(GATEWAY.0);
    assert_eq!(
        answer.leaving,
        [(0, frame(PUMP, GATEWAY, &[(VLAN, 11)], &reply))]
    );
}

#[test]
fn a_frame_to_the_gateways_mac_is_forwarded_to_the_device() {
    let mut oracle = oracle();
    let to_pump = frame(GATEWAY, SERVER, &[(VLAN, 0x600c)], &udp(2, 1));
    // The pump is not learned yet: flooded inside, also to the ingress attachment.
    let answer = oracle.judge(Some(0), &to_pump);
    let copy = |tags: &[([u8; 2], u16)]| frame(PUMP, GATEWAY, tags, &udp(2, 1));
    assert_eq!(
        answer.leaving,
        [
            (0, copy(&[])),
            (0, copy(&[(VLAN, 0x600b)])),
            (0, copy(&[(VLAN, 0x600c)])),
            (2, copy(&[(VLAN, 0x60c8), (VLAN, 0x6014)])),
        ]
    );
    let to_server = frame(GATEWAY, PUMP, &[(VLAN, 0xc00b)], &udp(1, 2));
    let answer = oracle.judge(Some(0), &to_server);
    assert_eq!(passes(&answer), Forwarded::Unicast(at(0, 12, 0)));
    let out = frame(SERVER, GATEWAY, &[(VLAN, 0xc00c)], &udp(1, 2));
    assert_eq!(answer.leaving, [(0, out)]);
    // To an address of no device; of another EtherType; an ARP reply.
    let goose = [[0x88, 0xb8], [0, 0]].concat();
    let replies = arp(2, (PUMP, 1), (GATEWAY, 2));
    for rest in [udp(1, 9), goose, replies] {
        let answer = oracle.judge(Some(0), &frame(GATEWAY, PUMP, &[(VLAN, 11)], &rest));
        assert_eq!(answer.verdict, Err(Reason::AddressBinding));
    }
}

#[test]
fn two_tags_must_be_of_the_ports_type() {
    let mut oracle = oracle();
    let asks = arp(1, (Mac([2, 0, 0, 0, 0, 9]), 9), (Mac([0; 6]), 1));
    let from_core = |tags: &[([u8; 2], u16)]| {
        let frame = frame(BROADCAST, Mac([2, 0, 0, 0, 0, 9]), tags, &asks);
        oracle.judge(Some(1), &frame)
    };
    let [right, wrong_type, other_inner, zero, stray] = [
        [(SERVICE, 0x2064), (VLAN, 0xe00a)],
        [(VLAN, 0x2064), (VLAN, 0xe00a)],
        [(SERVICE, 0x2064), (VLAN, 0xe00b)],
        [(SERVICE, 0x2064), (VLAN, 0xe000)],
        [(SERVICE, 0x2064), (SERVICE, 0xe00a)],
    ]
    .map(|tags| tags.to_vec())
    .map({
        let mut judge = from_core;
        move |tags| judge(&tags)
    });
    for (answer, reason) in [
        (wrong_type, Reason::UnknownAttachment),
        (other_inner, Reason::UnknownAttachment),
        (zero, Reason::VlanStack),
        (stray, Reason::VlanStack),
    ] {
        assert_eq!(answer.verdict, Err(reason));
    }
    // The outermost tag keeps the outermost priority, the inner tag keeps the inner priority.
    let copy = |tags: &[([u8; 2], u16)]| frame(BROADCAST, Mac([2, 0, 0, 0, 0, 9]), tags, &asks);
    assert_eq!(
        right.leaving,
        [
            (0, copy(&[])),
            (0, copy(&[(VLAN, 0x200b)])),
            (0, copy(&[(VLAN, 0x200c)])),
            (2, copy(&[(VLAN, 0x20c8), (VLAN, 0xe014)])),
        ]
    );
}
