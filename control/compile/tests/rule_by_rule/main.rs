//! Property tests: for any policy, any two ends and any service, the tables give the same ruling as the rules evaluated one by
//! one.

#[path = "../common/mod.rs"]
mod common;
mod edits;
mod generate;
mod reference;

use common::{ip, policy, today};
use cordon_compile::compile;
use cordon_policy::{Policy, SourcePosition};
use cordon_tables::Generation;
use cordon_verdict::abi::{CLASS_UNCLASSIFIED, POSTURES, Ruling, SERVICE_OTHER, fdb_key};
use generate::{DEVICES, indices, invariants, rules, site};
use proptest::prelude::*;
use reference::{Attributes, End, attributes, between, broken, ends, expected, segment_of};

/// The class that the verdict looks up for an end.
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
        End::Unclassified => return CLASS_UNCLASSIFIED,
        End::Address(address) | End::ViaUplink(address) => address,
    };
    if let Some(owner) = generation.addresses.get(&ip(address)) {
        return owner.class;
    }
    let network = generation.network(ip(address));
    let segment = segment_of(policy, address).map(|segment| policy.segments[segment].number);
    // The segment of a group address is not used.
    if !ip(address).is_group() {
        let found = network
            .map(|network| network.segment)
            .filter(|segment| *segment != u16::MAX);
        assert_eq!(found, segment, "the segment of {address}");
    }
    match (network, end) {
        (Some(network), End::ViaUplink(_)) => network.via_uplink,
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

/// Compares the rulings for any two ends and any service.
fn tables_agree_with_rules(policy: &Policy, generation: &Generation) -> Result<(), TestCaseError> {
    let ends: Vec<(End, Attributes, u16)> = ends(policy)
        .into_iter()
        .map(|end| (end, attributes(policy, end), class(policy, generation, end)))
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
    fn compiled_tables_agree_with_the_rules(site in site(), rules in rules()) {
        let policy = policy(&site, &rules, DEVICES);
        let generation = compile(&policy, today()).expect("has no invariants").generation;
        tables_agree_with_rules(&policy, &generation)?;
    }

    #[test]
    fn broken_invariants_are_reported_and_no_others(site in site(), rules in rules(), invariants in invariants()) {
        let policy = policy(&site, &format!("{rules}{invariants}"), DEVICES);
        let reported: Vec<SourcePosition> = match compile(&policy, today()) {
            Ok(_) => Vec::new(),
            Err(rejected) => rejected.problems.iter().map(|problem| problem.position).collect(),
        };
        let ends: Vec<(End, Attributes)> = ends(&policy)
            .into_iter()
            .map(|end| (end, attributes(&policy, end)))
            .chain([(End::Unclassified, Attributes::default())])
            .collect();
        for invariant in &policy.invariants {
            let (any, certain) = broken(&policy, &ends, invariant);
            let reported = reported.contains(&invariant.position);
            prop_assert!(reported || !certain, "not reported: {:?}\n{}\n{}", invariant, site, rules);
            prop_assert!(any || !reported, "reported without cause: {:?}\n{}\n{}", invariant, site, rules);
        }
    }
}
