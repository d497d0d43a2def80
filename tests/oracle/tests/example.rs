//! The example policy, frame by frame, as a person who reads it would expect.

use std::path::Path;

use cordon_oracle::{Decided, Leaves, Oracle};
use cordon_policy::{Attachment, Date, Policy, Posture, load};
use cordon_verdict::Reason;

const ACCESS: usize = 0;
const CORE: usize = 1;
const CT: [u8; 6] = [0x02, 0x00, 0x5e, 0x21, 0x00, 0x11];
const MONITOR: [u8; 6] = [0x02, 0x00, 0x5e, 0x22, 0x00, 0x11];
const ROUTER: [u8; 6] = [0x02, 0, 0, 0, 0, 0xfe];

fn example() -> Policy {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../control/policy/examples/manchester-memorial");
    load(&path).expect("is a policy").policy
}

fn oracle(posture: Posture) -> Oracle {
    let mut oracle = Oracle::new(Date::new(2026, 6, 15).expect("is a day"));
    oracle.install(example(), posture);
    oracle
}

fn rule(name: &str) -> Decided {
    let rules = example().rules;
    let index = rules.iter().position(|rule| rule.name == name);
    Decided::Rule(index.expect("is there"))
}

/// A tagged frame with priority 5.
fn frame(macs: ([u8; 6], [u8; 6]), vlan: u16, packet: &[u8]) -> Vec<u8> {
    let mut out = [macs.1, macs.0].concat();
    out.extend([0x81, 0x00]);
    out.extend((0xa000 | vlan).to_be_bytes());
    out.extend([0x08, 0x00]);
    out.extend(packet);
    out
}

fn ip(protocol: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut out = vec![
        0x45,
        0,
        0,
        20 + payload.len() as u8,
        0,
        0,
        0,
        0,
        64,
        protocol,
        0,
        0,
    ];
    out.extend(from);
    out.extend(to);
    out.extend(payload);
    out
}

fn tcp(from: u16, to: u16, flags: u8) -> Vec<u8> {
    let mut out = [from.to_be_bytes(), to.to_be_bytes()].concat();
    out.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
    out
}

fn udp(from: u16, to: u16) -> Vec<u8> {
    let mut out = [from.to_be_bytes(), to.to_be_bytes()].concat();
    out.extend([0, 8, 0, 0]);
    out
}

const OF_CT: [u8; 4] = [10, 21, 0, 11];
const OF_PACS: [u8; 4] = [10, 200, 4, 10];

fn image() -> Vec<u8> {
    let packet = ip(6, OF_CT, OF_PACS, &tcp(40000, 104, 2));
    frame((CT, ROUTER), 210, &packet)
}

#[test]
fn before_any_policy_nothing_passes() {
    let mut oracle = Oracle::new(Date::new(2026, 6, 15).expect("is a day"));
    assert_eq!(
        oracle.judge(Some(ACCESS), &image()).verdict,
        Err(Reason::NoPolicy)
    );
}

#[test]
fn emergency_imaging_survives_lockdown_and_not_sever() {
    for posture in Posture::ALL {
        let answer = oracle(posture).judge(Some(ACCESS), &image());
        assert_eq!(answer.rule, rule("ct-to-pacs"), "{posture}");
        match posture {
            Posture::Sever => assert_eq!(answer.verdict, Err(Reason::Posture)),
            // Nobody has been heard yet: to wherever the segment is attached.
            _ => assert_eq!(answer.leaving, [(CORE, image())], "{posture}"),
        }
    }
}

#[test]
fn what_is_heard_is_answered_where_it_was_heard() {
    let mut oracle = oracle(Posture::Lockdown);
    oracle.judge(Some(ACCESS), &image());
    let packet = ip(6, OF_PACS, OF_CT, &tcp(104, 40000, 0x12));
    let answer = oracle.judge(Some(CORE), &frame((ROUTER, CT), 210, &packet));
    let access = Attachment {
        port: ACCESS,
        vlan: 210,
        inner: 0,
    };
    assert_eq!(answer.verdict, Ok(Leaves::By(access)));
    // It answers; it opens nothing.
    let packet = ip(6, OF_PACS, OF_CT, &tcp(104, 40000, 2));
    let answer = oracle.judge(Some(CORE), &frame((ROUTER, CT), 210, &packet));
    assert_eq!(answer.verdict, Err(Reason::NoRule));
}

#[test]
fn the_vendor_is_gone_at_watch() {
    let packet = ip(6, [192, 0, 2, 7], OF_CT, &tcp(50000, 22, 2));
    let vendor = frame((ROUTER, CT), 210, &packet);
    let answer = oracle(Posture::Normal).judge(Some(CORE), &vendor);
    assert_eq!(answer.rule, rule("vendor-support"));
    // The scanner is listed: whoever is at the uplink under its name is not it, so inside only.
    assert_eq!(
        answer.verdict,
        Ok(Leaves::Flood {
            segment: 0,
            inside: true
        })
    );
    let answer = oracle(Posture::Watch).judge(Some(CORE), &vendor);
    assert_eq!(answer.verdict, Err(Reason::Posture));
    assert_eq!(answer.rule, rule("vendor-support"));
}

#[test]
fn what_a_monitor_announces_goes_to_all_of_its_segment() {
    let packet = ip(17, [10, 22, 0, 11], [10, 22, 0, 255], &udp(24005, 24005));
    let announcement = frame((MONITOR, [0xff; 6]), 220, &packet);
    let answer = oracle(Posture::Lockdown).judge(Some(ACCESS), &announcement);
    assert_eq!(answer.leaving, [(CORE, announcement.clone())]);
    // By somebody else's address.
    let packet = ip(17, [10, 22, 0, 12], [10, 22, 0, 255], &udp(24005, 24005));
    let spoofed = frame((MONITOR, [0xff; 6]), 220, &packet);
    let answer = oracle(Posture::Lockdown).judge(Some(ACCESS), &spoofed);
    assert_eq!(answer.verdict, Err(Reason::AddressBinding));
}
