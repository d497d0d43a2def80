//! Property test of incremental compilation: after devices are added, removed and changed, the tables still agree with the
//! rules.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};

use cordon_compile::{Compiled, Updated, compile, update};
use cordon_policy::Policy;
use cordon_tables::Generation;
use cordon_verdict::Ip;
use cordon_verdict::abi::Device;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::common::{policy, today};
use crate::generate::{invariants, rules, site};
use crate::tables_agree_with_rules;

/// Addresses of the devices of each segment; one is also a network of a group or zone.
const IPS: [&[&str]; 3] = [
    &[
        "10.1.1.11",
        "10.1.1.129",
        "10.1.1.130",
        "2001:db8:1::9",
        "2001:db8:1::11",
    ],
    &["10.1.2.7"],
    &["10.9.0.1"],
];

/// Rules name some of these devices; the others are added and removed.
const NAMES: [&str; 9] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];

/// A device: whether it is listed, its segment, profile, address, whether it has its second MAC address, and its binding.
type Generated = (bool, usize, usize, usize, bool, usize);

fn listed(devices: &[Generated]) -> String {
    let mut taken = HashSet::new();
    let mut text = String::new();
    for (number, (present, segment, profile, address, other, bound)) in devices.iter().enumerate() {
        if !present && number > 3 {
            continue;
        }
        let address = IPS[*segment].get(*address).copied().unwrap_or("");
        let address = if taken.insert(address) { address } else { "" };
        text += &format!(
            "{},02:00:00:00:{:02x}:{number:02x},{address},s{segment},{},{}\n",
            NAMES[number],
            u8::from(*other),
            ["p", "q", ""][*profile],
            match bound {
                0..5 => "access0".to_owned(),
                5..10 => format!("access0.{}", segment + 1),
                10..15 => format!("access0.9.{}", segment + 1),
                _ => String::new(),
            }
        );
    }
    text
}

/// A sequence of inventories, each with a few devices that differ from the previous one.
fn inventories() -> impl Strategy<Value = Vec<String>> {
    let device = || {
        let present = proptest::bool::weighted(0.6);
        (
            present,
            0..3usize,
            0..3usize,
            0..8usize,
            proptest::bool::weighted(0.2),
            // Most are bound: the first and last bound device of a segment takes a full compilation.
            0..16usize,
        )
    };
    let first = proptest::collection::vec(device(), NAMES.len());
    let edit = (0..NAMES.len(), device());
    let edits = proptest::collection::vec(proptest::collection::vec(edit, 1..3), 1..5);
    (first, edits).prop_map(|(mut devices, edits)| {
        let mut inventories = vec![listed(&devices)];
        for edit in edits {
            for (at, device) in edit {
                devices[at] = device;
            }
            inventories.push(listed(&devices));
        }
        inventories
    })
}

#[derive(Default)]
struct Tally {
    incremental: Cell<usize>,
    full: Cell<usize>,
    new_rows: Cell<usize>,
}

fn count(cell: &Cell<usize>) {
    cell.set(cell.get() + 1);
}

#[test]
fn incrementally_compiled_tables_agree_with_the_rules() {
    let mut runner = TestRunner::new(Config::with_cases(150));
    let tally = Tally::default();
    let all = (site(), rules(), invariants(), inventories());
    let result = runner.run(&all, |(site, rules, invariants, inventories)| {
        // Keep the invariants if they hold for the first inventory.
        let checked = format!("{rules}{invariants}");
        let rules = match compile(&policy(&site, &checked, &inventories[0]), today()) {
            Ok(_) => checked,
            Err(_) => rules,
        };
        let mut old = policy(&site, &rules, &inventories[0]);
        let mut before = compile(&old, today()).expect("keeps its invariants");
        for inventory in &inventories[1..] {
            let new = policy(&site, &rules, inventory);
            let full = compile(&new, today());
            match update(&mut before.basis, &before.generation, &old, &new, today()) {
                Some(updated) => {
                    let Ok(full) = full else {
                        return Err(TestCaseError::fail(
                            "an invariant is broken, but the update does not report it",
                        ));
                    };
                    check(&new, &before, &updated)?;
                    prop_assert_eq!(bindings(&updated.generation), bindings(&full.generation));
                    prop_assert_eq!(
                        admissions(&updated.generation),
                        admissions(&full.generation)
                    );
                    count(&tally.incremental);
                    if !updated.change.sets.is_empty() {
                        count(&tally.new_rows);
                    }
                    before.generation = updated.generation;
                }
                None => {
                    count(&tally.full);
                    match full {
                        Ok(full) => before = full,
                        Err(_) => return Ok(()),
                    }
                }
            }
            old = new;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let (incremental, full) = (tally.incremental.get(), tally.full.get());
    println!(
        "incremental {incremental} times, {} with new rows; full {full} times",
        tally.new_rows.get()
    );
    assert!(
        incremental > 2 * full,
        "incremental {incremental}, full {full}"
    );
    assert!(tally.new_rows.get() > 20);
}

/// The flags, binding and address of every device, which do not depend on its number and class.
fn bindings(generation: &Generation) -> BTreeMap<u64, (u32, u16, Ip)> {
    let devices = generation.devices.iter();
    let bindings = devices.map(|(key, device)| {
        let flags = device.word & !Device::MAX_ID;
        (*key, (flags, device.bound_to, device.address))
    });
    bindings.collect()
}

/// The segment and flags of every attachment.
fn admissions(generation: &Generation) -> BTreeMap<u16, (u16, u16)> {
    let all = generation.admissions.iter();
    let admissions = all.map(|(number, one)| (*number, (one.segment, one.flags)));
    admissions.collect()
}

fn check(new: &Policy, before: &Compiled, updated: &Updated) -> Result<(), TestCaseError> {
    tables_agree_with_rules(new, &updated.generation)?;
    let mut changed = before.generation.clone();
    changed.apply(&updated.change);
    prop_assert!(changed == updated.generation);
    // The tables have no other entries.
    prop_assert_eq!(updated.generation.devices.len(), new.devices.len());
    let addresses = new
        .devices
        .iter()
        .map(|device| device.ips.len())
        .sum::<usize>();
    prop_assert_eq!(updated.generation.addresses.len(), addresses);
    let numbers = updated
        .generation
        .devices
        .values()
        .map(|device| device.id());
    prop_assert_eq!(numbers.collect::<HashSet<u32>>().len(), new.devices.len());
    for (ip, address) in updated.generation.addresses.iter() {
        let owner = updated
            .generation
            .devices
            .values()
            .find(|device| device.id() == address.device);
        prop_assert_eq!(
            owner.map(|owner| owner.class),
            Some(address.class),
            "{:?}",
            ip
        );
    }
    Ok(())
}
