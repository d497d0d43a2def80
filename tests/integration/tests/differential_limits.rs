//! What chance does not come to: so many frames in so short a time, or after so long a time. In the kernel, in user
//! space and by the oracle, as far as each can be brought to it.

use std::net::IpAddr;

use cordon_integration::differential::{
    COPIES_ARE_NOT_COUNTED, Kernel, Sides, Verdict, in_namespace,
};
use cordon_integration::generate::frame::{self, TCP, UDP};
use cordon_policy::{Mac, Policy, Posture, Sources, from_sources};
use cordon_portable::{Bytes, Portable};
use cordon_verdict::{Frame, Head, Reason};

const PUMP: Mac = Mac([2, 0, 0, 0, 0, 1]);
const SERVER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const EVERYBODY: Mac = Mac([0xff; 6]);

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
";
    let sources = Sources {
        site: site.to_owned(),
        policy: Some("rules: []\n".to_owned()),
        devices: Some(devices.to_owned()),
    };
    from_sources(&sources).expect("is a policy").policy
}

fn packet(
    vlan: Option<u16>,
    from: (Mac, &str),
    to: (Mac, &str),
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let ip = |text: &str| text.parse::<IpAddr>().expect("is one");
    let (ether_type, packet) = frame::ip(ip(from.1), ip(to.1), protocol, 64, payload);
    frame::ethernet(to.0, from.0, vlan, ether_type, &packet)
}

/// From the pump to the server.
fn datagram(ports: (u16, u16)) -> Vec<u8> {
    let (from, to) = ((PUMP, "10.1.0.1"), (SERVER, "10.1.0.2"));
    packet(Some(10), from, to, UDP, &frame::udp(ports, b"dose"))
}

fn back(ports: (u16, u16)) -> Vec<u8> {
    let (from, to) = ((SERVER, "10.1.0.2"), (PUMP, "10.1.0.1"));
    packet(Some(10), from, to, UDP, &frame::udp(ports, b"ack"))
}

fn request(from: (Mac, [u8; 4])) -> Vec<u8> {
    let asks = frame::arp(
        1,
        (from.0, from.1.into()),
        (Mac([0; 6]), [10, 1, 0, 2].into()),
    );
    frame::ethernet(EVERYBODY, from.0, None, 0x0806, &asks)
}

/// All three sides.
fn all(name: &str) -> Sides {
    let mut sides = Sides::new(Some(Kernel::open(name)), None);
    sides.install(&policy(), Posture::Normal);
    sides
}

/// Without the kernel, whose clock nobody sets.
fn two() -> Sides {
    let mut sides = Sides::new(None, None);
    sides.install(&policy(), Posture::Normal);
    sides
}

fn verdict(sides: &mut Sides, port: u16, frame: &[u8]) -> Result<Verdict, String> {
    let said = sides.judge(port, frame);
    said.map(|said| said.verdict)
        .map_err(|difference| difference.to_string())
}

/// The verdict, for those whom no clock of the kernel interferes with.
fn said(sides: &mut Sides, port: u16, frame: &[u8]) -> Verdict {
    verdict(sides, port, frame).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn passes(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Leaves { .. } | Verdict::Flood { .. })
}

/// The clock that the program reads, in ticks.
fn clock() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC_COARSE).expect("ticks");
    let now = now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64;
    now >> 30
}

/// Does something within a tick, so that the kernel counts what the others count: from the start of one, and once more
/// if it took longer. It is told how often it has been done.
fn in_one_tick(sides: &mut Sides, attempt: impl Fn(&mut Sides, u8) -> Result<(), String>) {
    for number in 0..12 {
        let before = clock();
        while clock() == before {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        sides.pass_time(1);
        let result = attempt(sides, number);
        if clock() == before + 1 {
            return result.unwrap_or_else(|wrong| panic!("{wrong}"));
        }
    }
    panic!("this machine never gets through with it within a second");
}

fn expect(verdict: &Verdict, passes_now: bool, reason: Reason, what: usize) -> Result<(), String> {
    match (passes_now, verdict) {
        (true, verdict) if passes(verdict) => Ok(()),
        (false, verdict) if *verdict == Verdict::Drop(reason) => Ok(()),
        (_, other) => Err(format!("frame {what}: {other:?}")),
    }
}

type Check = fn(&mut Sides);

/// In one kernel, which takes its time to load the program.
#[test]
fn kernel_user_space_and_oracle_agree_at_the_limits() {
    in_namespace(|| {
        let mut sides = all("limits");
        let steps: [(&str, Check); 7] = [
            ("a storm is over with the tick", storm),
            ("so many strangers do not turn up at once", strangers),
            (
                "fragments do not follow across a change of posture",
                fragments_and_postures,
            ),
            ("no header starts behind what the kernel reads", far_headers),
            ("nobody opens flows without end", many_flows),
            ("copies that are made one by one have an end", copies),
            ("who has enough flows opens no more", held),
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
            // 20 in a second are 21.47 in a tick, of which one host may send a quarter.
            for (host, most) in [(1, 5), (2, 5), (3, 5), (4, 5), (5, 1), (6, 0)] {
                let asks = request((Mac([2, 0, 0, 0, 1, host]), [10, 2, 1, host]));
                for number in 0..8 {
                    let verdict = verdict(sides, 0, &asks)?;
                    expect(&verdict, number < most, Reason::Storm, number)?;
                }
            }
            // What does not pass anyway takes nothing from anybody.
            let foreign = request((Mac([2, 0, 0, 0, 1, 7]), [10, 9, 9, 9]));
            expect(
                &verdict(sides, 0, &foreign)?,
                false,
                Reason::AddressBinding,
                7,
            )?;
            // What is for one host is no storm, and another port's is another's.
            let alone = datagram((1, 2));
            expect(&verdict(sides, 0, &alone)?, true, Reason::Storm, 12)?;
            let mut elsewhere = request((SERVER, [10, 1, 0, 2]));
            elsewhere.splice(12..12, [0x81, 0x00, 0, 10]);
            expect(&verdict(sides, 1, &elsewhere)?, true, Reason::Storm, 13)
        });
    }
}

fn strangers(sides: &mut Sides) {
    in_one_tick(sides, |sides, attempt| {
        let stranger = |number: u8| {
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
            let verdict = verdict(sides, 1, &stranger(number))?;
            expect(&verdict, number <= 64, Reason::StationLimit, number.into())?;
        }
        // Those who are known by now may go on; so may devices.
        for known in [stranger(1), stranger(64)] {
            expect(&verdict(sides, 1, &known)?, true, Reason::StationLimit, 1)?;
        }
        expect(
            &verdict(sides, 1, &back((2, 1)))?,
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
            expect(&verdict, number < 4096, Reason::FlowLimit, number.into())?;
        }
        // In the flows that are there, all goes on; and who answers opens none.
        let port = u16::from(attempt) * 5000;
        for (ingress, frame) in [(0, datagram((port, 9))), (1, back((9, port)))] {
            expect(
                &verdict(sides, ingress, &frame)?,
                true,
                Reason::FlowLimit,
                4200,
            )?;
        }
        Ok(())
    });
}

/// Copies that a port may cause in a tick, and how many one broadcast in the rooms is counted as.
const COPIES: usize = 65536;
const ROOMS: usize = 4;
/// Hosts that can do that together, and how many broadcasts each.
const HOSTS: usize = 4;
const SHARE: usize = COPIES / ROOMS / HOSTS;

/// A broadcast of one of those in them.
fn to_all_rooms(number: usize) -> Vec<u8> {
    let host = Mac([2, 0, 0, 0, 2, number as u8]);
    let asks = frame::arp(
        1,
        (host, [10, 3, 1, number as u8].into()),
        (Mac([0; 6]), [10, 3, 0, 2].into()),
    );
    frame::ethernet(EVERYBODY, host, Some(31), 0x0806, &asks)
}

fn copies(sides: &mut Sides) {
    in_one_tick(sides, |sides, _| {
        for host in 0..=HOSTS {
            let asks = to_all_rooms(host);
            let most = if host < HOSTS { SHARE } else { 0 };
            for number in 0..most + 3 {
                let verdict = verdict(sides, 1, &asks)?;
                expect(&verdict, number < most, Reason::FloodLimit, number)?;
            }
        }
        // Where copies are made port by port, and by other ports, all goes on.
        let mut elsewhere = request((SERVER, [10, 1, 0, 2]));
        elsewhere.splice(12..12, [0x81, 0x00, 0, 10]);
        expect(&verdict(sides, 1, &elsewhere)?, true, Reason::FloodLimit, 0)
    });
}

#[test]
fn copies_that_are_not_counted_are_found() {
    let mut sides = Sides::new(None, Some(COPIES_ARE_NOT_COUNTED));
    sides.install(&policy(), Posture::Normal);
    let asks = (0..=HOSTS * SHARE).map(|number| to_all_rooms(number / SHARE));
    let differs = asks.map(|asks| sides.judge(1, &asks).is_err());
    assert_eq!(
        differs.into_iter().position(|differs| differs),
        Some(HOSTS * SHARE)
    );
}

fn held(sides: &mut Sides) {
    // The second packet of the pump knows where the server is.
    let both = [
        (0, datagram((1, 2))),
        (1, back((2, 1))),
        (0, datagram((1, 2))),
    ];
    sides.pass_time(1);
    for (port, frame) in both {
        assert!(passes(&said(sides, port, &frame)));
    }
    sides.hold(0, PUMP);
    let another = said(sides, 0, &datagram((60_001, 3)));
    assert_eq!(another, Verdict::Drop(Reason::FlowLimit));
    // What is there goes on, and others open what they like; so does who has answered, and may do so by any rule.
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
    let answerer = back((60_002, 3));
    for (port, frame) in [
        (0, datagram((1, 2))),
        (1, back((2, 1))),
        (1, answerer),
        (1, other),
    ] {
        assert!(passes(&said(sides, port, &frame)));
    }
}

#[test]
fn a_question_to_a_group_is_answered_for_ten_ticks() {
    let mut sides = two();
    let (group, group_mac) = ("239.255.255.250", Mac([1, 0, 0x5e, 0x7f, 0xff, 0xfa]));
    let question = packet(
        Some(10),
        (PUMP, "10.1.0.1"),
        (group_mac, group),
        UDP,
        &frame::udp((40000, 3702), b"probe"),
    );
    // Somebody outside: no rule allows it otherwise.
    let router = Mac([2, 0, 0, 0, 0, 9]);
    let answer = |port| {
        packet(
            Some(10),
            (router, "203.0.113.7"),
            (PUMP, "10.1.0.1"),
            UDP,
            &frame::udp((3702, port), b"match"),
        )
    };
    assert_eq!(
        said(&mut sides, 2, &answer(40000)),
        Verdict::Drop(Reason::NoRule)
    );
    assert!(passes(&said(&mut sides, 0, &question)));
    sides.pass_time(10);
    assert_eq!(
        said(&mut sides, 2, &answer(40001)),
        Verdict::Drop(Reason::NoRule)
    );
    assert!(passes(&said(&mut sides, 2, &answer(40000))));
    sides.pass_time(1);
    assert_eq!(
        said(&mut sides, 2, &answer(40000)),
        Verdict::Drop(Reason::NoRule)
    );
}

/// A part of a datagram from the pump to the server.
fn fragment(identification: u8, offset: u8, more: bool, payload: &[u8]) -> Vec<u8> {
    let (from, to) = ((PUMP, "10.1.0.1"), (SERVER, "10.1.0.2"));
    let mut frame = packet(Some(10), from, to, UDP, payload);
    (frame[18 + 5], frame[18 + 6], frame[18 + 7]) =
        (identification, if more { 0x20 } else { 0 }, offset / 8);
    frame
}

#[test]
fn later_fragments_follow_for_thirty_ticks() {
    let mut sides = two();
    let first = frame::udp((1, 2), &[0; 8]);
    let late = Verdict::Drop(Reason::Fragment);
    for identification in 1..=2 {
        assert!(passes(&said(
            &mut sides,
            0,
            &fragment(identification, 0, true, &first)
        )));
    }
    sides.pass_time(30);
    assert!(passes(&said(
        &mut sides,
        0,
        &fragment(1, 16, true, &[0; 8])
    )));
    sides.pass_time(1);
    for (identification, offset) in [(1, 24), (2, 16)] {
        let said = said(
            &mut sides,
            0,
            &fragment(identification, offset, false, &[0; 8]),
        );
        assert_eq!(said, late);
    }
}

fn fragments_and_postures(sides: &mut Sides) {
    let first = frame::udp((1, 2), &[0; 8]);
    assert!(passes(&said(sides, 0, &fragment(1, 0, true, &first))));
    assert!(passes(&said(sides, 0, &fragment(1, 16, true, &[0; 8]))));
    sides.set_posture(Posture::Contain);
    let rest = fragment(1, 24, false, &[0; 8]);
    assert_eq!(said(sides, 0, &rest), Verdict::Drop(Reason::Fragment));
    // The whole packet once more.
    assert!(passes(&said(sides, 0, &fragment(1, 0, true, &first))));
    assert!(passes(&said(sides, 0, &rest)));
    assert_eq!(said(sides, 0, &rest), Verdict::Drop(Reason::Fragment));
}

/// The program in the kernel reads no farther into a frame than headers go.
fn far_headers(sides: &mut Sides) {
    // From 18 bytes of link and 40 of IPv6 to byte 250 and to byte 258.
    for (words, may) in [(23, true), (24, false), (60, false), (255, false)] {
        let mut payload = vec![TCP, words, 1, 4, 0, 0, 0, 0];
        payload.resize(8 + usize::from(words) * 8, 0);
        payload.extend(frame::tcp((1, 2), frame::SYN, &[]));
        let (from, to) = ((PUMP, "2001:db8:1::1"), (SERVER, "2001:db8:1::2"));
        let frame = packet(Some(10), from, to, 60, &payload);
        let said = said(sides, 0, &frame);
        match may {
            true => assert!(passes(&said), "{words}: {said:?}"),
            false => assert_eq!(said, Verdict::Drop(Reason::Ipv6Extension), "{words}"),
        }
    }
}

/// In user space alone: the kernel makes room by itself.
#[test]
fn a_flow_without_room_is_not_opened() {
    let mut portable = user_space();
    portable.memory.room = 1;
    let verdict = |portable: &mut Portable, frame: &[u8]| portable.judge(0, frame).outcome.verdict;
    assert!(verdict(&mut portable, &datagram((1, 2))).is_ok());
    assert_eq!(
        verdict(&mut portable, &datagram((2, 2))),
        Err(Reason::FlowTableFull)
    );
    assert!(verdict(&mut portable, &datagram((1, 2))).is_ok());
}

fn user_space() -> Portable {
    let today = cordon_policy::Date::new(2026, 6, 15).expect("is a day");
    let compiled = cordon_compile::compile(&policy(), today).expect("compiles");
    let mut portable = Portable::default();
    portable.install(compiled.generation, Posture::Normal as u8);
    portable
}

/// A frame without room in front of it. Drivers leave some, and so does a test run.
struct Cramped(Bytes);

impl Frame for Cramped {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn u8(&self, at: usize) -> Option<u8> {
        self.0.u8(at)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.0.u16(at)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.0.u32(at)
    }

    fn u64(&self, at: usize) -> Option<u64> {
        self.0.u64(at)
    }

    fn head(&self) -> Option<impl Head + use<>> {
        self.0.head()
    }

    fn set_u16(&mut self, at: usize, value: u16) -> Option<()> {
        self.0.set_u16(at, value)
    }

    fn set_u32(&mut self, at: usize, value: u32) -> Option<()> {
        self.0.set_u32(at, value)
    }

    fn set_u64(&mut self, at: usize, value: u64) -> Option<()> {
        self.0.set_u64(at, value)
    }

    fn shift(&mut self, by: i32) -> Option<()> {
        if by < 0 { None } else { self.0.shift(by) }
    }
}

#[test]
fn a_frame_that_cannot_be_tagged_does_not_leave() {
    let mut portable = user_space();
    let talk = |from: (u8, &str), to: (u8, &str), tag| {
        let end = |(number, ip)| (Mac([2, 0, 0, 0, 0, number]), ip);
        let payload = frame::udp((1, 2), b"hello");
        packet(tag, end(from), end(to), UDP, &payload)
    };
    let (one, other) = ((7, "10.2.0.7"), (8, "10.2.0.8"));
    // Where the other is, is known from then on: in VLAN 20.
    assert!(
        portable
            .judge(1, &talk(other, one, Some(20)))
            .outcome
            .verdict
            .is_ok()
    );
    let frame = talk(one, other, None);
    let mut cramped = Cramped(Bytes::new(&frame));
    let outcome = cordon_verdict::judge(&mut cramped, &mut portable.memory, 0);
    assert_eq!(outcome.verdict, Err(Reason::Retag));
    assert!(portable.judge(0, &frame).outcome.verdict.is_ok());
}
