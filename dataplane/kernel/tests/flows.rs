//! The flow tables in the kernel: full, swept, under quota, recovered.

#[path = "setup/dicom.rs"]
mod dicom;
mod setup;

use cordon_kernel::{Dataplane, IdleTimeout, Opened, Options};
use cordon_verdict::abi::{AGE_SECONDS, Address, Device, fdb_key};
use cordon_verdict::{Ip, Reason};

use dicom::{CT, PACS, Tcp, answer, generation, syn, tcp};
use setup::{Pins, in_namespace, traced, traced_with};

#[test]
fn a_sweep_removes_idle_flows_only() {
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
        // The gateway has learned the network's location from the answer: the next packet completes this direction's path.
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
        assert_eq!(
            (swept.established, swept.half_open, swept.removed),
            (1, 1, 0)
        );
        age(&mut kernel, 100);
        let swept = kernel.sweep(&Default::default()).expect("sweeps");
        assert_eq!((swept.established, swept.removed), (1, 1));
        let mut ports = Vec::new();
        kernel.flows(|entry| ports.push(entry.port));
        assert_eq!(ports, [[40000, 104]]);
    });
}

/// A host: its MAC and IP address.
type Host = (u64, u32);

/// The listed device.
const LISTED: Host = (CT, 0x0a15_000b);

/// A frame of a connection that a host opened to the server from `port`: to the server if `from_host`, else from it.
fn between((mac, address): Host, from_host: bool, port: u16, flags: u8) -> Tcp {
    let (macs, addresses, ports) = ((mac, PACS), (address, 0x0ac8_040a), (port, 104));
    match from_host {
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

fn passes(kernel: &Dataplane, from_host: bool, frame: &Tcp) {
    let run = kernel
        .run(u16::from(!from_host), &tcp(frame))
        .expect("runs");
    assert_eq!(run.trace.reason, 0, "passes");
}

/// Opens a connection from a port of a host: the three frames of the handshake.
fn opens(kernel: &Dataplane, host: Host, port: u16) {
    for (from_host, flags) in [(true, 0x02), (false, 0x12), (true, 0x10)] {
        passes(kernel, from_host, &between(host, from_host, port, flags));
    }
}

/// Opens a connection of the listed device.
fn established(kernel: &Dataplane, port: u16) {
    opens(kernel, LISTED, port);
}

/// The numbers of established and half-open flows.
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
fn in_a_full_table_established_flows_stay_and_new_ones_remain_half_open() {
    let pins = Pins::new("full");
    in_namespace(move || {
        let mut kernel = traced_with(&pins, 64);
        kernel.install(&generation(), 10, 0).expect("installs");
        for port in 0..200 {
            established(&kernel, 40000 + port);
        }
        let (established_first, half_open) = flows(&kernel);
        // A few may not be in the table although it has free entries: both of their index lines were full.
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
        assert_eq!(first(&kernel), before, "no established flow was evicted");

        // Once they are idle, a sweep makes room for new flows.
        age(&mut kernel, 37 * 3600);
        let swept = kernel.sweep(&Default::default()).expect("sweeps");
        assert_eq!(swept.established, 0);
        for port in 0..200 {
            established(&kernel, 42000 + port);
        }
        let (again, _) = flows(&kernel);
        assert!((60..=64).contains(&again), "{again}");
    });
}

/// The source ports of a host's established flows.
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
fn unlisted_hosts_keep_half_of_a_full_table() {
    flood("quota", false);
}

#[test]
fn a_flow_counts_for_its_opener_even_if_only_the_other_end_sends() {
    flood("quota-answers", true);
}

/// An unlisted host fills the table, which a listed device and another unlisted host use too. If it is `idle` afterwards,
/// its flows are judged again by packets of the other end only.
fn flood(name: &str, idle: bool) {
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
        let continues = |kernel: &Dataplane, from_host: bool, port: u16| {
            passes(kernel, from_host, &between(FLOODER, from_host, port, 0x10));
        };
        // Both postures allow the flows.
        let only_answers = |kernel: &mut Dataplane, posture: u8, ports: std::ops::Range<u16>| {
            if idle {
                kernel.set_posture(posture).expect("is put into force");
                ports.for_each(|port| continues(kernel, false, port));
            }
        };
        let sweep = |kernel: &mut Dataplane| {
            let listed = |key: u64| key == fdb_key(7, CT);
            let swept = kernel
                .sweep_with(&Default::default(), &|_| IdleTimeout::Default, &listed)
                .expect("sweeps");
            while kernel.reclaim(3).expect("frees entries") {}
            swept
        };
        for port in 0..20 {
            opens(&kernel, LISTED, 40000 + port);
        }
        // Longer than the TCP timeout above the high-water mark. It does not apply: without the excess flows the table is
        // below the mark.
        age(&mut kernel, 2 * 3600);
        for port in 0..3 {
            opens(&kernel, GUEST, 41000 + port);
        }
        for port in 0..20 {
            opens(&kernel, FLOODER, 42000 + port);
        }
        only_answers(&mut kernel, 1, 42000..42020);
        // The table is below its high-water mark.
        assert_eq!(sweep(&mut kernel).excess, 0);
        age(&mut kernel, 4);
        for port in 20..200 {
            opens(&kernel, FLOODER, 42000 + port);
        }
        only_answers(&mut kernel, 0, 42020..42200);
        let before = ports_of(&kernel, LISTED);
        assert_eq!(before.len(), 20);
        opens(&kernel, LISTED, 50000);
        assert_eq!(ports_of(&kernel, LISTED), before, "the table is full");
        let taken = ports_of(&kernel, FLOODER).len() as u64;

        let swept = sweep(&mut kernel);
        assert_eq!((swept.excess, swept.removed), (taken - 29, taken - 29));
        assert_eq!(swept.established, 20 + 3 + 29);
        assert_eq!(ports_of(&kernel, LISTED), before);
        assert_eq!(ports_of(&kernel, GUEST), [41000, 41001, 41002]);
        let left = ports_of(&kernel, FLOODER);
        assert_eq!(left.len(), 29);
        let longest_idle = left.iter().filter(|port| **port < 42020).count() as u64;
        assert_eq!(
            longest_idle,
            20u64.saturating_sub(swept.excess),
            "the flows that were idle longest are removed first: {left:?}"
        );

        // Now the listed device finds room, and no further flows are removed.
        for port in 0..20 {
            opens(&kernel, LISTED, 40000 + port);
        }
        for port in 0..8 {
            opens(&kernel, LISTED, 51000 + port);
        }
        // A few may not be in the table although it has free entries: both of their index lines were full.
        assert!((26..=28).contains(&ports_of(&kernel, LISTED).len()));
        assert_eq!(sweep(&mut kernel).excess, 0);
        // A removed flow is judged again, and continues.
        let removed = (42000..42020).find(|port| !left.contains(port));
        let removed = removed.expect("some of these were removed");
        continues(&kernel, true, removed);
        continues(&kernel, false, removed);
        // A listed device loses no flows.
        for port in 0..100 {
            opens(&kernel, LISTED, 52000 + port);
        }
        let full = ports_of(&kernel, LISTED);
        sweep(&mut kernel);
        assert_eq!(ports_of(&kernel, LISTED), full);
        // No entry was lost.
        assert!((60..=64).contains(&flows(&kernel).0));
    });
}

#[test]
fn entries_that_a_killed_sweep_did_not_free_are_recovered() {
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
        // Empty the list of spare entries, as if the daemon had been killed before it freed them.
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
        assert_eq!(flows(&kernel).0, 1, "the flow in use stays");
        for port in 0..100 {
            established(&kernel, 41000 + port);
        }
        let (open, _) = flows(&kernel);
        assert!((60..=64).contains(&open), "{open}");
    });
}

/// Sends a packet of the server in a connection whose opening was not seen. If the server has reached its limit of new
/// flows in this tick, waits for the next one.
fn continues_unseen(kernel: &Dataplane, number: u32) {
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
    panic!("flow {number} exceeds the limit in two ticks");
}

#[test]
fn the_oldest_half_open_flows_are_evicted() {
    const ROOM: u32 = 65536 / 8 * 7;
    let pins = Pins::new("ring");
    in_namespace(move || {
        let mut kernel = traced(&pins);
        kernel.install(&generation(), 20, 0).expect("installs");
        let opened = 2 * ROOM;
        for number in 0..opened {
            continues_unseen(&kernel, number);
        }
        let mut present = vec![false; opened as usize];
        kernel.flows(|entry| {
            assert!(entry.half_open);
            let server = entry.address.into_iter().max().expect("two");
            let client = entry.port.into_iter().max().expect("two");
            let number = (server.low32() & 0xffff) << 12 | u32::from(client - 1024);
            present[number as usize] = true;
        });
        let of = |range: std::ops::Range<u32>| {
            let range = range.start as usize..range.end as usize;
            present[range].iter().filter(|present| **present).count()
        };
        // Each bucket has seven entries: the oldest flows are not evicted from all buckets at the same time.
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
fn establishing_other_flows_does_not_evict_a_half_open_one() {
    const FIRST: std::ops::Range<u16> = 50000..50020;
    let pins = Pins::new("free");
    in_namespace(move || {
        // Small enough that some index lines are full, and their flows in the second line.
        let mut kernel = traced_with(&pins, 131_072);
        kernel.install(&generation(), 20, 0).expect("installs");
        let opening = |port| Tcp {
            ports: (port, 104),
            ..syn()
        };
        for port in FIRST {
            kernel.run(0, &tcp(&opening(port))).expect("runs");
        }
        // As many as the table of half-open flows holds, but each is established before the next one is opened.
        for number in 0..60_000 {
            continues_unseen(&kernel, number);
            let (server, port) = (0x0ac8_0000 | number >> 12, 1024 + (number & 0xfff) as u16);
            let answers = Tcp {
                addresses: (0x0a15_000b, server),
                ports: (port, 104),
                flags: 0x10,
                ..syn()
            };
            kernel.run(0, &tcp(&answers)).expect("runs");
            continues_unseen(&kernel, number);
        }
        // A flow that is not found would be half-open again.
        for number in 0..60_000 {
            continues_unseen(&kernel, number);
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
