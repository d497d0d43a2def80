//! The program in the kernel: loaded, attached to a real interface, judging frames.

mod setup;

use cordon_kernel::{Dataplane, Opened, Options, Silence};
use cordon_portable::{Generation, Portable, Prefix};
use cordon_verdict::abi::{
    AGE_SECONDS, Address, Admission, Device, Network, PolicyRow, RULE_FIRST, Ruling, attachment,
    member, service_index,
};
use cordon_verdict::{Ip, Reason};

use setup::{Pins, in_namespace, traced, traced_with};

const CT: u64 = 0x02_c0_00_00_00_11;
const PACS: u64 = 0x02_c0_00_00_00_99;
const XDP_DROP: u32 = 1;
const XDP_REDIRECT: u32 = 4;

/// One device in VLAN 210 at port 0, one network behind port 1, and DICOM between them.
fn generation() -> Generation {
    let mut generation = Generation::default();
    for (port, flags) in [
        (0, Admission::IN_USE),
        (1, Admission::IN_USE | Admission::UPLINK),
    ] {
        let admission = Admission {
            segment: 7,
            flags,
            anonymous: 0,
            copies: 0,
        };
        generation
            .admissions
            .insert(attachment(port, 210), admission);
        generation.floods.insert((7, port), attachment(port, 210));
    }
    let address = Ip::v4(0x0a15_000b);
    generation.devices.insert(
        member(7, CT),
        Device {
            word: 1,
            class: 1,
            place: 0,
            address,
        },
    );
    generation.addresses.insert(
        address,
        Address {
            device: 1,
            segment: 7,
            class: 1,
        },
    );
    let network = Network {
        class: 2,
        segment: Network::NO_SEGMENT,
        flags: 0,
        behind: 2,
    };
    generation.add_network(
        Prefix {
            bits: 96 + 16,
            address: Ip::v4(0x0ac8_0000),
        },
        network,
    );
    generation.services[service_index(6, 104) as usize] = 1;
    let allow = Ruling::allow(RULE_FIRST);
    generation.policy.add(
        1,
        2,
        1,
        PolicyRow {
            rulings: [
                allow,
                allow,
                Ruling::NONE,
                Ruling::NONE,
                Ruling::NONE,
                Ruling::NONE,
            ],
        },
    );
    generation
}

struct Tcp {
    macs: (u64, u64),
    addresses: (u32, u32),
    ports: (u16, u16),
    flags: u8,
}

/// A frame in VLAN 210 with priority 5.
fn tcp(tcp: &Tcp) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&tcp.macs.1.to_be_bytes()[2..]);
    frame.extend_from_slice(&tcp.macs.0.to_be_bytes()[2..]);
    frame.extend_from_slice(&[0x81, 0x00, 0xa0, 0xd2, 0x08, 0x00]);
    frame.extend_from_slice(&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend_from_slice(&tcp.addresses.0.to_be_bytes());
    frame.extend_from_slice(&tcp.addresses.1.to_be_bytes());
    frame.extend_from_slice(&tcp.ports.0.to_be_bytes());
    frame.extend_from_slice(&tcp.ports.1.to_be_bytes());
    frame.extend_from_slice(&[0; 8]);
    frame.extend_from_slice(&[0x50, tcp.flags, 0, 0, 0, 0, 0, 0]);
    frame.resize(64, 0);
    frame
}

fn syn() -> Tcp {
    Tcp {
        macs: (CT, PACS),
        addresses: (0x0a15_000b, 0x0ac8_040a),
        ports: (40000, 104),
        flags: 2,
    }
}

fn answer() -> Tcp {
    Tcp {
        macs: (PACS, CT),
        addresses: (0x0ac8_040a, 0x0a15_000b),
        ports: (104, 40000),
        flags: 0x12,
    }
}

#[test]
fn the_kernel_decides_as_user_space_does() {
    let pins = Pins::new("agree");
    let options = Options {
        trace: true,
        ..Options::new(&pins.0)
    };
    in_namespace(move || {
        let (mut kernel, opened) = Dataplane::open(&options).expect("loads");
        assert_eq!(opened, Opened::New);
        for (port, nic) in ["eth1", "eth2"].into_iter().enumerate() {
            kernel
                .attach(port as u16, nic)
                .expect("attaches in driver mode");
        }
        let mut portable = Portable::default();

        let stranger = Tcp {
            macs: (CT + 1, PACS),
            ..syn()
        };
        let spoofed = Tcp {
            addresses: (0x0a15_000c, 0x0ac8_040a),
            ..syn()
        };
        let other = Tcp {
            ports: (40000, 22),
            ..syn()
        };
        let later = Tcp {
            flags: 0x10,
            ..syn()
        };
        let steps: &[(&str, u16, &Tcp, Result<(), Reason>)] = &[
            ("opens", 0, &syn(), Ok(())),
            ("answers", 1, &answer(), Ok(())),
            ("goes on", 0, &later, Ok(())),
            ("unknown device", 0, &stranger, Err(Reason::UnknownDevice)),
            (
                "another's address",
                0,
                &spoofed,
                Err(Reason::AddressBinding),
            ),
            ("another service", 0, &other, Err(Reason::NoRule)),
            (
                "from the wrong side",
                1,
                &syn(),
                Err(Reason::DeviceOnUplink),
            ),
        ];
        let judge =
            |kernel: &Dataplane, portable: &mut Portable, port: u16, what: &str, frame: &Tcp| {
                let frame = tcp(frame);
                let here = portable.judge(port, &frame);
                let there = kernel.run(port, &frame).expect("runs");
                let reason = here.outcome.verdict.err();
                assert_eq!(
                    there.trace.reason,
                    reason.map_or(0, |reason| reason as u8),
                    "{what}"
                );
                assert_eq!(there.trace.rule, here.outcome.rule, "{what}");
                let action = if reason.is_some() {
                    XDP_DROP
                } else {
                    XDP_REDIRECT
                };
                assert_eq!(there.action, action, "{what}");
                if there.trace.flood == 0 && reason.is_none() {
                    assert_eq!(
                        vec![(there.trace.egress >> 12, there.frame)],
                        here.leaving,
                        "{what}"
                    );
                }
                here.outcome.verdict
            };

        let verdict = judge(&kernel, &mut portable, 0, "before any policy", &syn());
        assert_eq!(verdict, Err(Reason::NoPolicy));
        kernel.install(&generation(), 10, 0).expect("installs");
        portable.install(generation(), 0);
        for (what, port, frame, expected) in steps {
            let verdict = judge(&kernel, &mut portable, *port, what, frame);
            assert_eq!(verdict.map(drop), *expected, "{what}");
        }
        kernel.set_posture(2).expect("contains");
        portable.set_posture(2);
        for (port, frame) in [(0, &later), (1, &answer())] {
            let verdict = judge(&kernel, &mut portable, port, "contained", frame);
            assert_eq!(verdict, Err(Reason::Posture));
        }
        kernel.set_posture(0).expect("releases");
        portable.set_posture(0);
        assert!(judge(&kernel, &mut portable, 0, "released", &later).is_ok());

        let drops = kernel.drops().expect("reads");
        for (reason, counter) in drops {
            let here = portable
                .memory
                .drops
                .get(&reason)
                .copied()
                .unwrap_or_default();
            assert_eq!(counter, here, "{}", reason.name());
        }
        let mut events = kernel.take_events().expect("there is a ring");
        let mut told = 0;
        while events.next_event().is_some() {
            told += 1;
        }
        assert_eq!(told, portable.memory.events.len());
    });
}

#[test]
fn what_is_pinned_outlives_the_process() {
    let pins = Pins::new("outlives");
    let options = Options::new(&pins.0);
    in_namespace(move || {
        {
            let (mut first, _) = Dataplane::open(&options).expect("loads");
            let effort = first.verified_instructions().expect("is told");
            assert!(
                (1..500_000).contains(&effort),
                "{effort}: too near to where kernels give up"
            );
            eprintln!("verified {effort}");
            first.attach(0, "eth1").expect("attaches");
            first.install(&generation(), 10, 0).expect("installs");
            first.set_posture(3).expect("isolates");
        }
        let (mut second, opened) = Dataplane::open(&options).expect("takes over");
        assert_eq!(opened, Opened::TakenOver);
        assert_eq!(second.control().expect("reads").posture, 3);
        second.attach(0, "eth1").expect("takes the port over");

        // Another build of the same program, as an upgrade would bring.
        let traced = Options {
            trace: true,
            ..options.clone()
        };
        let (mut third, opened) = Dataplane::open(&traced).expect("replaces");
        assert_eq!(opened, Opened::Replaced);
        assert_eq!(third.control().expect("reads").posture, 3);
        third.attach(0, "eth1").expect("takes the port over");
        let run = third.run(0, &tcp(&syn())).expect("runs");
        assert_eq!(run.trace.reason, Reason::Posture as u8);
    });
}

#[test]
fn idle_flows_are_swept_and_others_stay() {
    let pins = Pins::new("sweep");
    in_namespace(move || {
        let mut kernel = traced(&pins);
        kernel.install(&generation(), 10, 0).expect("installs");
        kernel.run(0, &tcp(&syn())).expect("runs");
        let other = Tcp {
            ports: (40001, 104),
            ..syn()
        };
        kernel.run(0, &tcp(&other)).expect("runs");
        kernel.run(1, &tcp(&answer())).expect("runs");
        // The answer taught the gateway where the network is: the next packet settles this direction.
        kernel
            .run(
                0,
                &tcp(&Tcp {
                    flags: 0x10,
                    ..syn()
                }),
            )
            .expect("runs");

        let age = |kernel: &mut Dataplane, seconds: u64| {
            for _ in 0..seconds.div_ceil(AGE_SECONDS) {
                kernel.age().expect("ages");
            }
        };
        age(&mut kernel, 8);
        let swept = kernel.sweep(&Default::default()).expect("sweeps");
        assert_eq!((swept.open, swept.half_open, swept.forgotten), (1, 1, 0));
        age(&mut kernel, 100);
        let swept = kernel.sweep(&Default::default()).expect("sweeps");
        assert_eq!((swept.open, swept.forgotten), (1, 1));
        let mut ports = Vec::new();
        kernel.flows(|entry| ports.push(entry.port));
        assert_eq!(ports, [[40000, 104]]);
    });
}

#[test]
fn flows_follow_a_station_that_moved_though_it_only_listens() {
    let pins = Pins::new("moved");
    in_namespace(move || {
        let mut kernel = traced(&pins);
        let mut generation = generation();
        let uplink = generation.admissions[&attachment(1, 210)];
        generation.admissions.insert(attachment(1, 211), uplink);
        kernel.install(&generation, 20, 0).expect("installs");
        let goes_on = Tcp {
            flags: 0x10,
            ..syn()
        };
        for (port, frame) in [(0, syn()), (1, answer()), (0, goes_on)] {
            kernel.run(port, &tcp(&frame)).expect("runs");
        }
        let goes_on = tcp(&Tcp {
            flags: 0x10,
            ..syn()
        });
        let egress = |kernel: &Dataplane| kernel.run(0, &goes_on).expect("runs").trace.egress;
        assert_eq!(egress(&kernel), attachment(1, 210));

        // It moves to another VLAN, and speaks there of something else.
        let other = Tcp {
            ports: (40001, 104),
            ..syn()
        };
        kernel.run(0, &tcp(&other)).expect("runs");
        let mut moved = tcp(&Tcp {
            ports: (104, 40001),
            ..answer()
        });
        moved[15] += 1;
        kernel.run(1, &moved).expect("runs");
        assert_eq!(egress(&kernel), attachment(1, 210), "where it was");
        kernel.sweep(&Default::default()).expect("sweeps");
        assert_eq!(egress(&kernel), attachment(1, 211), "where it is");
    });
}

/// Opens a connection from a port of the device's, and has it answered and go on: three frames.
fn established(kernel: &Dataplane, port: u16) {
    let asks = Tcp {
        ports: (port, 104),
        ..syn()
    };
    let answers = Tcp {
        ports: (104, port),
        ..answer()
    };
    let goes_on = Tcp {
        flags: 0x10,
        ..asks
    };
    for (port, frame) in [(0, &asks), (1, &answers), (0, &goes_on)] {
        let run = kernel.run(port, &tcp(frame)).expect("runs");
        assert_eq!(run.trace.reason, 0, "passes");
    }
}

/// Flows by whether both ends were heard: established, half-open.
fn flows(kernel: &Dataplane) -> (usize, usize) {
    let mut count = (0, 0);
    kernel.flows(|entry| match entry.half_open {
        false => count.0 += 1,
        true => count.1 += 1,
    });
    count
}

fn age(kernel: &mut Dataplane, seconds: u64) {
    for _ in 0..seconds.div_ceil(AGE_SECONDS) {
        kernel.age().expect("ages");
    }
}

#[test]
fn a_full_table_lets_new_flows_go_on_half_open_and_takes_none_from_those_established() {
    let pins = Pins::new("full");
    in_namespace(move || {
        let mut kernel = traced_with(&pins, 64);
        kernel.install(&generation(), 10, 0).expect("installs");
        for port in 0..200 {
            established(&kernel, 40000 + port);
        }
        let (established_first, half_open) = flows(&kernel);
        // A few may have found no room in the index, though there was an entry for them.
        assert!(
            (60..=64).contains(&established_first),
            "{established_first}"
        );
        assert_eq!(established_first + half_open, 200);
        let first = |kernel: &Dataplane| {
            let mut ports = Vec::new();
            kernel.flows(|entry| {
                if !entry.half_open {
                    ports.extend(entry.port.into_iter().filter(|port| *port != 104));
                }
            });
            ports.sort_unstable();
            ports
        };
        let before = first(&kernel);
        for port in 0..200 {
            established(&kernel, 41000 + port);
        }
        assert_eq!(first(&kernel), before, "nobody was pushed out");

        // Once they are idle there is room again, for others.
        age(&mut kernel, 37 * 3600);
        let swept = kernel.sweep(&Default::default()).expect("sweeps");
        assert_eq!(swept.open, 0);
        for port in 0..200 {
            established(&kernel, 42000 + port);
        }
        let (again, _) = flows(&kernel);
        assert!((60..=64).contains(&again), "{again}");
    });
}

/// Established flows of a host, by its last octet: the ports it opened them from.
fn ports_of(kernel: &Dataplane, host: u32) -> Vec<u16> {
    let mut ports = Vec::new();
    kernel.flows(|entry| {
        let is_own = |ip: &Ip| ip.is_v4() && ip.low32() == 0x0a15_0000 + host;
        if let Some(end) = entry.address.iter().position(is_own)
            && !entry.half_open
        {
            ports.push(entry.port[end]);
        }
    });
    ports.sort_unstable();
    ports
}

#[test]
fn unlisted_hosts_leave_half_of_the_table_to_others() {
    crowd("share", false);
}

#[test]
fn who_opened_a_flow_is_known_though_only_the_other_end_speaks() {
    crowd("silent-share", true);
}

/// An unlisted host fills the table, beside a listed device and another unlisted host. Where it is `silent` afterwards,
/// its flows were judged anew, by what the other end says.
fn crowd(name: &str, silent: bool) {
    const GUEST: u64 = 0x02_c0_00_00_00_21;
    const FLOODER: u64 = 0x02_c0_00_00_00_22;
    let pins = Pins::new(name);
    in_namespace(move || {
        let mut generation = generation();
        for (number, mac) in [(0x21, GUEST), (0x22, FLOODER)] {
            let address = Ip::v4(0x0a15_0000 + number);
            let device = Device {
                word: number,
                class: 1,
                place: 0,
                address,
            };
            generation.devices.insert(member(7, mac), device);
            let owner = Address {
                device: number,
                segment: 7,
                class: 1,
            };
            generation.addresses.insert(address, owner);
        }
        let mut kernel = traced_with(&pins, 64);
        kernel.install(&generation, 10, 0).expect("installs");
        let (ours, guest, flooder) = (0x0b, 0x21, 0x22);
        let open = |kernel: &Dataplane, host: u32, port: u16| {
            let mac = match host {
                0x21 => GUEST,
                0x22 => FLOODER,
                _ => CT,
            };
            let address = 0x0a15_0000 + host;
            let asks = Tcp {
                macs: (mac, PACS),
                addresses: (address, 0x0ac8_040a),
                ports: (port, 104),
                flags: 2,
            };
            let answers = Tcp {
                macs: (PACS, mac),
                addresses: (0x0ac8_040a, address),
                ports: (104, port),
                flags: 0x12,
            };
            let goes_on = Tcp {
                flags: 0x10,
                ..asks
            };
            for (port, frame) in [(0, &asks), (1, &answers), (0, &goes_on)] {
                let run = kernel.run(port, &tcp(frame)).expect("runs");
                assert_eq!(run.trace.reason, 0, "passes");
            }
        };
        let goes_on = |kernel: &Dataplane, asks: bool, port: u16| {
            let ends = (0x0a15_0000 + flooder, 0x0ac8_040a);
            let frame = match asks {
                true => Tcp {
                    macs: (FLOODER, PACS),
                    addresses: ends,
                    ports: (port, 104),
                    flags: 0x10,
                },
                false => Tcp {
                    macs: (PACS, FLOODER),
                    addresses: (ends.1, ends.0),
                    ports: (104, port),
                    flags: 0x10,
                },
            };
            let run = kernel.run(u16::from(!asks), &tcp(&frame)).expect("runs");
            assert_eq!(run.trace.reason, 0, "passes");
        };
        // Both postures allow all of this.
        let only_answers = |kernel: &mut Dataplane, posture: u8, ports: std::ops::Range<u16>| {
            if silent {
                kernel.set_posture(posture).expect("is put into force");
                ports.for_each(|port| goes_on(kernel, false, port));
            }
        };
        let sweep = |kernel: &mut Dataplane| {
            let listed = |who: u64| who == member(7, CT);
            let swept = kernel
                .sweep_as_told(&Default::default(), &|_| Silence::Usual, &listed)
                .expect("sweeps");
            while kernel.tidy(3).expect("tidies") {}
            swept
        };
        for port in 0..20 {
            open(&kernel, ours, 40000 + port);
        }
        // Longer than TCP may be silent where there is little room: with a crowd out of the way there is enough.
        age(&mut kernel, 2 * 3600);
        for port in 0..3 {
            open(&kernel, guest, 41000 + port);
        }
        for port in 0..20 {
            open(&kernel, flooder, 42000 + port);
        }
        only_answers(&mut kernel, 1, 42000..42020);
        // There is room yet.
        assert_eq!(sweep(&mut kernel).surplus, 0);
        age(&mut kernel, 4);
        for port in 20..200 {
            open(&kernel, flooder, 42000 + port);
        }
        only_answers(&mut kernel, 0, 42020..42200);
        let before = ports_of(&kernel, ours);
        assert_eq!(before.len(), 20);
        open(&kernel, ours, 50000);
        assert_eq!(ports_of(&kernel, ours), before, "there is no room");
        let taken = ports_of(&kernel, flooder).len() as u64;

        let swept = sweep(&mut kernel);
        assert_eq!((swept.surplus, swept.forgotten), (taken - 29, taken - 29));
        assert_eq!(swept.open, 20 + 3 + 29);
        assert_eq!(ports_of(&kernel, ours), before);
        assert_eq!(ports_of(&kernel, guest), [41000, 41001, 41002]);
        let left = ports_of(&kernel, flooder);
        assert_eq!(left.len(), 29);
        let longest_silent = left.iter().filter(|port| **port < 42020).count() as u64;
        assert_eq!(
            longest_silent,
            20u64.saturating_sub(swept.surplus),
            "who was silent longest goes first: {left:?}"
        );

        // Now there is room for those it is kept for, and nobody else has to give.
        for port in 0..20 {
            open(&kernel, ours, 40000 + port);
        }
        for port in 0..8 {
            open(&kernel, ours, 51000 + port);
        }
        // One may have found no room in the index, though there was an entry for it.
        assert!((26..=28).contains(&ports_of(&kernel, ours).len()));
        assert_eq!(sweep(&mut kernel).surplus, 0);
        // Whose flow is gone is judged again, and goes on.
        let gone = (42000..42020).find(|port| !left.contains(port));
        let gone = gone.expect("some of these are gone");
        goes_on(&kernel, true, gone);
        goes_on(&kernel, false, gone);
        // Nobody gives whom the inventory lists.
        for port in 0..100 {
            open(&kernel, ours, 52000 + port);
        }
        let full = ports_of(&kernel, ours);
        sweep(&mut kernel);
        assert_eq!(ports_of(&kernel, ours), full);
        // Every place is somebody's, and nobody else's.
        assert!((60..=64).contains(&flows(&kernel).0));
    });
}

#[test]
fn entries_that_a_killed_sweep_left_behind_are_found_again() {
    let pins = Pins::new("left");
    in_namespace(move || {
        let options = Options {
            trace: true,
            flows4: 64,
            ..Options::new(&pins.0)
        };
        let path = pins.0.clone();
        {
            let (mut kernel, _) = Dataplane::open(&options).expect("loads");
            for (port, nic) in ["eth1", "eth2"].into_iter().enumerate() {
                kernel.attach(port as u16, nic).expect("attaches");
            }
            kernel.install(&generation(), 10, 0).expect("installs");
            for port in 0..40 {
                established(&kernel, 40000 + port);
            }
            age(&mut kernel, 37 * 3600);
            established(&kernel, 50000);
            kernel.sweep(&Default::default()).expect("sweeps");
            assert_eq!(flows(&kernel).0, 1);
        }
        // What is spare is lost, as if whoever withdrew it had been killed before saying so.
        let spare = aya::maps::MapData::from_pin(path.join("SPARE4")).expect("is pinned");
        let mut spare: aya::maps::Stack<_, u32> = aya::maps::Map::from_map_data(spare)
            .and_then(TryInto::try_into)
            .expect("is a stack");
        let mut lost = 0;
        while spare.pop(0).is_ok() {
            lost += 1;
        }
        assert_eq!(lost, 40);

        let (mut kernel, opened) = Dataplane::open(&options).expect("takes over");
        assert_eq!(opened, Opened::Replaced);
        for (port, nic) in ["eth1", "eth2"].into_iter().enumerate() {
            kernel.attach(port as u16, nic).expect("takes over");
        }
        assert_eq!(flows(&kernel).0, 1, "and what was in use still is");
        for port in 0..100 {
            established(&kernel, 41000 + port);
        }
        let (open, _) = flows(&kernel);
        assert!((60..=64).contains(&open), "{open}");
    });
}

/// Lets the server go on with a connection that nobody has seen opened. Waits for the next tick, should it have opened as
/// many in this one as it may.
fn goes_on_unseen(kernel: &Dataplane, number: u32) {
    let frame = tcp(&Tcp {
        addresses: (0x0ac8_0000 | number >> 12, 0x0a15_000b),
        ports: (104, 1024 + (number & 0xfff) as u16),
        flags: 0x10,
        ..answer()
    });
    for _ in 0..2 {
        let run = kernel.run(1, &frame).expect("runs");
        if run.trace.reason == 0 {
            return;
        }
        assert_eq!(run.trace.reason, Reason::FlowLimit as u8);
        std::thread::sleep(std::time::Duration::from_millis(1200));
    }
    panic!("{number} is a flow too many in two ticks");
}

#[test]
fn the_oldest_of_half_open_flows_give_way() {
    const ROOM: u32 = 65536 / 8 * 7;
    let pins = Pins::new("ring");
    in_namespace(move || {
        let mut kernel = traced(&pins);
        kernel.install(&generation(), 20, 0).expect("installs");
        let opened = 2 * ROOM;
        for number in 0..opened {
            goes_on_unseen(&kernel, number);
        }
        let mut there = vec![false; opened as usize];
        kernel.flows(|entry| {
            assert!(entry.half_open);
            let server = entry.address.into_iter().max().expect("two");
            let client = entry.port.into_iter().max().expect("two");
            let number = (server.low32() & 0xffff) << 12 | u32::from(client - 1024);
            there[number as usize] = true;
        });
        let of = |range: std::ops::Range<u32>| {
            let range = range.start as usize..range.end as usize;
            there[range].iter().filter(|there| **there).count()
        };
        // Each row has room for seven: who came first is not pushed out everywhere at the same time.
        let all = of(0..opened);
        assert!(
            all > ROOM as usize * 9 / 10 && all <= ROOM as usize,
            "{all}"
        );
        let (first, last) = (of(0..ROOM / 4), of(opened - ROOM / 4..opened));
        assert!(first < ROOM as usize / 4 / 10, "{first}");
        assert!(last > ROOM as usize / 4 * 99 / 100, "{last}");
    });
}

#[test]
fn a_half_open_flow_stays_where_others_are_established() {
    const FIRST: std::ops::Range<u16> = 50000..50020;
    let pins = Pins::new("free");
    in_namespace(move || {
        // Small enough that some lines of its index are full, and their flows in another.
        let mut kernel = traced_with(&pins, 131_072);
        kernel.install(&generation(), 20, 0).expect("installs");
        let opens = |port| Tcp {
            ports: (port, 104),
            ..syn()
        };
        for port in FIRST {
            kernel.run(0, &tcp(&opens(port))).expect("runs");
        }
        // As many as there is room for, and each gone from there before the next comes.
        for number in 0..60_000 {
            goes_on_unseen(&kernel, number);
            let (server, port) = (0x0ac8_0000 | number >> 12, 1024 + (number & 0xfff) as u16);
            let answers = Tcp {
                addresses: (0x0a15_000b, server),
                ports: (port, 104),
                flags: 0x10,
                ..syn()
            };
            kernel.run(0, &tcp(&answers)).expect("runs");
            goes_on_unseen(&kernel, number);
        }
        // One that is not found goes on as if it were new.
        for number in 0..60_000 {
            goes_on_unseen(&kernel, number);
        }
        let (mut established, mut half_open) = (0, Vec::new());
        kernel.flows(|entry| match entry.half_open {
            false => established += 1,
            true => half_open.extend(entry.port.into_iter().filter(|port| *port != 104)),
        });
        half_open.sort_unstable();
        assert_eq!(half_open, FIRST.collect::<Vec<_>>());
        assert_eq!(established, 60_000);
    });
}
