//! Devices that come, go and change: what is brought up to date says what the rules say.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};

use cordon_compile::{Compiled, Updated, compile, update};
use cordon_policy::Policy;
use cordon_portable::Generation;
use cordon_verdict::Ip;
use cordon_verdict::abi::Device;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::common::{policy, today};
use crate::made::{invariants, rules, site};
use crate::says_what_the_rules_say;

/// Addresses that a device of each segment may have; one is a network of its own.
const FREE: [&[&str]; 3] = [
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

/// Rules name some of these; the others come and go.
const NAMES: [&str; 9] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];

/// What a device is: whether it is there, its segment, profile, address, whether it has another MAC address, and where it is
/// bound to.
type Made = (bool, usize, usize, usize, bool, usize);

fn listed(devices: &[Made]) -> String {
    let mut taken = HashSet::new();
    let mut text = String::new();
    for (number, (there, segment, profile, address, other, bound)) in devices.iter().enumerate() {
        if !there && number > 3 {
            continue;
        }
        let address = FREE[*segment].get(*address).copied().unwrap_or("");
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

/// Inventories, each with a few devices that differ from the one before.
fn inventories() -> impl Strategy<Value = Vec<String>> {
    let device = || {
        let there = proptest::bool::weighted(0.6);
        (
            there,
            0..3usize,
            0..3usize,
            0..8usize,
            proptest::bool::weighted(0.2),
            // Few that are not bound: with the first or the last that is in a segment all is compiled anew.
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
    brought: Cell<usize>,
    whole: Cell<usize>,
    new_rows: Cell<usize>,
}

fn count(cell: &Cell<usize>) {
    cell.set(cell.get() + 1);
}

#[test]
fn what_is_brought_up_to_date_says_what_the_rules_say() {
    let mut runner = TestRunner::new(Config::with_cases(150));
    let tally = Tally::default();
    let all = (site(), rules(), invariants(), inventories());
    let result = runner.run(&all, |(site, rules, invariants, inventories)| {
        // Of the invariants only such as hold at first can be of use.
        let checked = format!("{rules}{invariants}");
        let rules = match compile(&policy(&site, &checked, &inventories[0]), today()) {
            Ok(_) => checked,
            Err(_) => rules,
        };
        let mut old = policy(&site, &rules, &inventories[0]);
        let mut before = compile(&old, today()).expect("keeps its invariants");
        for inventory in &inventories[1..] {
            let new = policy(&site, &rules, inventory);
            let whole = compile(&new, today());
            match update(&mut before.basis, &before.generation, &old, &new, today()) {
                Some(updated) => {
                    let Ok(whole) = whole else {
                        return Err(TestCaseError::fail(
                            "an invariant is broken, and nobody says so",
                        ));
                    };
                    check(&new, &before, &updated)?;
                    prop_assert_eq!(held(&updated.generation), held(&whole.generation));
                    prop_assert_eq!(admitted(&updated.generation), admitted(&whole.generation));
                    count(&tally.brought);
                    if !updated.change.sets.is_empty() {
                        count(&tally.new_rows);
                    }
                    before.generation = updated.generation;
                }
                None => {
                    count(&tally.whole);
                    match whole {
                        Ok(whole) => before = whole,
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
    let (brought, whole) = (tally.brought.get(), tally.whole.get());
    println!(
        "{brought} times, {} with new rows; whole {whole} times",
        tally.new_rows.get()
    );
    assert!(brought > 2 * whole, "brought {brought}, whole {whole}");
    assert!(tally.new_rows.get() > 20);
}

/// What every device is held to, whatever its number and class.
fn held(generation: &Generation) -> BTreeMap<u64, (u32, u16, Ip)> {
    let devices = generation.devices.iter();
    let held = devices.map(|(key, device)| {
        let flags = device.word & !Device::MAX_ID;
        (*key, (flags, device.bound_to, device.address))
    });
    held.collect()
}

/// Every attachment's segment and flags.
fn admitted(generation: &Generation) -> BTreeMap<u16, (u16, u16)> {
    let admissions = generation.admissions.iter();
    let admitted = admissions.map(|(number, one)| (*number, (one.segment, one.flags)));
    admitted.collect()
}

fn check(new: &Policy, before: &Compiled, updated: &Updated) -> Result<(), TestCaseError> {
    says_what_the_rules_say(new, &updated.generation)?;
    let mut changed = before.generation.clone();
    changed.change(&updated.change);
    prop_assert!(changed == updated.generation);
    // Nothing else is in the tables.
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
