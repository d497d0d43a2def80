//! The tables of flows in the kernel: full, swept, shared, recovered.

#[path = "setup/dicom.rs"]
mod dicom;
mod setup;

use cordon_kernel::{Dataplane, Opened, Options, Silence};
use cordon_verdict::abi::{AGE_SECONDS, Address, Device, fdb_key};
use cordon_verdict::{Ip, Reason};

use dicom::{CT, PACS, Tcp, answer, generation, syn, tcp};
use setup::{Pins, in_namespace, traced, traced_with};

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

/// A host: its MAC and IP address.
type Host = (u64, u32);

/// The device that the policy lists.
const OURS: Host = (CT, 0x0a15_000b);

/// A frame of a conversation that a host opened with the server, from a port: from the host if it `asks`.
fn between((mac, address): Host, asks: bool, port: u16, flags: u8) -> Tcp {
    let (macs, addresses, ports) = ((mac, PACS), (address, 0x0ac8_040a), (port, 104));
    match asks {
        true => Tcp {
            macs,
            addresses,
            ports,
            flags,
        },
        false => Tcp {
            macs: (macs.1, macs.0),
            addresses: (addresses.1, addresses.0),
            ports: (ports.1, ports.0),
            flags,
        },
    }
}

fn passes(kernel: &Dataplane, asks: bool, frame: &Tcp) {
    let run = kernel.run(u16::from(!asks), &tcp(frame)).expect("runs");
    assert_eq!(run.trace.reason, 0, "passes");
}

/// Opens a connection from a port of a host's, and has it answered and go on: three frames.
fn opens(kernel: &Dataplane, host: Host, port: u16) {
    for (asks, flags) in [(true, 0x02), (false, 0x12), (true, 0x10)] {
        passes(kernel, asks, &between(host, asks, port, flags));
    }
}

/// The same of the listed device.
fn established(kernel: &Dataplane, port: u16) {
    opens(kernel, OURS, port);
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

/// Established flows of a host: the ports it opened them from.
fn ports_of(kernel: &Dataplane, (_, address): Host) -> Vec<u16> {
    let mut ports = Vec::new();
    kernel.flows(|entry| {
        let is_own = |ip: &Ip| ip.is_v4() && ip.low32() == address;
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
    const GUEST: Host = (0x02_c0_00_00_00_21, 0x0a15_0021);
    const FLOODER: Host = (0x02_c0_00_00_00_22, 0x0a15_0022);
    let pins = Pins::new(name);
    in_namespace(move || {
        let mut generation = generation();
        for (number, (mac, address)) in [(0x21, GUEST), (0x22, FLOODER)] {
            let address = Ip::v4(address);
            let device = Device {
                word: number,
                class: 1,
                bound_to: 0,
                address,
            };
            generation.devices.insert(fdb_key(7, mac), device);
            let owner = Address {
                device: number,
                segment: 7,
                class: 1,
            };
            generation.addresses.insert(address, owner);
        }
        let mut kernel = traced_with(&pins, 64);
        kernel.install(&generation, 10, 0).expect("installs");
        let goes_on = |kernel: &Dataplane, asks: bool, port: u16| {
            passes(kernel, asks, &between(FLOODER, asks, port, 0x10));
        };
        // Both postures allow all of this.
        let only_answers = |kernel: &mut Dataplane, posture: u8, ports: std::ops::Range<u16>| {
            if silent {
                kernel.set_posture(posture).expect("is put into force");
                ports.for_each(|port| goes_on(kernel, false, port));
            }
        };
        let sweep = |kernel: &mut Dataplane| {
            let listed = |who: u64| who == fdb_key(7, CT);
            let swept = kernel
                .sweep_as_told(&Default::default(), &|_| Silence::Usual, &listed)
                .expect("sweeps");
            while kernel.tidy(3).expect("tidies") {}
            swept
        };
        for port in 0..20 {
            opens(&kernel, OURS, 40000 + port);
        }
        // Longer than TCP may be silent where there is little room: with a crowd out of the way there is enough.
        age(&mut kernel, 2 * 3600);
        for port in 0..3 {
            opens(&kernel, GUEST, 41000 + port);
        }
        for port in 0..20 {
            opens(&kernel, FLOODER, 42000 + port);
        }
        only_answers(&mut kernel, 1, 42000..42020);
        // There is room yet.
        assert_eq!(sweep(&mut kernel).surplus, 0);
        age(&mut kernel, 4);
        for port in 20..200 {
            opens(&kernel, FLOODER, 42000 + port);
        }
        only_answers(&mut kernel, 0, 42020..42200);
        let before = ports_of(&kernel, OURS);
        assert_eq!(before.len(), 20);
        opens(&kernel, OURS, 50000);
        assert_eq!(ports_of(&kernel, OURS), before, "there is no room");
        let taken = ports_of(&kernel, FLOODER).len() as u64;

        let swept = sweep(&mut kernel);
        assert_eq!((swept.surplus, swept.forgotten), (taken - 29, taken - 29));
        assert_eq!(swept.open, 20 + 3 + 29);
        assert_eq!(ports_of(&kernel, OURS), before);
        assert_eq!(ports_of(&kernel, GUEST), [41000, 41001, 41002]);
        let left = ports_of(&kernel, FLOODER);
        assert_eq!(left.len(), 29);
        let longest_silent = left.iter().filter(|port| **port < 42020).count() as u64;
        assert_eq!(
            longest_silent,
            20u64.saturating_sub(swept.surplus),
            "who was silent longest goes first: {left:?}"
        );

        // Now there is room for those it is kept for, and nobody else has to give.
        for port in 0..20 {
            opens(&kernel, OURS, 40000 + port);
        }
        for port in 0..8 {
            opens(&kernel, OURS, 51000 + port);
        }
        // One may have found no room in the index, though there was an entry for it.
        assert!((26..=28).contains(&ports_of(&kernel, OURS).len()));
        assert_eq!(sweep(&mut kernel).surplus, 0);
        // Whose flow is gone is judged again, and goes on.
        let gone = (42000..42020).find(|port| !left.contains(port));
        let gone = gone.expect("some of these are gone");
        goes_on(&kernel, true, gone);
        goes_on(&kernel, false, gone);
        // Nobody gives whom the inventory lists.
        for port in 0..100 {
            opens(&kernel, OURS, 52000 + port);
        }
        let full = ports_of(&kernel, OURS);
        sweep(&mut kernel);
        assert_eq!(ports_of(&kernel, OURS), full);
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
