//! A policy of which only a few devices are others than before: what is worked out for all the rest stays.
//!
//! Everything that bears on the tables is compared, and whatever this does not understand, or is unsure of, is
//! compiled whole. Two things are not as a whole compilation would have them, and mean the same: devices keep their
//! numbers, and classes that nobody is in any more keep their pairs and rows.

use std::collections::HashSet;
use std::hash::Hash;
use std::net::IpAddr;

use cordon_policy::{Date, Device, Group, Invariant, Policy, Rule, Selector};
use cordon_portable::{Change, Generation, Table};
use cordon_verdict::abi::cuckoo::pair;
use cordon_verdict::abi::{self, Address};

use crate::attachments;
use crate::classes::Classes;
use crate::ends::Ends;
use crate::identity::{Example, Identities};
use crate::invariants::Check;
use crate::limits::NUMBERS;
use crate::members::{self, Groups};
use crate::networks::ip_of;
use crate::rows::Rows;
use crate::services::Services;

/// Devices that may differ: more of them are compiled whole.
const EDITS: usize = 1000;
/// Entries by which a table may differ from that which was compiled whole, beside a sixteenth of it: so that neither
/// what nobody is in any more adds up, nor what has to be looked for in two places. The kernel's have as much room.
const DRIFT: usize = 1024;
/// How far to look for where two lists of devices go on alike.
const AHEAD: usize = 16;

/// What was worked out for a policy, for the next one to go on from. In it devices are named by their numbers in the
/// tables, which stay, and not by their indices in a policy, which do not.
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
    /// The first number that no device had so far.
    next: u32,
}

/// A policy that was brought up to date.
#[derive(Debug)]
pub struct Updated {
    /// Its tables.
    pub generation: Generation,
    /// How they differ from those before.
    pub change: Change,
    /// Classes, those that nobody is in any more included.
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

    /// By the index of a device, its number in the tables.
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }
}

/// A device that is another than before: what it was, and the index of what it is.
struct Edit<'a> {
    before: Option<&'a Device>,
    now: Option<usize>,
}

/// Brings tables up to date with a policy that differs from that of `basis` in a few devices only. `old` is that
/// policy, and `generation` its tables. None where that is not so, or not certain: then it has to be compiled whole,
/// and `basis` is of no use any more.
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
    // Attachments say whether there are bound devices.
    let same = same && attachments::bound(old) == attachments::bound(new);
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
    // Identities that someone has whom nobody checked the invariants for.
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
        // So many are quicker written whole.
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
    generation.change(&change);
    Some(Updated {
        generation,
        change,
        classes: basis.classes.count(),
    })
}

impl Basis {
    /// The numbers of the new policy's devices, and those that are not as they were.
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
                    if same_to_tables(was, is) {
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
                    // The flags of a device begin behind its number.
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
            if edits.len() > EDITS {
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
                // There can be a flow between two who have it from now on.
                self.identities.again(known);
                unchecked.push(known as u32);
            }
            return Some(self.classes.of(known));
        }
        let class = self.classes.add(policy, &self.ends, &identity);
        let known = self.identities.add(identity, Example::Device(index));
        unchecked.push(known as u32);
        (class < NUMBERS).then_some(class as u16)
    }

    fn breaks_invariants(&self, policy: &Policy, numbers: &[u32], who: &[u32]) -> bool {
        if who.is_empty() {
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
            check.is_broken_by(&invariant, who)
        })
    }
}

fn has_drifted<K: Copy + Eq + Hash, V: Copy>(table: &Table<K, V>) -> bool {
    table.differing() > drift(table)
}

fn drift<K: Copy + Eq + Hash, V: Copy>(table: &Table<K, V>) -> usize {
    DRIFT + table.len() / 16
}

/// Whether a device comes soon in a list of others: then what is before it there was removed.
fn is_ahead(device: &Device, others: &[Device]) -> bool {
    let mut soon = others.iter().take(AHEAD);
    soon.any(|other| other.name == device.name)
}

/// Whether nothing of a device that the tables say has changed.
fn same_to_tables(one: &Device, other: &Device) -> bool {
    one.mac == other.mac
        && one.segment == other.segment
        && one.ips == other.ips
        && one.binding == other.binding
        && one.profile == other.profile
}

/// The same selectors, with the numbers of devices instead of their indices.
fn numbered(selectors: &[Selector], numbers: &[u32]) -> impl Iterator<Item = Selector> {
    selectors.iter().map(|selector| match *selector {
        Selector::Device(index) => Selector::Device(numbers[index] as usize),
        other => other,
    })
}

/// A policy, and by index the numbers of its devices.
type Numbered<'a> = (&'a Policy, &'a [u32]);

/// Whether two policies are the same, but for devices that nothing names one by one.
fn same_but_for_devices((old, before): Numbered, (new, now): Numbered) -> bool {
    let ends =
        |one: &[Selector], other: &[Selector]| numbered(one, before).eq(numbered(other, now));
    let rule = |one: &Rule, other: &Rule| {
        ends(&one.from, &other.from)
            && ends(&one.to, &other.to)
            && one.services == other.services
            && one.allow == other.allow
            && one.survives == other.survives
            && one.expires == other.expires
            && one.origin == other.origin
    };
    let group = |one: &Group, other: &Group| {
        let devices = |group: &Group, numbers: &[u32]| -> Vec<u32> {
            group.devices.iter().map(|index| numbers[*index]).collect()
        };
        one.name == other.name
            && one.profiles == other.profiles
            && one.networks == other.networks
            && devices(one, before) == devices(other, now)
    };
    let invariant = |one: &Invariant, other: &Invariant| {
        ends(&one.from, &other.from)
            && ends(&one.to, &other.to)
            && one.services == other.services
            && one.at == other.at
            && one.allow == other.allow
    };
    old.ports == new.ports
        && old.segments == new.segments
        && old.zones == new.zones
        && all(&old.groups, &new.groups, group)
        && all(&old.rules, &new.rules, rule)
        && all(&old.invariants, &new.invariants, invariant)
}

/// Whether the gateway stands in for a device that has changed: the table of these is written whole.
fn touches_proxies(edits: &[Edit], policy: &Policy) -> bool {
    let stands_in = |device: &Device| policy.segments[device.segment].proxy;
    edits.iter().any(|edit| {
        edit.before.is_some_and(stands_in)
            || edit
                .now
                .is_some_and(|index| stands_in(&policy.devices[index]))
    })
}

fn all<T>(one: &[T], other: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
}

/// Whether an address that is bound now and was not, or was and is not any more, is a network of its own: then that
/// network comes or goes with it.
fn touches_networks(edits: &[Edit], policy: &Policy) -> bool {
    let before: HashSet<IpAddr> = edits
        .iter()
        .filter_map(|edit| edit.before)
        .flat_map(|device| device.ips.iter().copied())
        .collect();
    let now: HashSet<IpAddr> = edits
        .iter()
        .filter_map(|edit| edit.now)
        .flat_map(|index| policy.devices[index].ips.iter().copied())
        .collect();
    let differing: HashSet<&IpAddr> = before.symmetric_difference(&now).collect();
    let subnets = policy.segments.iter().flat_map(|segment| &segment.subnets);
    let zones = policy.zones.iter().flat_map(|zone| &zone.networks);
    let groups = policy.groups.iter().flat_map(|group| &group.networks);
    let mut hosts = subnets
        .chain(zones)
        .chain(groups)
        .filter(|net| net.prefix_len() == net.max_prefix_len());
    hosts.any(|net| differing.contains(&net.addr()))
}
