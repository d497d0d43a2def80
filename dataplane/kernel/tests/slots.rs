//! Writing the slot that is not in force, whole or by a change, while the other stays in force.

mod setup;

use cordon_kernel::Dataplane;
use cordon_tables::{Change, Generation};
use cordon_verdict::abi::cuckoo::pair;
use cordon_verdict::abi::{
    Address, Admission, Device, PolicyKey, PolicyRow, RULE_FIRST, Ruling, attachment, fdb_key,
};
use cordon_verdict::{Ip, Reason};

use setup::{Pins, in_namespace, traced};

const RULES: usize = RULE_FIRST as usize + 1;

/// The MAC and IP address of a device.
fn of(number: u16) -> (u64, Ip) {
    let mac = 0x02_c0_00_00_00_00 | u64::from(number);
    (mac, Ip::v4(0x0a15_0000 | u32::from(number)))
}

fn entries(number: u16, class: u16) -> ((u64, Device), (Ip, Address)) {
    let (mac, address) = of(number);
    let id = u32::from(number);
    let device = Device {
        word: id,
        class,
        bound_to: 0,
        address,
    };
    let bound = Address {
        device: id,
        segment: 7,
        class,
    };
    ((fdb_key(7, mac), device), (address, bound))
}

/// A row that allows everything.
const ROW: PolicyRow = PolicyRow {
    rulings: [Ruling::allow(RULE_FIRST); 6],
};

/// Two devices of class 1 that may send to each other; ports 0 and 1 are attached.
fn generation() -> Generation {
    let mut generation = Generation::default();
    for port in 0..2 {
        let admission = Admission {
            segment: 7,
            flags: Admission::IN_USE,
            unlisted_class: 0,
            copies: 0,
        };
        let number = attachment(port, 210);
        generation.admissions.insert(number, admission);
        generation.floods.insert((7, port), number);
    }
    for number in [1, 2] {
        let (device, address) = entries(number, 1);
        generation.devices.insert(device.0, device.1);
        generation.addresses.insert(address.0, address.1);
    }
    generation.policy.add(1, 1, 0, ROW);
    generation
}

/// The drop reason of a datagram from one device to another, which arrives at port 0.
fn judged(kernel: &Dataplane, from: u16, to: u16) -> u8 {
    let (from, to) = (of(from), of(to));
    let mut frame = Vec::new();
    frame.extend_from_slice(&to.0.to_be_bytes()[2..]);
    frame.extend_from_slice(&from.0.to_be_bytes()[2..]);
    frame.extend_from_slice(&[0x81, 0, 0, 210, 8, 0]);
    frame.extend_from_slice(&[0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0]);
    frame.extend_from_slice(&from.1.low32().to_be_bytes());
    frame.extend_from_slice(&to.1.low32().to_be_bytes());
    frame.extend_from_slice(&[0x9c, 0x40, 0x14, 0xe9, 0, 8, 0, 0]);
    frame.resize(64, 0);
    kernel.run(0, &frame).expect("runs").trace.reason
}

const PASSES: u8 = 0;

#[test]
fn changes_take_effect_only_when_the_slots_are_switched() {
    let pins = Pins::new("amend");
    in_namespace(move || {
        let mut kernel = traced(&pins);
        let mut stager = kernel.stager().expect("opens");
        let other = |kernel: &Dataplane| kernel.control().expect("reads").slot ^ 1;
        for _ in 0..2 {
            let slot = other(&kernel);
            stager.write(slot, &generation(), RULES).expect("writes");
            kernel.flip(0, RULES).expect("flips");
        }
        assert_eq!(judged(&kernel, 1, 2), PASSES);
        assert_eq!(judged(&kernel, 3, 2), Reason::UnknownDevice as u8);

        // Add a device of a new class.
        let (device, address) = entries(3, 2);
        let added = Change {
            devices: [(device.0, Some(device.1))].into(),
            addresses: [(address.0, Some(address.1))].into(),
            sets: vec![(pair(2, 1), 1)],
            rows: vec![(PolicyKey::new(1, 0), ROW)],
        };
        let slot = other(&kernel);
        stager.amend(slot, &added, RULES).expect("writes");
        assert_eq!(
            judged(&kernel, 3, 2),
            Reason::UnknownDevice as u8,
            "not yet"
        );
        let counted = kernel.flip(0, RULES).expect("flips").counted;
        assert_eq!(counted[RULE_FIRST as usize].packets, 1);
        assert_eq!(judged(&kernel, 3, 2), PASSES);
        assert_eq!(judged(&kernel, 1, 2), PASSES);
        assert_eq!(judged(&kernel, 2, 3), Reason::NoRule as u8);

        // A pair of classes that gets an existing set.
        let pair_added = Change {
            sets: vec![(pair(1, 2), 0)],
            ..Change::default()
        };
        let slot = other(&kernel);
        for change in [&added, &pair_added] {
            stager.amend(slot, change, RULES).expect("writes");
        }
        assert_eq!(judged(&kernel, 1, 3), Reason::NoRule as u8, "not yet");
        kernel.flip(0, RULES).expect("flips");
        // The policy allows it now, but both devices were learned at the ingress port.
        assert_eq!(judged(&kernel, 1, 3), Reason::SameAttachment as u8);

        // Remove both. The slot not in force has neither of the last two changes, and gets both.
        let (other_device, address) = entries(2, 1);
        let removed = Change {
            devices: [(device.0, None), (other_device.0, None)].into(),
            addresses: [(of(3).1, None), (address.0, None)].into(),
            ..Change::default()
        };
        let slot = other(&kernel);
        for change in [&pair_added, &removed] {
            stager.amend(slot, change, RULES).expect("writes");
        }
        kernel.flip(0, RULES).expect("flips");
        assert_eq!(judged(&kernel, 3, 1), Reason::UnknownDevice as u8);
        assert_eq!(judged(&kernel, 2, 1), Reason::UnknownDevice as u8);
        assert_ne!(judged(&kernel, 1, 2), PASSES);

        // A change that does not fit is an error, and the generation in force is unaffected.
        let slot = other(&kernel);
        let too_many = Change {
            devices: (100..6000)
                .map(|number| entries(number, 1).0)
                .map(|(key, device)| (key, Some(device)))
                .collect(),
            ..Change::default()
        };
        stager
            .amend(slot, &too_many, RULES)
            .expect_err("does not fit");
        let pairs = Change {
            sets: (100..6000).map(|to| (pair(2, to), 0)).collect(),
            ..Change::default()
        };
        stager.amend(slot, &pairs, RULES).expect_err("does not fit");
        assert_eq!(judged(&kernel, 2, 1), Reason::UnknownDevice as u8);
        let mut large = generation();
        large.apply(&too_many);
        stager.write(slot, &large, RULES).expect("writes");
        let before = kernel.table_bytes().expect("reads");
        kernel.flip(0, RULES).expect("flips");
        assert_eq!(judged(&kernel, 1, 2), PASSES);

        // Tables grow with their policy.
        let slot = other(&kernel);
        stager.write(slot, &large, RULES).expect("writes");
        let after = kernel.table_bytes().expect("reads");
        assert!(
            after.policy > before.policy.map(|bytes| bytes + 2000 * 32),
            "{before:?}, then {after:?}"
        );
        assert_eq!((after.flows, after.other), (before.flows, before.other));
    });
}
