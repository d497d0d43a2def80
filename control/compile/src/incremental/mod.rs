//! Incremental compilation of a policy that differs from the previous one in a few devices only.
//!
//! Everything that affects the tables is compared; any other difference, and any case that is not certain, takes a full
//! compilation. The result differs from that of a full compilation in two ways that do not change its meaning: devices keep
//! their numbers, and empty classes keep their pairs and rows.

mod compare;

use std::hash::Hash;

use cordon_policy::{Date, Device, Invariant, Policy};
use cordon_tables::{Change, Generation, Table};
use cordon_verdict::abi::cuckoo::pair;
use cordon_verdict::abi::{self, Address};

use compare::{
    is_ahead, numbered, same_but_for_devices, same_in_tables, touches_networks, touches_proxies,
};

use crate::attachments;
use crate::classes::Classes;
use crate::ends::Ends;
use crate::identity::{Example, Identities};
use crate::invariants::Check;
use crate::limits::MAX_CLASSES;
use crate::members::{self, Groups};
use crate::networks::{all_listed, ip_of};
use crate::rows::Rows;
use crate::services::Services;

/// Limit of devices that differ; more take a full compilation.
const MAX_EDITS: usize = 1000;
/// Entries by which a table may differ from the last full compilation, in addition to a sixteenth of its size. It bounds the
/// entries of empty classes, and the entries that lookups have to search in the table of changes. The kernel's tables have
/// room for as many.
const DRIFT: usize = 1024;

/// The intermediate results of a compilation, from which [`update`] compiles the next policy. They identify devices by their
/// numbers in the tables, which do not change, instead of their indices in the policy, which do.
#[derive(Debug)]
pub struct Basis {
    today: Date,
    ends: Ends,
    identities: Identities,
    classes: Classes,
    services: Services,
    rows: Rows,
    /// By index of the device.
    numbers: Vec<u32>,
    /// The first number that no device has had yet.
    next: u32,
}

/// The result of an incremental compilation.
#[derive(Debug)]
pub struct Updated {
    /// Its tables.
    pub generation: Generation,
    /// How they differ from the previous tables.
    pub change: Change,
    /// The number of classes, including empty ones.
    pub classes: usize,
}

impl Basis {
    pub(crate) fn new(
        policy: &Policy,
        today: Date,
        ends: Ends,
        identities: Identities,
        classes: Classes,
        services: Services,
        rows: Rows,
    ) -> Basis {
        let count = policy.devices.len() as u32;
        Basis {
            today,
            ends,
            identities,
            classes,
            services,
            rows,
            numbers: (0..count).collect(),
            next: count,
        }
    }

    /// The number of each device in the tables, by its index in the policy.
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }
}

/// A device that differs: the old one, and the index of the new one.
struct Edit<'a> {
    before: Option<&'a Device>,
    now: Option<usize>,
}

/// Compiles a policy that differs from `old` in a few devices only. `basis` and `generation` are the results for `old`.
///
/// None if other things differ or might: then the caller has to use [`compile`](crate::compile), and must not use `basis` again.
pub fn update(
    basis: &mut Basis,
    generation: &Generation,
    old: &Policy,
    new: &Policy,
    today: Date,
) -> Option<Updated> {
    let drifted = has_drifted(&generation.devices)
        || has_drifted(&generation.addresses)
        || has_drifted(&generation.policy.sets)
        || has_drifted(&generation.policy.rows);
    if today != basis.today || drifted || old.devices.len() != basis.numbers.len() {
        return None;
    }
    let before = std::mem::take(&mut basis.numbers);
    let (numbers, edits) = basis.edits(old, new, &before)?;
    let same = same_but_for_devices((old, &before), (new, &numbers));
    // The flags of attachments depend on whether the segment has bound devices.
    let same = same && attachments::has_bound_devices(old) == attachments::has_bound_devices(new);
    // So do the networks of a segment on whether it lists all its members.
    let same = same && all_listed(old) == all_listed(new);
    if !same || touches_networks(&edits, new) || touches_proxies(&edits, new) {
        return None;
    }
    let mut change = Change::default();
    for device in edits.iter().filter_map(|edit| edit.before) {
        change.devices.insert(members::key(new, device), None);
        let addresses = device.ips.iter();
        change
            .addresses
            .extend(addresses.map(|ip| (ip_of(*ip), None)));
    }
    let known = basis.classes.count();
    // Identities whose flows have not been checked against the invariants.
    let mut unchecked = Vec::new();
    let groups = Groups::new(new, &basis.ends);
    let dhcp_servers = members::dhcp_servers(new);
    for index in edits.iter().filter_map(|edit| edit.now) {
        let (device, number) = (&new.devices[index], numbers[index]);
        let class = basis.class(new, &groups, (index, number), &mut unchecked)?;
        let (key, record) = members::record(
            new,
            device,
            number,
            class,
            &dhcp_servers,
            &generation.stacks,
        );
        change.devices.insert(key, Some(record));
        for ip in &device.ips {
            let address = Address {
                device: number,
                segment: new.segments[device.segment].number,
                class,
            };
            change.addresses.insert(ip_of(*ip), Some(address));
        }
    }
    for class in known..basis.classes.count() {
        let (classes, services) = (&basis.classes, &basis.services);
        let added = basis.rows.extend(new, classes, services, class as u16)?;
        let pairs = added.pairs.into_iter();
        change
            .sets
            .extend(pairs.map(|((from, to), set)| (pair(from, to), set)));
        change.rows.extend(basis.rows.rows(added.sets));
        // A full compilation is faster for so many entries.
        let tables = &generation.policy;
        if change.sets.len() > drift(&tables.sets) || change.rows.len() > drift(&tables.rows) {
            return None;
        }
    }
    unchecked.sort_unstable();
    unchecked.dedup();
    if basis.breaks_invariants(new, &numbers, &unchecked) {
        return None;
    }
    basis.numbers = numbers;
    let mut generation = generation.clone();
    generation.apply(&change);
    Some(Updated {
        generation,
        change,
        classes: basis.classes.count(),
    })
}

impl Basis {
    /// The numbers of the new policy's devices, and the devices that differ.
    fn edits<'a>(
        &mut self,
        old: &'a Policy,
        new: &Policy,
        before: &[u32],
    ) -> Option<(Vec<u32>, Vec<Edit<'a>>)> {
        let (old, new) = (&old.devices[..], &new.devices[..]);
        let mut numbers = Vec::with_capacity(new.len());
        let mut edits = Vec::new();
        let mut at = 0;
        loop {
            let index = numbers.len();
            let (was, is) = (old.get(at), new.get(index));
            match (was, is) {
                (None, None) => return Some((numbers, edits)),
                (Some(was), Some(is)) if was.name == is.name => {
                    numbers.push(before[at]);
                    at += 1;
                    if same_in_tables(was, is) {
                        continue;
                    }
                    edits.push(Edit {
                        before: Some(was),
                        now: Some(index),
                    });
                }
                (Some(was), _) if is.is_none_or(|is| is_ahead(is, &old[at..])) => {
                    at += 1;
                    edits.push(Edit {
                        before: Some(was),
                        now: None,
                    });
                }
                _ => {
                    // The number shares a word with the flags of the device.
                    if self.next >= abi::Device::MAX_ID {
                        return None;
                    }
                    numbers.push(self.next);
                    self.next += 1;
                    edits.push(Edit {
                        before: None,
                        now: Some(index),
                    });
                }
            }
            if edits.len() > MAX_EDITS {
                return None;
            }
        }
    }

    /// The class of a device, by index and number.
    fn class(
        &mut self,
        policy: &Policy,
        groups: &Groups,
        (index, number): (usize, u32),
        unchecked: &mut Vec<u32>,
    ) -> Option<u16> {
        let identity = groups.identity(policy, &self.ends, index, number as usize);
        if let Some(known) = self.identities.find(&identity) {
            if self.identities.get(known).single {
                // Two hosts have it now, so flows between them are possible.
                self.identities.add_holder(known);
                unchecked.push(known as u32);
            }
            return Some(self.classes.of(known));
        }
        let class = self.classes.add(policy, &self.ends, &identity);
        let known = self.identities.add(identity, Example::Device(index));
        unchecked.push(known as u32);
        (class < MAX_CLASSES).then_some(class as u16)
    }

    /// Whether a flow from or to one of some identities breaks an invariant.
    fn breaks_invariants(&self, policy: &Policy, numbers: &[u32], identities: &[u32]) -> bool {
        if identities.is_empty() {
            return false;
        }
        let check = Check {
            policy,
            today: self.today,
            ends: &self.ends,
            identities: &self.identities,
            classes: &self.classes,
            services: &self.services,
            rows: &self.rows,
        };
        policy.invariants.iter().any(|invariant| {
            let invariant = Invariant {
                from: numbered(&invariant.from, numbers).collect(),
                to: numbered(&invariant.to, numbers).collect(),
                ..invariant.clone()
            };
            check.is_broken_by(&invariant, identities)
        })
    }
}

fn has_drifted<K: Copy + Eq + Hash, V: Copy>(table: &Table<K, V>) -> bool {
    table.differing() > drift(table)
}

fn drift<K: Copy + Eq + Hash, V: Copy>(table: &Table<K, V>) -> usize {
    DRIFT + table.len() / 16
}
