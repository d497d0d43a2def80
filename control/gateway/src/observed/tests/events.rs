//! What is recorded of observed segments, from events.

use cordon_verdict::{Ip, Mac, abi};

use super::site::{At, GUEST, ROUTER, RULES, Site, TV, VISITOR, WORLD};
use crate::observed::ShadowVerdict;

#[test]
fn an_event_has_the_verdict_of_the_shadow_policy() {
    let site = Site::new();
    let active = site.active();
    let number = |name: &str| {
        (0..99)
            .find(|number| active.rule(*number) == Some(name))
            .expect("is one")
    };
    let event = |rule: &str, port: u16| abi::Event {
        kind: abi::EVENT_FLOW,
        rule: number(rule),
        protocol: 6,
        source: Ip::v4(u32::from_be_bytes(VISITOR.ip)),
        destination: Ip::v4(u32::from_be_bytes(WORLD.ip)),
        source_port: 50_000,
        destination_port: port,
        source_mac: VISITOR.mac,
        destination_mac: WORLD.mac,
        location: abi::location(0, GUEST, 0),
        segment: site.number("guest"),
        ..abi::Event::BLANK
    };
    let record_event = |event: &abi::Event| {
        site.observed
            .record_event(event, &active)
            .map(|(_, verdict)| verdict)
    };
    let smb = number("no-smb");
    for (rule, port, want) in [
        ("observe:guest", 445, Some(ShadowVerdict::Drops(smb))),
        ("observe:guest", 25, Some(ShadowVerdict::Drops(0))),
        (
            "observe:guest",
            443,
            Some(ShadowVerdict::Allows(number("guest-web"))),
        ),
        ("guest-web", 443, None),
    ] {
        assert_eq!(record_event(&event(rule, port)), want, "{rule} {port}");
    }
    // Events are recorded even if the flow table has removed the flow since.
    assert_eq!(site.conversations(&[]).len(), 2);
}

#[test]
fn packets_to_groups_are_recorded_by_sender() {
    let site = Site::new();
    let active = site.active();
    let event = |from: At, ip: [u8; 4], group: [u8; 4], mac: Mac, ports: [u16; 2]| abi::Event {
        kind: abi::EVENT_FLOW,
        rule: (0..99)
            .find(|number| active.rule(*number) == Some("observe:guest"))
            .expect("is one"),
        protocol: 17,
        source: Ip::v4(u32::from_be_bytes(ip)),
        destination: Ip::v4(u32::from_be_bytes(group)),
        source_port: ports[0],
        destination_port: ports[1],
        source_mac: from.mac,
        destination_mac: mac,
        location: abi::location((from.mac == ROUTER).into(), GUEST, 0),
        segment: site.number("guest"),
        ..abi::Event::BLANK
    };
    let discovery = [239, 255, 255, 250];
    for event in [
        event(TV, TV.ip, discovery, 0x0100_5e7f_fffa, [50_000, 3702]),
        event(TV, [0; 4], [255; 4], 0xffff_ffff_ffff, [68, 67]),
        event(VISITOR, [0; 4], [255; 4], 0xffff_ffff_ffff, [68, 67]),
        event(
            VISITOR,
            VISITOR.ip,
            [10, 29, 0, 255],
            0xffff_ffff_ffff,
            [138, 138],
        ),
        event(WORLD, WORLD.ip, discovery, 0x0100_5e7f_fffa, [50_000, 1900]),
    ] {
        let verdict = site
            .observed
            .record_event(&event, &active)
            .map(|(_, verdict)| verdict);
        assert_eq!(verdict, Some(ShadowVerdict::Drops(0)), "{event:?}");
    }
    let listed = site.conversations(&[]);
    assert_eq!(
        listed,
        [
            "0.0.0.0 255.255.255.255 udp/67 - 1",
            "10.29.0.50 10.29.0.255 udp/138 - 1",
            "198.51.100.7 239.255.255.250 udp/1900 - 1",
            "tv 239.255.255.250 udp/3702 - 1",
            "tv 255.255.255.255 udp/67 - 1",
        ]
    );
    assert_eq!(site.observed.by_device().get("tv"), Some(&2));

    // What rules allow is removed, also for senders without an address.
    let rules =
        format!("{RULES}  - {{name: addresses, from: guest, to: broadcast, service: udp/67}}\n");
    site.apply("observe", &rules);
    site.observed.reevaluate(&site.active());
    let left = site.conversations(&[]);
    assert_eq!(left, listed[1..4]);
}
