//! Two tags, copies one by one and the proxy in the kernel: compared with user space, and on veth pairs.

mod setup;
#[path = "setup/socket.rs"]
mod socket;
#[allow(dead_code, reason = "each test file uses part of it")]
#[path = "../../portable/tests/wire/mod.rs"]
mod wire;

use std::collections::BTreeSet;
use std::process::Command;

use cordon_kernel::{Dataplane, Opened, Options};
use cordon_portable::{Portable, copied};
use cordon_verdict::abi::{Admission, COPIES_MOST, Limit, PortRate, attachment};
use cordon_verdict::{Egress, Ip, Reason};
use setup::{PORTS, Pins, in_namespace, ip, traced};
use socket::Socket;
use wire::*;

/// The kernel and the simulator with the same policy.
struct Both {
    kernel: Dataplane,
    portable: Portable,
}

impl Both {
    fn new(pins: &Pins, generation: cordon_tables::Generation) -> Both {
        let mut kernel = traced(pins);
        kernel.install(&generation, 64, 0).expect("installs");
        let mut portable = Portable::default();
        portable.install(generation, 0);
        Both { kernel, portable }
    }

    /// Judges a frame in both, compares the outcomes, and returns the frames that leave.
    fn judge(
        &mut self,
        port: u16,
        frame: &[u8],
        what: &str,
    ) -> Result<Vec<(u16, Vec<u8>)>, Reason> {
        let here = self.portable.judge(port, frame);
        let there = self.kernel.run(port, frame).expect("runs");
        let (trace, outcome) = (there.trace, here.outcome);
        let reason = outcome.verdict.err();
        assert_eq!(Reason::from_number(trace.reason), reason, "{what}");
        assert_eq!(trace.rule, outcome.rule, "{what}");
        match outcome.verdict {
            Err(_) => assert_eq!((there.action, there.copies), (XDP_DROP, None), "{what}"),
            Ok(Egress::Attachment(number)) => {
                assert_eq!(
                    (there.action, trace.egress),
                    (XDP_REDIRECT, number),
                    "{what}"
                );
                assert_eq!(trace.flood, 0, "{what}");
                let [(_, leaves)] = &here.leaving[..] else {
                    panic!("{what}: one frame leaves");
                };
                assert_eq!(&there.frame, leaves, "{what}");
            }
            Ok(Egress::Flood {
                segment,
                inside,
                copies,
            }) => {
                assert_eq!(
                    (trace.flood, trace.egress),
                    (1 + u8::from(inside), segment),
                    "{what}"
                );
                assert_eq!(
                    there.copies.is_some(),
                    copies.are_per_attachment(),
                    "{what}"
                );
                if let Some(copying) = there.copies {
                    assert_eq!(there.action, XDP_PASS, "{what}");
                    let slot = usize::from(outcome.control.slot);
                    let generation = &self.portable.memory.slots[slot];
                    assert_eq!(
                        copied(generation, &copying, &there.frame),
                        here.leaving,
                        "{what}"
                    );
                } else {
                    assert_eq!(
                        (there.action, &there.frame[..]),
                        (XDP_REDIRECT, frame),
                        "{what}"
                    );
                }
            }
        }
        reason.map_or(Ok(here.leaving), Err)
    }
}

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_REDIRECT: u32 = 4;

#[test]
fn the_kernel_parses_and_writes_tags_as_user_space_does() {
    let pins = Pins::new("tags");
    in_namespace(move || {
        let mut both = Both::new(&pins, generation());
        for from in [TWO, ONE, NONE] {
            for to in [TWO, ONE, NONE] {
                if from.mac == to.mac {
                    continue;
                }
                for what in ["opens", "answers", "continues"] {
                    let (from, sent) = match what {
                        "answers" => (to, answer(to, from.mac, from)),
                        _ => (from, datagram(from, to.mac, to)),
                    };
                    let what = format!("{} tags to {}: {what}", from.tags.len(), to.tags.len());
                    both.judge(from.port, &sent, &what).expect("passes");
                }
            }
        }
        let packet = v4(TWO.v4, ONE.v4, 17, &udp(1, 2));
        let with = |tags: &[(u16, u16)]| frame(ONE.mac, TWO.mac, tags, 0x0800, &packet);
        let cut = |length: usize| with(TWO.tags)[..length].to_vec();
        for (what, frame) in [
            ("priorities", with(&[(0x88a8, 0xe064), (0x8100, 0x40d2)])),
            (
                "priority alone",
                frame(ONE.mac, NONE.mac, &[(0x8100, 0x6000)], 0x0800, &packet),
            ),
            ("a service tag alone", with(&[(0x88a8, 100)])),
            (
                "a service tag inside",
                with(&[(0x8100, 100), (0x88a8, 210)]),
            ),
            ("VLAN 0 inside", with(&[(0x88a8, 100), (0x8100, 0)])),
            ("three", with(&[(0x88a8, 100), (0x8100, 210), (0x8100, 3)])),
            ("customer tags", with(&[(0x8100, 100), (0x8100, 210)])),
            ("another inner VLAN", with(&[(0x88a8, 100), (0x8100, 211)])),
            ("cut in the tags", cut(19)),
            ("cut after the outer tag", cut(17)),
            ("cut before the EtherType", cut(21)),
            (
                "from the gateway",
                frame(ONE.mac, GATEWAY, TWO.tags, 0x0800, &packet),
            ),
        ] {
            let _ = both.judge(0, &frame, what);
        }
        let customer = with_customer_tags(generation());
        both.kernel.install(&customer, 64, 0).expect("installs");
        both.portable.install(customer, 0);
        let sent = with(&[(0x8100, 100), (0x8100, 210)]);
        both.judge(0, &sent, "set to customer tags")
            .expect("passes");
        both.judge(1, &datagram(ONE, TWO.mac, TWO), "leaves with them")
            .expect("passes");
        let refused = both.judge(0, &with(TWO.tags), "a service tag there");
        assert_eq!(refused, Err(Reason::UnknownAttachment));
    });
}

#[test]
fn the_proxy_answers_and_forwards_as_in_user_space() {
    let pins = Pins::new("proxy");
    in_namespace(move || {
        let mut both = Both::new(&pins, generation());
        let (group, mac) = solicited(FRED.v6);
        let unspecified = Ip { hi: 0, lo: 0 };
        for (what, from, frame) in [
            (
                "ARP for another",
                ANNA,
                arp(BROADCAST, ANNA, 1, ANNA.v4, BERT.v4),
            ),
            (
                "ARP to the gateway",
                FRED,
                arp(GATEWAY, FRED, 1, FRED.v4, BERT.v4),
            ),
            (
                "ARP for itself",
                ANNA,
                arp(BROADCAST, ANNA, 1, ANNA.v4, ANNA.v4),
            ),
            (
                "an ARP answer to the gateway",
                ANNA,
                arp(GATEWAY, ANNA, 2, ANNA.v4, BERT.v4),
            ),
            (
                "ARP from the uplink",
                WIDE,
                arp(GATEWAY, WIDE, 1, WIDE.v4, BERT.v4),
            ),
            (
                "solicits",
                ANNA,
                discovery(ANNA, mac, group, 135, FRED.v6, 1),
            ),
            (
                "solicits from two tags",
                FRED,
                discovery(FRED, GATEWAY, ANNA.v6, 135, ANNA.v6, 1),
            ),
            (
                "solicits without a link-layer address",
                ANNA,
                discovery(ANNA, mac, group, 135, FRED.v6, 0),
            ),
            (
                "from the unspecified address",
                ANNA,
                discovery(
                    Host {
                        v6: unspecified,
                        ..ANNA
                    },
                    mac,
                    group,
                    135,
                    FRED.v6,
                    0,
                ),
            ),
            (
                "advertises to the gateway",
                ANNA,
                discovery(ANNA, GATEWAY, FRED.v6, 136, ANNA.v6, 2),
            ),
            (
                "neither IP nor ARP",
                ANNA,
                frame(GATEWAY, ANNA.mac, ANNA.tags, LISTED, &[0; 40]),
            ),
            (
                "for an unknown address",
                ANNA,
                datagram(ANNA, GATEWAY, WIDE),
            ),
        ] {
            let _ = both.judge(from.port, &frame, what);
        }
        for host in [ANNA, BERT, CARL, EMIL, FRED] {
            both.judge(host.port, &datagram(host, GATEWAY, DORA), "is learned")
                .expect("passes");
        }
        for to in [BERT, CARL, EMIL, FRED] {
            for what in ["opens", "answers", "continues"] {
                let (from, sent) = match what {
                    "answers" => (to, answer(to, GATEWAY, ANNA)),
                    _ => (ANNA, datagram(ANNA, GATEWAY, to)),
                };
                let leaving = both.judge(from.port, &sent, what).expect("passes");
                assert_eq!(leaving.len(), 1, "{what}: {:x}", to.mac);
            }
        }
        let same = both.judge(0, &answer(BERT, ANNA.mac, ANNA), "to the device itself");
        // The flow between them was established by way of the gateway.
        assert!(same.is_ok());
        let packet = v4(BERT.v4, ANNA.v4, 17, &udp(7, 8));
        let same = frame(ANNA.mac, BERT.mac, BERT.tags, 0x0800, &packet);
        let same = both.judge(0, &same, "another, to the device itself");
        assert_eq!(same, Err(Reason::SameAttachment));

        let mut first = udp(5000, 6001);
        first[4..6].copy_from_slice(&64u16.to_be_bytes());
        let first = fragment4(ANNA.v4, FRED.v4, 17, 0x2000, &first);
        let later = fragment4(ANNA.v4, FRED.v4, 17, 2, &[9; 24]);
        for packet in [&first, &later] {
            let sent = frame(GATEWAY, ANNA.mac, ANNA.tags, 0x0800, packet);
            both.judge(0, &sent, "a fragment").expect("passes");
        }
        let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(&first[..28]);
        let error = v4(FRED.v4, ANNA.v4, 1, &message);
        let sent = frame(GATEWAY, FRED.mac, FRED.tags, 0x0800, &error);
        both.judge(0, &sent, "an error").expect("passes");
    });
}

#[test]
fn floods_are_prepared_for_copying_and_limited() {
    let pins = Pins::new("floods");
    in_namespace(move || {
        let mut both = Both::new(&pins, generation());
        let group = |host: Host| {
            let packet = v4(host.v4, u32::MAX, 17, &udp(5000, 6000));
            frame(BROADCAST, host.mac, host.tags, 0x0800, &packet)
        };
        for host in [ANNA, EMIL, FRED] {
            let leaving = both
                .judge(host.port, &group(host), "to a group")
                .expect("passes");
            assert_eq!(leaving.len(), usize::from(ATTACHED) - 1);
        }
        both.judge(0, &datagram(ANNA, GATEWAY, BERT), "for an unseen device")
            .expect("passes");
        both.kernel.set_posture(2).expect("contains");
        both.portable.set_posture(2);
        let leaving = both.judge(0, &group(ANNA), "inside").expect("passes");
        assert_eq!(leaving.len(), usize::from(ATTACHED) - 2);

        // A host has a share of its port's copies. The port's own limit is met only by several hosts, of which the last has
        // hardly begun its share. The limits are per tick: if one ends meanwhile, a later one is tried.
        let share = PortRate::COPIES / Limit::SHARE / u32::from(ATTACHED);
        let rest = PortRate::COPIES / u32::from(ATTACHED) - Limit::SHARE * share;
        let until_refused = |host: Host| {
            let sent = group(host);
            (0..=share).find(|_| {
                let run = both.kernel.run(host.port, &sent).expect("runs");
                run.trace.reason == Reason::FloodLimit as u8
            })
        };
        let is_met = (0..20).any(|_| {
            // Longer than a tick of 2^30 ns: what was sent before is not counted any more.
            std::thread::sleep(std::time::Duration::from_millis(1100));
            let hosts = [ANNA, BERT, CARL, DORA].map(until_refused);
            hosts == [Some(share); 4] && until_refused(FRED) == Some(rest)
        });
        assert!(is_met, "the copies that a port causes are limited");
    });
}

/// The far ends of the ports.
struct Wires(Vec<Socket>);

impl Wires {
    fn open() -> Wires {
        let ends = PORTS
            .iter()
            .map(|port| Socket::open(&format!("{port}-peer")));
        Wires(ends.collect())
    }

    /// Sends a frame to a port, and returns the frames that leave, sorted.
    fn send(&self, port: u16, frame: &[u8], expected: usize) -> Vec<(u16, Vec<u8>)> {
        self.0[usize::from(port)].send(frame);
        let mut all = Vec::new();
        for (port, end) in self.0.iter().enumerate() {
            // One more than expected, so that the test notices too many.
            let frames = end.receive(expected + 1);
            all.extend(frames.into_iter().map(|frame| (port as u16, frame)));
        }
        all.sort();
        all
    }
}

/// Frames in a queue would leave after an order to close is in force.
#[test]
fn no_port_has_a_queue() {
    let pins = Pins::new("queues");
    let options = Options::new(&pins.0);
    in_namespace(move || {
        let [first, second, _] = PORTS;
        let show = |nic: &str| run("tc", &["qdisc", "show", "dev", nic, "root"]);
        run("tc", &["qdisc", "add", "dev", first, "root", "pfifo"]);
        assert!(show(first).contains("pfifo"), "{}", show(first));
        let (mut kernel, _) = Dataplane::open(&options).expect("loads");
        for _ in 0..2 {
            for (port, nic) in [first, second].into_iter().enumerate() {
                kernel.attach(port as u16, nic).expect("attaches");
                assert!(show(nic).contains("noqueue"), "{}", show(nic));
            }
        }
        kernel.detach(0).expect("detaches");
        assert!(!show(first).contains("pfifo"), "{}", show(first));
    });
}

#[test]
fn copies_leave_by_every_attachment_and_no_frame_reaches_the_host_stack() {
    let pins = Pins::new("copies");
    let options = Options::new(&pins.0);
    in_namespace(move || {
        let (mut kernel, _) = Dataplane::open(&options).expect("loads");
        for (port, nic) in PORTS.into_iter().enumerate() {
            kernel.attach(port as u16, nic).expect("attaches");
        }
        kernel.install(&generation(), 64, 0).expect("installs");
        let mut portable = Portable::default();
        portable.install(generation(), 0);
        // The host stack must not answer ARP requests for this address, although it would answer the untagged frame.
        ip("addr add 10.8.0.200/24 dev eth1");
        ip("link set eth1 arp on");
        for port in PORTS {
            // A veth accepts redirected frames only if its peer has GRO on.
            let end = format!("{port}-peer");
            run("ethtool", &["-K", &end, "gro", "on"]);
        }
        let wires = Wires::open();

        let packet = |host: Host| v4(host.v4, u32::MAX, 17, &udp(5000, 6000));
        let mut frames = Vec::new();
        for (host, tags) in [
            (ANNA, vec![(0x8100, 0x612d)]),
            (FRED, vec![(0x88a8, 0x2190), (0x8100, 0x4191)]),
            (EMIL, vec![(0x8100, 301)]),
        ] {
            let sent = frame(BROADCAST, host.mac, &tags, 0x0800, &packet(host));
            frames.push(("to the broadcast address", host.port, sent));
        }
        let mut asks = arp(BROADCAST, ANNA, 1, ANNA.v4, 0x0a08_00c8);
        asks.resize(64, 0);
        frames.push(("asks for the port's address", 0, asks));
        frames.push((
            "is proxied to an unseen device",
            0,
            datagram(CARL, GATEWAY, DORA),
        ));
        frames.push((
            "is proxied back to its ingress",
            0,
            datagram(BERT, GATEWAY, ANNA),
        ));
        frames.push(("is answered", 0, arp(BROADCAST, CARL, 1, CARL.v4, FRED.v4)));
        frames.push(("in the other segment", 1, {
            let packet = v4(ONE.v4, u32::MAX, 17, &udp(5000, 6000));
            frame(BROADCAST, ONE.mac, ONE.tags, 0x0800, &packet)
        }));
        for (what, port, sent) in &frames {
            let mut expected = portable.judge(*port, sent).leaving;
            expected.sort();
            assert!(!expected.is_empty(), "{what}");
            assert_eq!(wires.send(*port, sent, expected.len()), expected, "{what}");
        }
        let mut large = frames[1].2.clone();
        let rest = large.len() - 22;
        large.resize(1400, 7);
        // Padding after the packet is copied too.
        assert!(rest < 1378);
        let mut expected = portable.judge(0, &large).leaving;
        expected.sort();
        assert_eq!(wires.send(0, &large, expected.len()), expected, "large");
        assert_eq!(neighbours(), "", "the host has learned no neighbour");

        // The daemon exits, and another build starts.
        drop(kernel);
        let (what, port, sent) = &frames[0];
        let mut expected = portable.judge(*port, sent).leaving;
        expected.sort();
        assert_eq!(
            wires.send(*port, sent, expected.len()),
            expected,
            "{what}, without the daemon"
        );
        let traced = Options {
            trace: true,
            ..options
        };
        let (mut kernel, opened) = Dataplane::open(&traced).expect("replaces");
        assert_eq!(opened, Opened::Replaced);
        assert_eq!(
            wires.send(*port, sent, expected.len()),
            expected,
            "{what}, after the upgrade"
        );
        for (port, nic) in PORTS.into_iter().enumerate() {
            kernel.attach(port as u16, nic).expect("takes over");
            assert_eq!(filters(nic), 1, "{nic}");
        }
        assert_eq!(
            wires.send(*port, sent, expected.len()),
            expected,
            "{what}, taken over"
        );
        // Under `contain` no copy leaves by the uplink.
        kernel.set_posture(2).expect("contains");
        portable.set_posture(2);
        let mut inside = portable.judge(*port, sent).leaving;
        inside.sort();
        assert!(inside.len() < expected.len());
        assert_eq!(
            wires.send(*port, sent, inside.len()),
            inside,
            "{what}, contained"
        );
        kernel.detach(0).expect("detaches");
        assert_eq!((filters("eth1"), filters("eth2")), (0, 1));
    });
}

/// Runs a program and returns its output.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The number of our tc filters on an interface.
fn filters(nic: &str) -> usize {
    let text = run("tc", &["filter", "show", "dev", nic, "ingress"]);
    let ours = text
        .lines()
        .filter(|line| line.contains("handle 0x434f5244"));
    ours.count()
}

/// The neighbours that the host's own stack has learned.
fn neighbours() -> String {
    run("ip", &["neigh", "show", "dev", "eth1"])
}

/// The number of frames that an interface was given to send, sent or dropped.
fn given(nic: &str) -> u64 {
    let text = run("ip", &["-s", "link", "show", "dev", nic]);
    let mut lines = text.lines().skip_while(|line| !line.contains("TX:"));
    let numbers = lines.nth(1).expect("there are counters").split_whitespace();
    let numbers: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
    numbers[1] + numbers[3]
}

#[test]
fn a_segment_may_have_thousands_of_attachments() {
    let pins = Pins::new("thousands");
    in_namespace(move || {
        let mut kernel = traced(&pins);
        // Few enough that the veth drops none: every copy arrives.
        kernel.install(&wide(900), 64, 0).expect("installs");
        let wires = Wires::open();
        let packet = v4(EMIL.v4, u32::MAX, 17, &udp(5000, 6000));
        let sent = frame(BROADCAST, EMIL.mac, EMIL.tags, 0x0800, &packet);
        wires.0[1].send(&sent);
        let copies = wires.0[1].receive(901);
        let tags = copies
            .iter()
            .map(|copy| u16::from_be_bytes([copy[14], copy[15]]));
        let tags: BTreeSet<u16> = tags.collect();
        let expected: BTreeSet<u16> = (1..=900).filter(|vlan| *vlan != 301).collect();
        assert_eq!((tags, copies.len()), (expected, 899));

        // All 4094 VLANs.
        kernel.install(&wide(4094), 64, 0).expect("installs");
        let before = given("eth2");
        wires.0[1].send(&sent);
        wires.0[1].receive(usize::MAX);
        assert_eq!(given("eth2") - before, 4093);
    });
}

/// The policy with only the first so many VLANs of port 1, all in the stitched segment.
fn wide(vlans: u16) -> cordon_tables::Generation {
    let mut generation = generation();
    let all: Vec<u16> = (1..=vlans).map(|vlan| attachment(1, vlan)).collect();
    assert!(all.len() <= COPIES_MOST);
    let admission = Admission {
        copies: all.len() as u16,
        ..generation.admissions[&attachment(1, 301)]
    };
    generation.admissions.clear();
    let admissions = all.iter().map(|number| (*number, admission));
    generation.admissions.extend(admissions);
    generation.copies.insert(STITCHED, all);
    generation
}
