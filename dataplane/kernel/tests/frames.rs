//! The program in the kernel, attached to a veth: verdicts, restarts, station moves.

#[path = "setup/dicom.rs"]
mod dicom;
mod setup;

use cordon_kernel::{Dataplane, Opened, Options};
use cordon_portable::Portable;
use cordon_verdict::Reason;
use cordon_verdict::abi::attachment;

use dicom::{CT, PACS, Tcp, answer, generation, syn, tcp};
use setup::{Pins, in_namespace, traced};

const XDP_DROP: u32 = 1;
const XDP_REDIRECT: u32 = 4;

#[test]
fn the_kernel_and_user_space_reach_the_same_verdicts() {
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

        let unlisted = Tcp {
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
            ("continues", 0, &later, Ok(())),
            ("unknown device", 0, &unlisted, Err(Reason::UnknownDevice)),
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
        let mut emitted = 0;
        while events.next_event().is_some() {
            emitted += 1;
        }
        assert_eq!(emitted, portable.memory.events.len());
    });
}

#[test]
fn pinned_programs_and_maps_outlive_the_process() {
    let pins = Pins::new("outlives");
    let options = Options::new(&pins.0);
    in_namespace(move || {
        {
            let (mut first, _) = Dataplane::open(&options).expect("loads");
            let effort = first.verified_instructions().expect("reads");
            assert!(
                (1..500_000).contains(&effort),
                "{effort}: too close to the verifier's limit"
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
fn flows_follow_a_moved_station_that_only_receives() {
    let pins = Pins::new("moved");
    in_namespace(move || {
        let mut kernel = traced(&pins);
        let mut generation = generation();
        let uplink = generation.admissions[&attachment(1, 210)];
        generation.admissions.insert(attachment(1, 211), uplink);
        kernel.install(&generation, 20, 0).expect("installs");
        let continues = Tcp {
            flags: 0x10,
            ..syn()
        };
        for (port, frame) in [(0, syn()), (1, answer()), (0, continues)] {
            kernel.run(port, &tcp(&frame)).expect("runs");
        }
        let continues = tcp(&Tcp {
            flags: 0x10,
            ..syn()
        });
        let egress = |kernel: &Dataplane| kernel.run(0, &continues).expect("runs").trace.egress;
        assert_eq!(egress(&kernel), attachment(1, 210));

        // The station moves to another VLAN, and sends in another flow there.
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
        assert_eq!(egress(&kernel), attachment(1, 210), "the old location");
        kernel.sweep(&Default::default()).expect("sweeps");
        assert_eq!(egress(&kernel), attachment(1, 211), "the new location");
    });
}
