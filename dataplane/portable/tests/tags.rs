//! Two tags, one and none: what comes in, and what leaves.

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
fn what_tags_may_be_on_a_frame() {
    let packet = v4(TWO.v4, ONE.v4, 17, &udp(1, 2));
    let with = |tags: &[(u16, u16)]| frame(ONE.mac, TWO.mac, tags, 0x0800, &packet);
    let short = |tags: &[(u16, u16)], length| with(tags)[..length].to_vec();
    let (stack, truncated) = (Some(Reason::VlanStack), Some(Reason::Truncated));
    let unknown = Some(Reason::UnknownAttachment);
    let cases: &[(&str, Vec<u8>, Option<Reason>)] = &[
        ("a service and a customer tag", with(TWO.tags), None),
        ("cut in the inner tag", short(TWO.tags, 19), truncated),
        ("cut behind the inner tag", short(TWO.tags, 21), truncated),
        ("cut behind the service tag", short(TWO.tags, 17), truncated),
        ("a service tag alone", with(&[(0x88a8, 100)]), stack),
        (
            "a service tag behind a customer's",
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
            "the outer tag as another type than is set",
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
            "the gateway's MAC address for a source",
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
fn a_port_may_be_set_to_customer_tags_outside() {
    let mut portable = Portable::default();
    portable.install(with_customer_tags(generation()), 0);
    let packet = v4(TWO.v4, ONE.v4, 17, &udp(1, 2));
    let outside = |kind| {
        frame(
            ONE.mac,
            TWO.mac,
            &[(kind, 100), (0x8100, 210)],
            0x0800,
            &packet,
        )
    };
    assert_eq!(reason(&mut portable, 0, &outside(0x8100)), None);
    let unknown = Some(Reason::UnknownAttachment);
    assert_eq!(reason(&mut portable, 0, &outside(0x88a8)), unknown);
    // What leaves there has that type, too.
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

/// Every number of tags in, every number out, by its own way and by flooding, established and not.
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
            let came: Vec<(u16, u16)> = from
                .tags
                .iter()
                .zip(priorities)
                .map(|((kind, vlan), priority)| (*kind, vlan | priority))
                .collect();
            let outermost = if came.is_empty() { 0 } else { OUTER };
            let inner = if came.len() == 2 { INNER } else { outermost };
            let leaves: Vec<(u16, u16)> = to
                .tags
                .iter()
                .zip([outermost, inner])
                .map(|((kind, vlan), priority)| (*kind, vlan | priority))
                .collect();
            let packet = v4(from.v4, to.v4, 17, &udp(5000, 6000));
            let sent = frame(to.mac, from.mac, &came, 0x0800, &packet);
            let expected = (to.port, frame(to.mac, from.mac, &leaves, 0x0800, &packet));

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
fn a_priority_tag_is_no_vlan_but_is_a_tag() {
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

/// A station is known by where it is, not by what number that had when it was learned.
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

    // A policy that does not know the place: it is flooded to where the segment is.
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
fn events_say_where_it_came_in_by_place() {
    let mut portable = gateway();
    portable.judge(0, &datagram(TWO, ONE.mac, ONE));
    let unknown = [(0x88a8, 5), (0x8100, 6)];
    portable.judge(0, &frame(ONE.mac, TWO.mac, &unknown, 0x0800, &[]));
    let places: Vec<u32> = portable
        .memory
        .events
        .iter()
        .map(|event| event.location)
        .collect();
    assert_eq!(places, [location(0, 100, 210), location(0, 5, 6)]);
}
