//! Frames with two tags, one and none, at the ingress and at the egress.

#[allow(dead_code, reason = "each test file uses part of it")]
mod wire;

use cordon_portable::Portable;
use cordon_verdict::Reason;
use cordon_verdict::abi::{STACKED, attachment, location};
use wire::*;

fn gateway() -> Portable {
    let mut portable = Portable::default();
    portable.install(generation(), 0);
    portable
}

fn reason(portable: &mut Portable, port: u16, frame: &[u8]) -> Option<Reason> {
    portable.judge(port, frame).outcome.verdict.err()
}

#[test]
fn accepted_and_refused_tag_stacks() {
    let packet = v4(TWO.v4, ONE.v4, 17, &udp(1, 2));
    let with = |tags: &[(u16, u16)]| frame(ONE.mac, TWO.mac, tags, 0x0800, &packet);
    let cut = |tags: &[(u16, u16)], length| with(tags)[..length].to_vec();
    let (stack, truncated) = (Some(Reason::VlanStack), Some(Reason::Truncated));
    let unknown = Some(Reason::UnknownAttachment);
    let cases: &[(&str, Vec<u8>, Option<Reason>)] = &[
        ("a service and a customer tag", with(TWO.tags), None),
        ("cut in the inner tag", cut(TWO.tags, 19), truncated),
        ("cut after the inner tag", cut(TWO.tags, 21), truncated),
        ("cut after the service tag", cut(TWO.tags, 17), truncated),
        ("a service tag alone", with(&[(0x88a8, 100)]), stack),
        (
            "a service tag inside a customer tag",
            with(&[(0x8100, 100), (0x88a8, 210)]),
            stack,
        ),
        (
            "two service tags",
            with(&[(0x88a8, 100), (0x88a8, 210)]),
            stack,
        ),
        (
            "VLAN 0 outside",
            with(&[(0x88a8, 0x2000), (0x8100, 210)]),
            stack,
        ),
        ("VLAN 0 inside", with(&[(0x88a8, 100), (0x8100, 0)]), stack),
        (
            "three tags",
            with(&[(0x88a8, 100), (0x8100, 210), (0x8100, 3)]),
            stack,
        ),
        (
            "a service tag as the third",
            with(&[(0x88a8, 100), (0x8100, 210), (0x88a8, 3)]),
            stack,
        ),
        (
            "an outer tag of another type than configured",
            with(&[(0x8100, 100), (0x8100, 210)]),
            unknown,
        ),
        (
            "another inner VLAN",
            with(&[(0x88a8, 100), (0x8100, 211)]),
            unknown,
        ),
        (
            "another outer VLAN",
            with(&[(0x88a8, 101), (0x8100, 210)]),
            unknown,
        ),
        ("the outer VLAN alone", with(&[(0x8100, 100)]), unknown),
        (
            "the gateway's MAC address as the source",
            frame(ONE.mac, GATEWAY, TWO.tags, 0x0800, &packet),
            Some(Reason::SourceMac),
        ),
    ];
    for (what, frame, expected) in cases {
        let mut portable = gateway();
        assert_eq!(reason(&mut portable, 0, frame), *expected, "{what}");
    }
}

#[test]
fn a_port_can_have_customer_tags_as_outer_tags() {
    let mut portable = Portable::default();
    portable.install(with_customer_tags(generation()), 0);
    let packet = v4(TWO.v4, ONE.v4, 17, &udp(1, 2));
    let with_outer = |kind| {
        frame(
            ONE.mac,
            TWO.mac,
            &[(kind, 100), (0x8100, 210)],
            0x0800,
            &packet,
        )
    };
    assert_eq!(reason(&mut portable, 0, &with_outer(0x8100)), None);
    let unknown = Some(Reason::UnknownAttachment);
    assert_eq!(reason(&mut portable, 0, &with_outer(0x88a8)), unknown);
    // Frames that leave there have that type too.
    let back = frame(
        TWO.mac,
        ONE.mac,
        ONE.tags,
        0x0800,
        &v4(ONE.v4, TWO.v4, 17, &udp(2, 1)),
    );
    let leaving = portable.judge(1, &back).leaving;
    assert_eq!(leaving.len(), 1);
    assert_eq!(leaving[0].1[12..20], [0x81, 0, 0, 100, 0x81, 0, 0, 210]);
}

/// From every number of tags to every number: flooded, to a learned station, and in an established flow.
#[test]
fn frames_leave_with_the_tags_of_their_egress() {
    const OUTER: u16 = 0xb000;
    const INNER: u16 = 0x7000;
    let priorities = [OUTER, INNER];
    for from in [TWO, ONE, NONE] {
        for to in [TWO, ONE, NONE] {
            if from.mac == to.mac {
                continue;
            }
            let tags_in: Vec<(u16, u16)> = from
                .tags
                .iter()
                .zip(priorities)
                .map(|((kind, vlan), priority)| (*kind, vlan | priority))
                .collect();
            let outermost = if tags_in.is_empty() { 0 } else { OUTER };
            let inner = if tags_in.len() == 2 { INNER } else { outermost };
            let tags_out: Vec<(u16, u16)> = to
                .tags
                .iter()
                .zip([outermost, inner])
                .map(|((kind, vlan), priority)| (*kind, vlan | priority))
                .collect();
            let packet = v4(from.v4, to.v4, 17, &udp(5000, 6000));
            let sent = frame(to.mac, from.mac, &tags_in, 0x0800, &packet);
            let expected = (to.port, frame(to.mac, from.mac, &tags_out, 0x0800, &packet));

            let mut portable = gateway();
            let what = format!("{} tags to {}", from.tags.len(), to.tags.len());
            let flooded = portable.judge(from.port, &sent).leaving;
            let inside = usize::from(to.port != UPLINK && from.port != UPLINK);
            assert!(flooded.contains(&expected), "{what}: {flooded:x?}");
            assert_eq!(flooded.len(), 2 - inside, "{what}");
            let answer = v4(to.v4, from.v4, 17, &udp(6000, 5000));
            let answer = frame(from.mac, to.mac, to.tags, 0x0800, &answer);
            assert_eq!(portable.judge(to.port, &answer).leaving.len(), 1, "{what}");
            for turn in 0..2 {
                let leaving = portable.judge(from.port, &sent).leaving;
                assert_eq!(
                    leaving,
                    std::slice::from_ref(&expected),
                    "{what}, turn {turn}"
                );
            }
        }
    }
}

#[test]
fn a_priority_tag_gives_its_priority_to_the_egress_tags() {
    let mut portable = gateway();
    let packet = v4(NONE.v4, ONE.v4, 17, &udp(1, 2));
    let sent = frame(ONE.mac, NONE.mac, &[(0x8100, 0xe000)], 0x0800, &packet);
    let leaving = portable.judge(UPLINK, &sent).leaving;
    let two = [(0x88a8, 0xe000 | 100), (0x8100, 0xe000 | 210)];
    let expected = [
        (0, frame(ONE.mac, NONE.mac, &two, 0x0800, &packet)),
        (
            1,
            frame(
                ONE.mac,
                NONE.mac,
                &[(0x8100, 0xe000 | 210)],
                0x0800,
                &packet,
            ),
        ),
    ];
    assert_eq!(leaving, expected);
}

/// The FDB keeps the L2 location of a station, not its attachment's number, which the next generation may change.
#[test]
fn numbers_change_with_the_generation_and_stations_do_not() {
    let mut portable = gateway();
    assert_eq!(reason(&mut portable, 0, &datagram(TWO, ONE.mac, ONE)), None);
    let mut other = generation();
    let here = location(0, 100, 210);
    let number = STACKED + 40;
    other.stacks.insert(here, number);
    let admission = other.admissions.remove(&STACKED).expect("was attached");
    other.admissions.insert(number, admission);
    other.floods.insert((PLAIN, 0), number);
    portable.install(other, 0);
    let leaving = portable.judge(1, &datagram(ONE, TWO.mac, TWO)).leaving;
    let packet = v4(ONE.v4, TWO.v4, 17, &udp(5000, 6000));
    let expected = frame(TWO.mac, ONE.mac, TWO.tags, 0x0800, &packet);
    assert_eq!(leaving, [(0, expected)]);

    // The policy has no attachment at the station's location: the frame is flooded in the segment.
    let mut without = generation();
    without.stacks.remove(&here);
    without.admissions.remove(&STACKED);
    without.floods.insert((PLAIN, 0), attachment(0, 5));
    let admission = without.admissions[&attachment(1, 210)];
    without.admissions.insert(attachment(0, 5), admission);
    portable.install(without, 0);
    let leaving = portable.judge(1, &datagram(ONE, TWO.mac, TWO)).leaving;
    let expected = frame(TWO.mac, ONE.mac, &[(0x8100, 5)], 0x0800, &packet);
    assert_eq!(leaving, [(0, expected)]);
}

#[test]
fn events_name_the_ingress_by_l2_location() {
    let mut portable = gateway();
    portable.judge(0, &datagram(TWO, ONE.mac, ONE));
    let unknown = [(0x88a8, 5), (0x8100, 6)];
    portable.judge(0, &frame(ONE.mac, TWO.mac, &unknown, 0x0800, &[]));
    let locations: Vec<u32> = portable
        .memory
        .events
        .iter()
        .map(|event| event.location)
        .collect();
    assert_eq!(locations, [location(0, 100, 210), location(0, 5, 6)]);
}
