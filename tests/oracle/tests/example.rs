//! The example policy, frame by frame: the oracle decides as a reader of the policy expects.

use std::path::Path;

use cordon_oracle::{Forwarded, MatchedRule, Oracle};
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

fn rule(name: &str) -> MatchedRule {
    let rules = example().rules;
    let index = rules.iter().position(|rule| rule.name == name);
    MatchedRule::Rule(index.expect("is there"))
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

const CT_IP: [u8; 4] = [10, 21, 0, 11];
const PACS_IP: [u8; 4] = [10, 200, 4, 10];

fn image() -> Vec<u8> {
    let packet = ip(6, CT_IP, PACS_IP, &tcp(40000, 104, 2));
    frame((CT, ROUTER), 210, &packet)
}

#[test]
fn every_frame_is_dropped_before_there_is_a_policy() {
    let mut oracle = Oracle::new(Date::new(2026, 6, 15).expect("is a day"));
    assert_eq!(
        oracle.judge(Some(ACCESS), &image()).verdict,
        Err(Reason::NoPolicy)
    );
}

#[test]
fn emergency_imaging_passes_at_every_posture_but_sever() {
    for posture in Posture::ALL {
        let answer = oracle(posture).judge(Some(ACCESS), &image());
        assert_eq!(answer.rule, rule("ct-to-pacs"), "{posture}");
        match posture {
            Posture::Sever => assert_eq!(answer.verdict, Err(Reason::Posture)),
            // No station is learned yet: the frame is flooded.
            _ => assert_eq!(answer.leaving, [(CORE, image())], "{posture}"),
        }
    }
}

#[test]
fn an_answer_goes_to_the_attachment_where_its_receiver_was_learned() {
    let mut oracle = oracle(Posture::Lockdown);
    oracle.judge(Some(ACCESS), &image());
    let packet = ip(6, PACS_IP, CT_IP, &tcp(104, 40000, 0x12));
    let answer = oracle.judge(Some(CORE), &frame((ROUTER, CT), 210, &packet));
    let access = Attachment {
        port: ACCESS,
        vlan: 210,
        inner: 0,
    };
    assert_eq!(answer.verdict, Ok(Forwarded::Unicast(access)));
    // The archive may answer, but not open a connection.
    let packet = ip(6, PACS_IP, CT_IP, &tcp(104, 40000, 2));
    let answer = oracle.judge(Some(CORE), &frame((ROUTER, CT), 210, &packet));
    assert_eq!(answer.verdict, Err(Reason::NoRule));
}

#[test]
fn vendor_support_ends_at_watch() {
    let packet = ip(6, [192, 0, 2, 7], CT_IP, &tcp(50000, 22, 2));
    let vendor = frame((ROUTER, CT), 210, &packet);
    let answer = oracle(Posture::Normal).judge(Some(CORE), &vendor);
    assert_eq!(answer.rule, rule("vendor-support"));
    // The CT is a listed device, so a frame to it is never flooded to an uplink.
    assert_eq!(
        answer.verdict,
        Ok(Forwarded::Flood {
            segment: 0,
            inside: true
        })
    );
    let answer = oracle(Posture::Watch).judge(Some(CORE), &vendor);
    assert_eq!(answer.verdict, Err(Reason::Posture));
    assert_eq!(answer.rule, rule("vendor-support"));
}

#[test]
fn a_monitors_announcement_is_flooded_in_its_segment() {
    let packet = ip(17, [10, 22, 0, 11], [10, 22, 0, 255], &udp(24005, 24005));
    let announcement = frame((MONITOR, [0xff; 6]), 220, &packet);
    let answer = oracle(Posture::Lockdown).judge(Some(ACCESS), &announcement);
    assert_eq!(answer.leaving, [(CORE, announcement.clone())]);
    // With the address of another monitor.
    let packet = ip(17, [10, 22, 0, 12], [10, 22, 0, 255], &udp(24005, 24005));
    let spoofed = frame((MONITOR, [0xff; 6]), 220, &packet);
    let answer = oracle(Posture::Lockdown).judge(Some(ACCESS), &spoofed);
    assert_eq!(answer.verdict, Err(Reason::AddressBinding));
}
