//! Events of traffic to groups: one when it begins, one when its policy or posture changes, and one at intervals; not one
//! for each packet.

#[allow(dead_code, unused_imports, reason = "each test file uses part of it")]
mod wire;

use cordon_portable::Portable;
use cordon_verdict::abi::EVENT_FLOW;
use cordon_verdict::{Ip, Mac};
use wire::*;

const GROUP: (Mac, u32) = (0x0100_5e7f_fffa, 0xefff_fffa);
const OTHER: (Mac, u32) = (0x0100_5e00_00fb, 0xe000_00fb);
const ALL: (Mac, u32) = (BROADCAST, u32::MAX);

/// Judges a packet to a group; returns the destinations of the emitted events.
fn emitted(portable: &mut Portable, (from, to): (Host, (Mac, u32)), protocol: u8) -> Vec<Ip> {
    portable.memory.events.clear();
    let packet = match protocol {
        17 => udp(5000, 6000),
        // An echo request.
        _ => vec![8, 0, 0, 0, 0, 7, 0, 1],
    };
    let packet = v4(from.v4, to.1, protocol, &packet);
    let judged = portable.judge(
        from.port,
        &frame(to.0, from.mac, from.tags, 0x0800, &packet),
    );
    assert!(judged.outcome.verdict.is_ok(), "{:?}", judged.outcome);
    let events = portable.memory.events.iter();
    events
        .map(|event| {
            assert_eq!(
                (event.kind, event.source_mac, event.destination_mac),
                (EVENT_FLOW, from.mac, to.0)
            );
            assert_eq!((event.source, event.protocol), (Ip::v4(from.v4), protocol));
            event.destination
        })
        .collect()
}

#[test]
fn traffic_to_a_group_emits_one_event_until_it_changes() {
    let mut portable = Portable::default();
    portable.install(generation(), 0);
    for protocol in [17, 1] {
        let [group, other, all] = [GROUP, OTHER, ALL].map(|(_, ip)| vec![Ip::v4(ip)]);
        let sent = |portable: &mut Portable, from, to| emitted(portable, (from, to), protocol);
        assert_eq!(sent(&mut portable, TWO, GROUP), group);
        for _ in 0..1000 {
            assert_eq!(sent(&mut portable, TWO, GROUP), []);
        }
        // Another sender, and another group.
        assert_eq!(sent(&mut portable, ONE, GROUP), group);
        assert_eq!(sent(&mut portable, TWO, GROUP), []);
        assert_eq!(sent(&mut portable, TWO, OTHER), other);
        assert_eq!(sent(&mut portable, TWO, ALL), all);
        assert_eq!(sent(&mut portable, TWO, ALL), []);
        // Another policy or posture.
        portable.set_posture(1);
        assert_eq!(sent(&mut portable, TWO, ALL), all);
        assert_eq!(sent(&mut portable, TWO, ALL), []);
        // One event every 64 ticks, so that the daemon knows which senders are still active.
        for _ in 0..3 {
            for _ in 0..63 {
                portable.memory.now += 1;
                assert_eq!(sent(&mut portable, TWO, ALL), []);
            }
            portable.memory.now += 1;
            assert_eq!(sent(&mut portable, TWO, ALL), all);
        }
        portable.set_posture(0);
    }
}

#[test]
fn an_event_that_found_the_ring_full_is_emitted_once_there_is_room() {
    let mut portable = Portable::default();
    portable.install(generation(), 0);
    for (to, others) in [(GROUP, OTHER), (ALL, GROUP)] {
        portable.memory.events_full = true;
        for _ in 0..3 {
            assert_eq!(emitted(&mut portable, (TWO, to), 17), []);
        }
        portable.memory.events_full = false;
        assert_eq!(emitted(&mut portable, (TWO, to), 17), [Ip::v4(to.1)]);
        assert_eq!(emitted(&mut portable, (TWO, to), 17), []);
        assert_eq!(
            emitted(&mut portable, (TWO, others), 17),
            [Ip::v4(others.1)]
        );
    }
}

#[test]
fn ipv6_groups_that_differ_in_scope_only_are_different() {
    let mut portable = Portable::default();
    portable.install(generation(), 0);
    for scope in [0x02, 0x05, 0x0e, 0x02] {
        let group = Ip {
            hi: (0xff00 | scope) << 48,
            lo: 0xfb,
        };
        let packet = v6_packet(TWO.v6, group, 17, 64, &udp(5353, 5353));
        let frame = frame(0x3333_0000_00fb, TWO.mac, TWO.tags, 0x86dd, &packet);
        portable.memory.events.clear();
        assert!(portable.judge(TWO.port, &frame).outcome.verdict.is_ok());
        let emitted = portable.memory.events.iter().map(|event| event.destination);
        assert_eq!(emitted.collect::<Vec<_>>(), [group]);
    }
}
