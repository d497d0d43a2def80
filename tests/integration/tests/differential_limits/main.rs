//! Rate limits, timeouts and frames without headroom, which generated frames do not reach: on all three sides where the
//! kernel's clock allows it, or else in user space and by the oracle.

mod timeouts;
mod user_space;

use std::net::IpAddr;

use cordon_integration::differential::{
    COPIES_ARE_NOT_COUNTED, Kernel, RESERVE_IS_NOT_KEPT, Sides, Verdict, in_namespace, in_one_tick,
};
use cordon_integration::generate::frame::{self, BROADCAST, TCP, UDP};
use cordon_policy::{Mac, Policy, Posture, Sources, from_sources};
use cordon_verdict::Reason;

const PUMP: Mac = Mac([2, 0, 0, 0, 0, 1]);
const SERVER: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn policy() -> Policy {
    let site = "site: s
ports:
  p0: {device: p0, storm: 20}
  p1: {device: p1, storm: 0}
  p2: {device: p2, uplink: true, storm: 0}
segments:
  wards: {attach: [p0.10, p1.10, p2.10], subnets: [10.1.0.0/16, \"2001:db8:1::/64\"]}
  guests: {attach: [p0, p1.20], subnets: [10.2.0.0/16], unknown: admit}
  rooms: {attach: [p1.31, p1.32, p1.33, p1.100.34], subnets: [10.3.0.0/16], unknown: admit}
";
    let devices = "name,mac,ips,segment
pump,02:00:00:00:00:01,10.1.0.1 2001:db8:1::1,wards
server,02:00:00:00:00:02,10.1.0.2 2001:db8:1::2,wards
bed,02:00:00:00:00:03,10.3.0.3,rooms
";
    let sources = Sources {
        site: site.to_owned(),
        policy: Some("rules: []\n".to_owned()),
        devices: Some(devices.to_owned()),
    };
    from_sources(&sources).expect("the policy is valid").policy
}

fn packet(
    vlan: Option<u16>,
    from: (Mac, &str),
    to: (Mac, &str),
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let ip = |text: &str| text.parse::<IpAddr>().expect("the address is valid");
    let (ether_type, packet) = frame::ip(ip(from.1), ip(to.1), protocol, 64, payload);
    frame::ethernet(to.0, from.0, vlan, ether_type, &packet)
}

/// From the pump to the server.
fn datagram(ports: (u16, u16)) -> Vec<u8> {
    let (from, to) = ((PUMP, "10.1.0.1"), (SERVER, "10.1.0.2"));
    packet(Some(10), from, to, UDP, &frame::udp(ports, b"dose"))
}

fn reply(ports: (u16, u16)) -> Vec<u8> {
    let (from, to) = ((SERVER, "10.1.0.2"), (PUMP, "10.1.0.1"));
    packet(Some(10), from, to, UDP, &frame::udp(ports, b"ack"))
}

fn arp_request(from: (Mac, [u8; 4])) -> Vec<u8> {
    let request = frame::arp(
        1,
        (from.0, from.1.into()),
        (Mac([0; 6]), [10, 1, 0, 2].into()),
    );
    frame::ethernet(BROADCAST, from.0, None, 0x0806, &request)
}

/// An untagged frame, with the tag of VLAN 10.
fn on_vlan_10(mut frame: Vec<u8>) -> Vec<u8> {
    frame.splice(12..12, [0x81, 0x00, 0, 10]);
    frame
}

/// All three sides, with the policy.
fn all_sides(name: &str) -> Sides {
    let mut sides = Sides::new(Some(Kernel::open(name)), None);
    sides.install(&policy(), Posture::Normal);
    sides
}

/// User space and oracle, whose clock can be set.
fn user_space_and_oracle() -> Sides {
    let mut sides = Sides::new(None, None);
    sides.install(&policy(), Posture::Normal);
    sides
}

fn verdict(sides: &mut Sides, port: u16, frame: &[u8]) -> Result<Verdict, String> {
    let decision = sides.judge(port, frame);
    decision
        .map(|decision| decision.verdict)
        .map_err(|difference| difference.to_string())
}

/// The verdict, where the sides must agree at once.
fn agreed(sides: &mut Sides, port: u16, frame: &[u8]) -> Verdict {
    verdict(sides, port, frame).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn passes(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Leaves { .. } | Verdict::Flood { .. })
}

fn check(verdict: &Verdict, passes_now: bool, reason: Reason, number: usize) -> Result<(), String> {
    match (passes_now, verdict) {
        (true, verdict) if passes(verdict) => Ok(()),
        (false, verdict) if *verdict == Verdict::Drop(reason) => Ok(()),
        (_, other) => Err(format!("frame {number}: {other:?}")),
    }
}

type Step = fn(&mut Sides);

/// All with one kernel side, because it is slow to load the program.
#[test]
fn kernel_user_space_and_oracle_agree_at_the_limits() {
    in_namespace(|| {
        let mut sides = all_sides("limits");
        let steps: [(&str, Step); 7] = [
            ("storm control limits a tick", storm),
            (
                "a port learns a limited number of hosts a tick",
                unlisted_hosts,
            ),
            (
                "later fragments do not pass after a change of posture",
                fragments_and_postures,
            ),
            ("headers beyond the parsed part are refused", far_headers),
            ("a host opens a limited number of flows a tick", many_flows),
            ("copies made one by one are limited", copies),
            ("a throttled host opens no flows", throttled),
        ];
        for (name, step) in steps {
            println!("{name}");
            step(&mut sides);
        }
    });
}

fn storm(sides: &mut Sides) {
    for _ in 0..2 {
        in_one_tick(sides, |sides, _| {
            // 20 a second are 21.47 a tick, of which one host may send a quarter, and unlisted hosts together half.
            for (host, most) in [(1, 5), (2, 4), (3, 1), (4, 0)] {
                let request = arp_request((Mac([2, 0, 0, 0, 1, host]), [10, 2, 1, host]));
                for number in 0..most + 3 {
                    let verdict = verdict(sides, 0, &request)?;
                    check(&verdict, number < most, Reason::Storm, number)?;
                    // The second host stops before its part is used up.
                    if host == 2 && number + 1 == most {
                        break;
                    }
                }
            }
            // The other half is for listed devices.
            let listed = on_vlan_10(arp_request((PUMP, [10, 1, 0, 1])));
            for number in 0..8 {
                let verdict = verdict(sides, 0, &listed)?;
                check(&verdict, number < 5, Reason::Storm, number)?;
            }
            // Dropped frames do not count.
            let foreign = arp_request((Mac([2, 0, 0, 0, 1, 7]), [10, 9, 9, 9]));
            check(
                &verdict(sides, 0, &foreign)?,
                false,
                Reason::AddressBinding,
                7,
            )?;
            // Unicast frames do not count, and every port has its own limit.
            let unicast = datagram((1, 2));
            check(&verdict(sides, 0, &unicast)?, true, Reason::Storm, 12)?;
            let elsewhere = on_vlan_10(arp_request((SERVER, [10, 1, 0, 2])));
            check(&verdict(sides, 1, &elsewhere)?, true, Reason::Storm, 13)
        });
    }
}

fn unlisted_hosts(sides: &mut Sides) {
    in_one_tick(sides, |sides, attempt| {
        let unlisted = |number: u8| {
            let (mac, ip) = (
                Mac([2, 7, attempt, 0, 0, number]),
                format!("10.2.{attempt}.{number}"),
            );
            let payload = frame::udp((1, 2), b"hello");
            packet(
                Some(20),
                (mac, &ip),
                (Mac([2, 7, 7, 7, 7, 7]), "10.2.200.1"),
                UDP,
                &payload,
            )
        };
        for number in 1..=70 {
            let verdict = verdict(sides, 1, &unlisted(number))?;
            check(&verdict, number <= 64, Reason::StationLimit, number.into())?;
        }
        // Hosts that are learned by now still pass; so do devices.
        for known in [unlisted(1), unlisted(64)] {
            check(&verdict(sides, 1, &known)?, true, Reason::StationLimit, 1)?;
        }
        check(
            &verdict(sides, 1, &reply((2, 1)))?,
            true,
            Reason::StationLimit,
            0,
        )
    });
}

fn many_flows(sides: &mut Sides) {
    in_one_tick(sides, |sides, attempt| {
        for number in 0..4100u16 {
            let port = u16::from(attempt) * 5000 + number;
            let verdict = verdict(sides, 0, &datagram((port, 9)))?;
            check(&verdict, number < 4096, Reason::FlowLimit, number.into())?;
        }
        // Existing flows pass, and an answer opens no flow.
        let port = u16::from(attempt) * 5000;
        for (ingress, frame) in [(0, datagram((port, 9))), (1, reply((9, port)))] {
            check(
                &verdict(sides, ingress, &frame)?,
                true,
                Reason::FlowLimit,
                4200,
            )?;
        }
        Ok(())
    });
}

/// The copies that a port may cause within a tick, and the number that one broadcast in the rooms counts as.
const COPIES: usize = 65536;
const ROOMS: usize = 4;
/// The broadcasts of one host in the rooms: a quarter of the limit.
const SHARE: usize = COPIES / ROOMS / 4;
/// The unlisted hosts that use half of the limit up together.
const UNLISTED: usize = 2;

/// A broadcast of an unlisted host in the rooms.
fn to_all_rooms(number: usize) -> Vec<u8> {
    let host = Mac([2, 0, 0, 0, 2, number as u8]);
    broadcast_in_rooms(host, [10, 3, 1, number as u8])
}

fn broadcast_in_rooms(host: Mac, ip: [u8; 4]) -> Vec<u8> {
    let target = (Mac([0; 6]), [10, 3, 0, 2].into());
    let request = frame::arp(1, (host, ip.into()), target);
    frame::ethernet(BROADCAST, host, Some(31), 0x0806, &request)
}

fn copies(sides: &mut Sides) {
    in_one_tick(sides, |sides, _| {
        let bed = broadcast_in_rooms(Mac([2, 0, 0, 0, 0, 3]), [10, 3, 0, 3]);
        let unlisted = (0..=UNLISTED).map(|host| {
            let most = if host < UNLISTED { SHARE } else { 0 };
            (to_all_rooms(host), most)
        });
        // The other half is for listed devices.
        for (request, most) in unlisted.chain([(bed, SHARE)]) {
            for number in 0..most + 3 {
                let verdict = verdict(sides, 1, &request)?;
                check(&verdict, number < most, Reason::FloodLimit, number)?;
            }
        }
        // Copies by port do not count, nor do copies that other ports cause.
        let elsewhere = on_vlan_10(arp_request((SERVER, [10, 1, 0, 2])));
        check(&verdict(sides, 1, &elsewhere)?, true, Reason::FloodLimit, 0)
    });
}

#[test]
fn a_missing_reserve_is_found() {
    let mut sides = Sides::new(None, Some(RESERVE_IS_NOT_KEPT));
    sides.install(&policy(), Posture::Normal);
    // Four frames of each unlisted host: less than its part. Together they may send ten.
    let requests = (0..12).map(|number| {
        let host = number / 4 + 1;
        arp_request((Mac([2, 0, 0, 0, 1, host]), [10, 2, 1, host]))
    });
    let differs = requests.map(|request| sides.judge(0, &request).is_err());
    assert_eq!(differs.into_iter().position(|differs| differs), Some(10));
}

#[test]
fn uncounted_copies_are_found() {
    let mut sides = Sides::new(None, Some(COPIES_ARE_NOT_COUNTED));
    sides.install(&policy(), Posture::Normal);
    let requests = (0..=UNLISTED * SHARE).map(|number| to_all_rooms(number / SHARE));
    let differs = requests.map(|request| sides.judge(1, &request).is_err());
    assert_eq!(
        differs.into_iter().position(|differs| differs),
        Some(UNLISTED * SHARE)
    );
}

fn throttled(sides: &mut Sides) {
    // Before the pump's second packet, the location of the server is learned.
    let both = [
        (0, datagram((1, 2))),
        (1, reply((2, 1))),
        (0, datagram((1, 2))),
    ];
    sides.pass_time(1);
    for (port, frame) in both {
        assert!(passes(&agreed(sides, port, &frame)));
    }
    sides.throttle(0, PUMP);
    let another = agreed(sides, 0, &datagram((60_001, 3)));
    assert_eq!(another, Verdict::Drop(Reason::FlowLimit));
    // Existing flows pass, other hosts open flows, and so does the server to the pump.
    let guests = (
        (Mac([2, 0, 0, 0, 0, 7]), "10.2.0.7"),
        (Mac([2, 0, 0, 0, 0, 8]), "10.2.0.8"),
    );
    let other = packet(
        Some(20),
        guests.0,
        guests.1,
        UDP,
        &frame::udp((1, 2), b"hi"),
    );
    let answerer = reply((60_002, 3));
    for (port, frame) in [
        (0, datagram((1, 2))),
        (1, reply((2, 1))),
        (1, answerer),
        (1, other),
    ] {
        assert!(passes(&agreed(sides, port, &frame)));
    }
}

/// A fragment of a datagram from the pump to the server.
fn fragment(identification: u8, offset: u8, more: bool, payload: &[u8]) -> Vec<u8> {
    let (from, to) = ((PUMP, "10.1.0.1"), (SERVER, "10.1.0.2"));
    let mut frame = packet(Some(10), from, to, UDP, payload);
    (frame[18 + 5], frame[18 + 6], frame[18 + 7]) =
        (identification, if more { 0x20 } else { 0 }, offset / 8);
    frame
}

fn fragments_and_postures(sides: &mut Sides) {
    let first = frame::udp((1, 2), &[0; 8]);
    assert!(passes(&agreed(sides, 0, &fragment(1, 0, true, &first))));
    assert!(passes(&agreed(sides, 0, &fragment(1, 16, true, &[0; 8]))));
    sides.set_posture(Posture::Contain);
    let rest = fragment(1, 24, false, &[0; 8]);
    assert_eq!(agreed(sides, 0, &rest), Verdict::Drop(Reason::Fragment));
    // The whole packet again.
    assert!(passes(&agreed(sides, 0, &fragment(1, 0, true, &first))));
    assert!(passes(&agreed(sides, 0, &rest)));
    assert_eq!(agreed(sides, 0, &rest), Verdict::Drop(Reason::Fragment));
}

/// The program parses a limited number of bytes of a frame.
fn far_headers(sides: &mut Sides) {
    // From 18 bytes of link and 40 of IPv6 to byte 250 and to byte 258.
    for (words, allowed) in [(23, true), (24, false), (60, false), (255, false)] {
        let mut payload = vec![TCP, words, 1, 4, 0, 0, 0, 0];
        payload.resize(8 + usize::from(words) * 8, 0);
        payload.extend(frame::tcp((1, 2), frame::SYN, &[]));
        let (from, to) = ((PUMP, "2001:db8:1::1"), (SERVER, "2001:db8:1::2"));
        let frame = packet(Some(10), from, to, 60, &payload);
        let verdict = agreed(sides, 0, &frame);
        match allowed {
            true => assert!(passes(&verdict), "{words}: {verdict:?}"),
            false => assert_eq!(verdict, Verdict::Drop(Reason::Ipv6Extension), "{words}"),
        }
    }
}
