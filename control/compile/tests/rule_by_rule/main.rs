//! The tables against the rules, read one by one: for any policy, any two ends and any service, both say the same.

#[path = "../common/mod.rs"]
mod common;
mod edits;
mod made;
mod read;

use common::{ip, policy, today};
use cordon_compile::compile;
use cordon_policy::{Place, Policy};
use cordon_portable::Generation;
use cordon_verdict::abi::{CLASS_UNCLASSIFIED, POSTURES, Ruling, SERVICE_OTHER, fdb_key};
use made::{DEVICES, indices, invariants, rules, site};
use proptest::prelude::*;
use read::{End, Who, between, broken, ends, expected, segment_of, who};

/// The class the verdict finds for an end.
fn class(policy: &Policy, generation: &Generation, end: End) -> u16 {
    let address = match end {
        End::Device(index) => {
            let device = &policy.devices[index];
            let [a, b, c, d, e, f] = device.mac.0;
            let mac = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
            return generation.devices[&fdb_key(policy.segments[device.segment].number, mac)].class;
        }
        End::Unlisted(segment) => {
            let mut all = generation.admissions.values();
            return all
                .find(|admission| admission.segment == policy.segments[segment].number)
                .expect("is attached")
                .unlisted_class;
        }
        End::Stranger => return CLASS_UNCLASSIFIED,
        End::Address(address) | End::Behind(address) => address,
    };
    if let Some(owner) = generation.addresses.get(&ip(address)) {
        return owner.class;
    }
    let network = generation.network(ip(address));
    let segment = segment_of(policy, address).map(|segment| policy.segments[segment].number);
    // Of a multicast address nobody asks for the segment.
    if !ip(address).is_group() {
        let found = network
            .map(|network| network.segment)
            .filter(|segment| *segment != u16::MAX);
        assert_eq!(found, segment, "the segment of {address}");
    }
    match (network, end) {
        (Some(network), End::Behind(_)) => network.via_uplink,
        (Some(network), _) => network.class,
        (None, _) => CLASS_UNCLASSIFIED,
    }
}

fn found(generation: &Generation, from: u16, to: u16, index: u32) -> [Ruling; POSTURES] {
    let service = generation.services[index as usize];
    let row = |service| generation.policy.row(from, to, service);
    row(service)
        .or_else(|| row(SERVICE_OTHER))
        .map_or([Ruling::NONE; POSTURES], |row| row.rulings)
}

/// Any two ends and any service.
fn says_what_the_rules_say(policy: &Policy, generation: &Generation) -> Result<(), TestCaseError> {
    let ends: Vec<(End, Who, u16)> = ends(policy)
        .into_iter()
        .map(|end| (end, who(policy, end), class(policy, generation, end)))
        .collect();
    for (from, from_is, from_class) in &ends {
        for (to, to_is, to_class) in &ends {
            let between = between(policy, from_is, to_is);
            for index in indices() {
                let expected = expected(policy, (from_is, to_is), &between, index);
                let found = found(generation, *from_class, *to_class, index);
                prop_assert_eq!(found, expected, "{:?} to {:?} by {}", from, to, index);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn tables_say_what_the_rules_say(site in site(), rules in rules()) {
        let policy = policy(&site, &rules, DEVICES);
        let generation = compile(&policy, today()).expect("has no invariants").generation;
        says_what_the_rules_say(&policy, &generation)?;
    }

    #[test]
    fn invariants_are_broken_by_whom_they_say(site in site(), rules in rules(), invariants in invariants()) {
        let policy = policy(&site, &format!("{rules}{invariants}"), DEVICES);
        let said: Vec<Place> = match compile(&policy, today()) {
            Ok(_) => Vec::new(),
            Err(rejected) => rejected.problems.iter().map(|problem| problem.place).collect(),
        };
        let ends: Vec<(End, Who)> = ends(&policy)
            .into_iter()
            .map(|end| (end, who(&policy, end)))
            .chain([(End::Stranger, Who::default())])
            .collect();
        for invariant in &policy.invariants {
            let (any, surely) = broken(&policy, &ends, invariant);
            let said = said.contains(&invariant.place);
            prop_assert!(said || !surely, "not said: {:?}\n{}\n{}", invariant, site, rules);
            prop_assert!(any || !said, "said in vain: {:?}\n{}\n{}", invariant, site, rules);
        }
    }
}
