//! The ARP and ND proxy: the requests it answers, the frames it forwards, and the copies it makes one by one.

#[allow(dead_code, reason = "each test file uses part of it")]
mod wire;

use cordon_portable::{Judged, Portable};
use cordon_verdict::abi::{Limit, PortRate, RULE_ARP, RULE_ND};
use cordon_verdict::{Ip, Reason};
use wire::*;

fn gateway() -> Portable {
    let mut portable = Portable::default();
    portable.install(generation(), 0);
    portable
}

/// Teaches the FDB these hosts: each sends a frame.
fn learn(portable: &mut Portable, hosts: &[Host]) {
    for host in hosts {
        let mac = if host.mac == EMIL.mac { ANNA } else { EMIL };
        let judged = portable.judge(host.port, &datagram(*host, mac.mac, mac));
        assert!(judged.outcome.verdict.is_ok());
    }
}

fn reason(judged: &Judged) -> Option<Reason> {
    judged.outcome.verdict.err()
}

const BINDING: Option<Reason> = Some(Reason::AddressBinding);

#[test]
fn an_arp_request_is_answered_at_its_ingress() {
    let mut portable = gateway();
    for (mac, to) in [(BROADCAST, BERT), (GATEWAY, CARL), (DORA.mac, FRED)] {
        // With a priority in the tag, and padding.
        let mut asked = arp(mac, ANNA, 1, ANNA.v4, to.v4);
        asked[14] = 0xa1;
        asked.resize(64, 0x55);
        let judged = portable.judge(0, &asked);
        let mut answer = frame(ANNA.mac, GATEWAY, &[(0x8100, 0xa000 | 301)], 0x0806, &[]);
        answer.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 2]);
        answer.extend_from_slice(&GATEWAY.to_be_bytes()[2..]);
        answer.extend_from_slice(&to.v4.to_be_bytes());
        answer.extend_from_slice(&ANNA.mac.to_be_bytes()[2..]);
        answer.extend_from_slice(&ANNA.v4.to_be_bytes());
        answer.resize(64, 0x55);
        assert_eq!(judged.leaving, [(0, answer)]);
        assert_eq!(judged.outcome.rule, RULE_ARP);
    }
    assert_eq!(portable.memory.stations.len(), 1, "the sender is learned");
    // At sever no request is answered.
    portable.set_posture(5);
    let asked = arp(BROADCAST, ANNA, 1, ANNA.v4, BERT.v4);
    assert_eq!(reason(&portable.judge(0, &asked)), Some(Reason::Posture));
}

#[test]
fn other_arp_is_forwarded_unless_it_is_sent_to_the_gateway() {
    let others = usize::from(ATTACHED) - 1;
    let cases: &[(&str, Host, u8, u32, u32)] = &[
        ("announces itself", ANNA, 1, ANNA.v4, ANNA.v4),
        ("asks whether its address is free", ANNA, 1, 0, ANNA.v4),
        ("answers", ANNA, 2, ANNA.v4, BERT.v4),
        ("asks for an unlisted host", ANNA, 1, ANNA.v4, WIDE.v4),
        ("asks from the wider network", WIDE, 1, WIDE.v4, ANNA.v4),
    ];
    for (what, from, operation, sender, target) in cases {
        let mut portable = gateway();
        let asked = arp(BROADCAST, *from, *operation, *sender, *target);
        let judged = portable.judge(from.port, &asked);
        assert_eq!(judged.leaving.len(), others, "{what}");
        let asked = arp(GATEWAY, *from, *operation, *sender, *target);
        assert_eq!(
            reason(&portable.judge(from.port, &asked)),
            BINDING,
            "{what}"
        );
    }
    // The check of the sender comes first. A probe for another device's address fails it too.
    let mut portable = gateway();
    let asked = arp(BROADCAST, ANNA, 1, 0, BERT.v4);
    assert_eq!(reason(&portable.judge(0, &asked)), BINDING);
    let asked = arp(GATEWAY, ANNA, 1, BERT.v4, CARL.v4);
    assert_eq!(reason(&portable.judge(0, &asked)), BINDING);
    assert!(portable.memory.stations.is_empty());
}

#[test]
fn a_neighbour_advertisement_has_a_correct_checksum() {
    let mut portable = gateway();
    let (group, group_mac) = solicited(FRED.v6);
    for (mac, to) in [(group_mac, group), (FRED.mac, FRED.v6), (GATEWAY, FRED.v6)] {
        for from in [ANNA, FRED, CARL] {
            let target = if from.mac == FRED.mac {
                DORA.v6
            } else {
                FRED.v6
            };
            let (mac, to) = match from.mac == FRED.mac {
                true => (GATEWAY, target),
                false => (mac, to),
            };
            let mut asked = discovery(from, mac, to, 135, target, 1);
            asked.extend_from_slice(&[0x55; 5]);
            let judged = portable.judge(from.port, &asked);
            let [(port, answer)] = &judged.leaving[..] else {
                panic!("{judged:?}");
            };
            assert_eq!((*port, judged.outcome.rule), (from.port, RULE_ND));
            assert_eq!(answer.len(), asked.len());
            let network = 14 + 4 * from.tags.len();
            let mut message = vec![136, 0, 0, 0, 0x40, 0, 0, 0];
            message.extend_from_slice(&target.hi.to_be_bytes());
            message.extend_from_slice(&target.lo.to_be_bytes());
            message.extend_from_slice(&[2, 1]);
            message.extend_from_slice(&GATEWAY.to_be_bytes()[2..]);
            message[2..4].copy_from_slice(&answer[network + 42..network + 44]);
            let packet = v6_packet(target, from.v6, 58, 255, &message);
            assert_eq!(icmpv6_sum(&packet), 0xffff, "the checksum");
            let mut expected = frame(from.mac, GATEWAY, from.tags, 0x86dd, &packet);
            expected.extend_from_slice(&[0x55; 5]);
            assert_eq!(answer, &expected);
        }
    }
}

#[test]
fn other_discovery_is_forwarded_unless_it_is_sent_to_the_gateway() {
    let others = usize::from(ATTACHED) - 1;
    let (group, mac) = solicited(BERT.v6);
    let (own_group, own_mac) = solicited(ANNA.v6);
    let (unknown_group, unknown_mac) = solicited(v6(77));
    let all_nodes = Ip {
        hi: 0xff02 << 48,
        lo: 1,
    };
    let unspecified = Host {
        v6: Ip { hi: 0, lo: 0 },
        ..ANNA
    };
    let cases: &[(&str, Vec<u8>)] = &[
        (
            "without a link-layer address",
            discovery(ANNA, mac, group, 135, BERT.v6, 0),
        ),
        (
            "from the unspecified address",
            discovery(unspecified, own_mac, own_group, 135, ANNA.v6, 0),
        ),
        (
            "for its own address",
            discovery(ANNA, own_mac, own_group, 135, ANNA.v6, 1),
        ),
        (
            "for an unknown address",
            discovery(ANNA, unknown_mac, unknown_group, 135, v6(77), 1),
        ),
        (
            "advertises",
            discovery(ANNA, 0x3333_0000_0001, all_nodes, 136, ANNA.v6, 2),
        ),
    ];
    for (what, asked) in cases {
        let mut portable = gateway();
        let judged = portable.judge(0, asked);
        assert_eq!(judged.leaving.len(), others, "{what}: {judged:?}");
    }
    let to_gateway: &[(&str, Vec<u8>)] = &[
        (
            "to a group",
            discovery(ANNA, GATEWAY, group, 135, BERT.v6, 1),
        ),
        (
            "without a link-layer address",
            discovery(ANNA, GATEWAY, BERT.v6, 135, BERT.v6, 0),
        ),
        (
            "for an unknown address",
            discovery(ANNA, GATEWAY, v6(77), 135, v6(77), 1),
        ),
        (
            "advertises",
            discovery(ANNA, GATEWAY, BERT.v6, 136, ANNA.v6, 2),
        ),
    ];
    for (what, asked) in to_gateway {
        let mut portable = gateway();
        assert_eq!(reason(&portable.judge(0, asked)), BINDING, "{what}");
    }
    let mut portable = gateway();
    let advertises = discovery(ANNA, GATEWAY, BERT.v6, 134, BERT.v6, 2);
    assert_eq!(
        reason(&portable.judge(0, &advertises)),
        Some(Reason::RaGuard)
    );
}

#[test]
fn a_frame_to_the_gateway_is_forwarded_to_the_device() {
    let mut portable = gateway();
    learn(&mut portable, &[ANNA, BERT, CARL, EMIL, FRED]);
    for to in [BERT, CARL, EMIL, FRED] {
        let packet = v4(ANNA.v4, to.v4, 17, &udp(5000, 6000));
        let expected = frame(to.mac, GATEWAY, to.tags, 0x0800, &packet);
        for turn in ["opens", "goes on"] {
            let judged = portable.judge(0, &datagram(ANNA, GATEWAY, to));
            assert_eq!(judged.leaving, [(to.port, expected.clone())], "{turn}");
            // The answer, also by way of the gateway, establishes the flow.
            let answer = v4(to.v4, ANNA.v4, 17, &udp(6000, 5000));
            let answered = frame(GATEWAY, to.mac, to.tags, 0x0800, &answer);
            let back = frame(ANNA.mac, GATEWAY, ANNA.tags, 0x0800, &answer);
            let judged = portable.judge(to.port, &answered);
            assert_eq!(judged.leaving, [(0, back)], "{turn}");
        }
    }
    // To the device's own MAC address, at the ingress attachment: the access switch delivers such a frame itself.
    let judged = portable.judge(0, &datagram(BERT, ANNA.mac, ANNA));
    assert_eq!(reason(&judged), Some(Reason::SameAttachment));
}

#[test]
fn frames_to_the_gateway_for_no_device_are_dropped_and_without_a_proxy_its_address_is_ordinary() {
    let mut portable = gateway();
    let unlisted = frame(GATEWAY, ANNA.mac, ANNA.tags, LISTED, &[0; 40]);
    let cases: &[(&str, Vec<u8>)] = &[
        ("for a host at the uplink", datagram(ANNA, GATEWAY, WIDE)),
        (
            "for a device of another segment",
            datagram(ANNA, GATEWAY, ONE),
        ),
        ("neither IP nor ARP", unlisted),
        ("to a group", {
            let packet = v4(ANNA.v4, 0xe000_00fb, 17, &udp(1, 2));
            frame(GATEWAY, ANNA.mac, ANNA.tags, 0x0800, &packet)
        }),
        ("membership", {
            let packet = v4(ANNA.v4, 0xe000_00fb, 2, &[0x16, 0, 0, 0, 0, 0, 0, 0]);
            frame(GATEWAY, ANNA.mac, ANNA.tags, 0x0800, &packet)
        }),
    ];
    for (what, frame) in cases {
        assert_eq!(reason(&portable.judge(0, frame)), BINDING, "{what}");
    }
    // A malformed packet has its own reason.
    let cut = v4(ANNA.v4, WIDE.v4, 17, &[0; 4]);
    let cut = frame(GATEWAY, ANNA.mac, ANNA.tags, 0x0800, &cut);
    let judged = portable.judge(0, &cut);
    assert_eq!(reason(&judged), Some(Reason::TransportHeader));

    let packet = v4(TWO.v4, NONE.v4, 17, &udp(1, 2));
    let plain = frame(GATEWAY, TWO.mac, TWO.tags, 0x0800, &packet);
    let judged = portable.judge(0, &plain);
    let leaving = frame(GATEWAY, TWO.mac, &[], 0x0800, &packet);
    assert!(judged.leaving.contains(&(UPLINK, leaving)), "{judged:?}");
}

#[test]
fn fragments_and_icmp_errors_of_proxied_packets_are_forwarded() {
    let mut portable = gateway();
    learn(&mut portable, &[ANNA, FRED]);
    let mut first = udp(5000, 6000);
    first[4..6].copy_from_slice(&64u16.to_be_bytes());
    let first = fragment4(ANNA.v4, FRED.v4, 17, 0x2000, &first);
    let later = fragment4(ANNA.v4, FRED.v4, 17, 2, &[9; 24]);
    for packet in [&first, &later] {
        let judged = portable.judge(0, &frame(GATEWAY, ANNA.mac, ANNA.tags, 0x0800, packet));
        let expected = frame(FRED.mac, GATEWAY, FRED.tags, 0x0800, packet);
        assert_eq!(judged.leaving, [(0, expected)]);
    }
    let judged = portable.judge(0, &frame(GATEWAY, ANNA.mac, ANNA.tags, 0x0800, &later));
    assert_eq!(
        reason(&judged),
        Some(Reason::Fragment),
        "a fragment passes once"
    );

    let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&first[..28]);
    let error = v4(FRED.v4, ANNA.v4, 1, &message);
    let judged = portable.judge(0, &frame(GATEWAY, FRED.mac, FRED.tags, 0x0800, &error));
    let expected = frame(ANNA.mac, GATEWAY, ANNA.tags, 0x0800, &error);
    assert_eq!(judged.leaving, [(0, expected)]);
}

/// The egress port and the tags of each copy, sorted.
fn copies(judged: &Judged) -> Vec<(u16, Vec<u8>)> {
    let mut all: Vec<_> = judged
        .leaving
        .iter()
        .map(|(port, frame)| {
            let tags = match (frame[12], frame[16]) {
                (0x88, _) => 20,
                (0x81, _) => 16,
                _ => 12,
            };
            (*port, frame[12..tags].to_vec())
        })
        .collect();
    all.sort();
    all
}

fn at(port: u16, tags: &[(u16, u16)]) -> (u16, Vec<u8>) {
    let frame = frame(0, 0, tags, 0, &[]);
    (port, frame[12..frame.len() - 2].to_vec())
}

#[test]
fn a_flooded_frame_is_copied_to_every_attachment() {
    let packet = v4(ANNA.v4, u32::MAX, 17, &udp(5000, 6000));
    let send = |host: Host, tags: &[(u16, u16)]| frame(BROADCAST, host.mac, tags, 0x0800, &packet);
    let mut portable = gateway();
    let judged = portable.judge(0, &send(ANNA, &[(0x8100, 0xc000 | 301)]));
    let p = 0xc000;
    let all_others = [
        at(0, &[(0x8100, p | 302)]),
        at(0, &[(0x8100, p | 303)]),
        at(0, &[(0x88a8, p | 400), (0x8100, p | 401)]),
        at(1, &[(0x8100, p | 301)]),
        at(2, &[(0x8100, p | 310)]),
    ];
    assert_eq!(copies(&judged), all_others);
    for (_, copy) in &judged.leaving {
        assert_eq!(copy[..12], send(ANNA, &[])[..12]);
        assert!(copy.ends_with(&packet));
    }
    portable.set_posture(2);
    let judged = portable.judge(0, &send(ANNA, &[(0x8100, p | 301)]));
    assert_eq!(copies(&judged), all_others[..4], "inside");

    // From an attachment with two tags, whose priorities differ.
    let mut portable = gateway();
    let packet = v4(FRED.v4, u32::MAX, 17, &udp(5000, 6000));
    let tags = [(0x88a8, 0x2000 | 400), (0x8100, 0x4000 | 401)];
    let judged = portable.judge(0, &frame(BROADCAST, FRED.mac, &tags, 0x0800, &packet));
    let outer = 0x2000;
    let expected = [
        at(0, &[(0x8100, outer | 301)]),
        at(0, &[(0x8100, outer | 302)]),
        at(0, &[(0x8100, outer | 303)]),
        at(1, &[(0x8100, outer | 301)]),
        at(2, &[(0x8100, outer | 310)]),
    ];
    assert_eq!(copies(&judged), expected);
}

#[test]
fn a_proxied_frame_for_an_unseen_device_is_also_copied_to_its_ingress() {
    let mut portable = gateway();
    let judged = portable.judge(0, &datagram(ANNA, GATEWAY, BERT));
    // Not to the uplink: a listed device is never there.
    assert_eq!(judged.leaving.len(), usize::from(ATTACHED) - 1);
    assert!(copies(&judged).contains(&at(0, ANNA.tags)));
    for (port, copy) in &judged.leaving {
        assert_ne!(*port, UPLINK);
        assert_eq!(copy[..12], frame(BERT.mac, GATEWAY, &[], 0, &[])[..12]);
    }
    // A frame that is not proxied has no copy to its ingress.
    let judged = portable.judge(0, &datagram(ANNA, BERT.mac, BERT));
    assert!(!copies(&judged).contains(&at(0, ANNA.tags)));
}

#[test]
fn a_host_is_limited_in_copies_per_tick() {
    let mut portable = gateway();
    let packet = v4(ANNA.v4, u32::MAX, 17, &udp(5000, 6000));
    let flood = |host: Host| frame(BROADCAST, host.mac, host.tags, 0x0800, &packet);
    let floods = PortRate::COPIES / Limit::SHARE / u32::from(ATTACHED);
    for number in 0..floods {
        let judged = portable.judge(0, &flood(ANNA));
        assert_eq!(reason(&judged), None, "flood {number}");
    }
    let judged = portable.judge(0, &flood(ANNA));
    assert_eq!(reason(&judged), Some(Reason::FloodLimit));
    assert_eq!(judged.outcome.rule, 0);
    // Frames that are not flooded pass, and so do floods from another port.
    let judged = portable.judge(0, &arp(BROADCAST, ANNA, 1, ANNA.v4, BERT.v4));
    assert_eq!(reason(&judged), None);
    let packet = v4(EMIL.v4, u32::MAX, 17, &udp(5000, 6000));
    let other = frame(BROADCAST, EMIL.mac, EMIL.tags, 0x0800, &packet);
    assert_eq!(reason(&portable.judge(1, &other)), None);
    portable.memory.now += 1;
    assert_eq!(reason(&portable.judge(0, &flood(ANNA))), None);
}
