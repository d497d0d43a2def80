//! Putting a policy into force: build beside the old ([`Stager`]), flip one word, wait.

use std::collections::{BTreeMap, HashSet};
use std::iter;
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{Array, IterableMap as _, LpmTrie, MapData};
use cordon_portable::{Change, Generation, PolicyTable};
use cordon_verdict::abi::cuckoo::{
    CUCKOO_ADDRESSES, CUCKOO_DEVICES, CUCKOO_PAIRS, address_key, stored,
};
use cordon_verdict::abi::{
    Admission, Control, Counter, FLOOD_MEMBER, PORTS, PortSetting, RULES, SEGMENTS,
    admission_index, ether_type_key, flood_index, port_index, rule_index,
};

use crate::barrier::Hurried;
use crate::batch;
use crate::counters::{self, total};
use crate::error::Error;
use crate::frozen::{self, ADDRESSES, DEVICES, PAIRS, POLICY};
use crate::maps::{FrozenMap, Maps, of};
use crate::program::{Dataplane, next_epoch};
use crate::raw::{Counters, PrefixKey, Record};
use crate::steps;

/// `BPF_F_NO_PREALLOC`, which longest-prefix tables must have.
const NO_PREALLOC: u32 = 1;

/// What a change of policy leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// What is in force now.
    pub control: Control,
    /// What the generation before had counted, by number of the rule.
    pub counted: Vec<Counter>,
}

/// Entries beyond what a generation has, so that devices can be added without writing it anew.
const SPARE: usize = 1024;

impl Dataplane {
    /// Writes policies to the slot that is not in force, beside whatever else the data plane is asked to do. One at a
    /// time: whoever has it must not call [`Dataplane::install`] meanwhile.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn stager(&self) -> Result<Stager, Error> {
        let maps = Maps::open(&self.pins)?;
        Ok(Stager { maps })
    }

    /// Puts a policy and a posture (0 normal to 5 sever) into force together: what [`Stager::write`] and
    /// [`Dataplane::flip`] do, in one.
    ///
    /// # Errors
    /// [`Error::TooMany`], and [`Error::Map`] or [`Error::Batch`] where the kernel has no room: what was in force
    /// stays in force. [`Error::Barrier`], with the new policy in force for every new packet.
    pub fn install(
        &mut self,
        generation: &Generation,
        rules: usize,
        posture: u8,
    ) -> Result<Installed, Error> {
        let slot = self.control()?.slot ^ 1;
        self.stager()?.write(slot, generation, rules)?;
        self.flip(posture, RULES)
    }

    /// Puts what was written to the slot not in force into force, with a posture. On return no packet is judged by
    /// what was before. Flows stay, and are judged again at their next packet. `rules` is how many the policy before
    /// had, to read their counters.
    ///
    /// # Errors
    /// [`Error::Map`]: what was in force stays in force. [`Error::Barrier`], with the new policy in force for every
    /// new packet.
    pub fn flip(&mut self, posture: u8, rules: usize) -> Result<Installed, Error> {
        let _hurried = Hurried::new();
        let before = self.control()?;
        let control = self.set_control(Control {
            epoch: next_epoch(before.epoch),
            posture,
            slot: before.slot ^ 1,
            ..before
        })?;
        let counted = self.rule_counters(before.slot, rules)?;
        Ok(Installed { control, counted })
    }
}

/// Fills slots. It has handles of its own, and touches nothing that packets are judged by.
pub struct Stager {
    pub(crate) maps: Maps,
}

impl Stager {
    /// Writes a generation to a slot, which must not be in force.
    ///
    /// # Errors
    /// [`Error::TooMany`]; [`Error::Map`] or [`Error::Batch`] where the kernel has no room. What the slot holds then is
    /// not certain.
    pub fn write(&mut self, slot: u8, generation: &Generation, rules: usize) -> Result<(), Error> {
        let _hurried = Hurried::new();
        fits("rules", rules, RULES)?;
        let segments = generation
            .admissions
            .values()
            .map(|admission| usize::from(admission.segment) + 1)
            .max();
        fits("segments", segments.unwrap_or(0), SEGMENTS)?;
        self.write_wire(generation, slot)?;
        self.write_arrays(generation, slot)?;
        self.write_settings(generation, slot)?;
        self.write_inner(generation, slot)?;
        self.clear_counters(slot, rules)
    }

    /// Makes another generation of the one in a slot, which must not be in force.
    ///
    /// # Errors
    /// [`Error::Map`] or [`Error::Batch`], also where there is no more room: then it has to be written whole. What the
    /// slot holds is not certain.
    pub fn amend(&mut self, slot: u8, change: &Change, rules: usize) -> Result<(), Error> {
        let index = u32::from(slot);
        let maps = &self.maps;
        let mut map = maps.devices.get(&index, 0).map_err(of(DEVICES.name))?;
        let (gone, come) = apart(&change.devices);
        DEVICES.amend(
            &mut map,
            gone.map(|key| stored(*key)),
            come.map(frozen::device),
        )?;
        let mut map = maps.addresses.get(&index, 0).map_err(of(ADDRESSES.name))?;
        let (gone, come) = apart(&change.addresses);
        ADDRESSES.amend(
            &mut map,
            gone.map(|ip| stored(address_key(*ip))),
            come.map(frozen::address),
        )?;
        if !change.sets.is_empty() {
            let mut map = maps.pairs.get(&index, 0).map_err(of(PAIRS.name))?;
            let pairs = change.sets.iter().map(|(pair, set)| (pair, set));
            PAIRS.amend(&mut map, iter::empty(), pairs.map(frozen::pair))?;
        }
        if !change.rows.is_empty() {
            let mut map = maps.policy.get(&index, 0).map_err(of(POLICY.name))?;
            let rows = change.rows.iter().map(|(key, row)| (key, row));
            POLICY.amend(&mut map, iter::empty(), rows.map(frozen::row))?;
        }
        self.clear_counters(slot, rules)
    }

    fn write_arrays(&mut self, generation: &Generation, slot: u8) -> Result<(), Error> {
        let keys: Vec<u32> = (0..=u16::MAX)
            .map(|attachment| admission_index(slot, attachment))
            .collect();
        let mut admissions = vec![Admission::default(); keys.len()];
        for (attachment, admission) in &generation.admissions {
            admissions[usize::from(*attachment)] = *admission;
        }
        write(
            "ADMISSIONS",
            self.maps.admissions.map().fd().as_fd(),
            &keys,
            &admissions,
        )?;

        let keys: Vec<u32> = (0..=u16::MAX)
            .map(|index| flood_index(slot, index >> 4, index & 0xf))
            .collect();
        let mut floods = vec![0u32; keys.len()];
        for ((segment, port), attachment) in &generation.floods {
            floods[usize::from(*segment) << 4 | usize::from(*port)] =
                FLOOD_MEMBER | u32::from(*attachment);
        }
        write(
            "FLOODS",
            self.maps.floods.map().fd().as_fd(),
            &keys,
            &floods,
        )
    }

    fn write_settings(&mut self, generation: &Generation, slot: u8) -> Result<(), Error> {
        let keys: Vec<u32> = (0..PORTS as u16)
            .map(|port| port_index(slot, port))
            .collect();
        let settings: Vec<PortSetting> = (0..PORTS as u16)
            .map(|port| generation.ports.get(&port).copied().unwrap_or_default())
            .collect();
        let name = "PORT_SETTINGS";
        write(
            name,
            self.maps.port_settings.map().fd().as_fd(),
            &keys,
            &settings,
        )?;

        let name = "ETHER_TYPES";
        let wanted: HashSet<u64> = generation
            .ether_types
            .iter()
            .map(|(segment, ether_type)| ether_type_key(slot, *segment, *ether_type))
            .collect();
        let there = self.maps.ether_types.keys();
        let there: HashSet<u64> = there.collect::<Result<_, _>>().map_err(of(name))?;
        let of_slot = |key: &&u64| **key >> 32 == u64::from(slot);
        for stale in there.difference(&wanted).filter(of_slot) {
            self.maps.ether_types.remove(stale).map_err(of(name))?;
        }
        for key in wanted.difference(&there) {
            self.maps.ether_types.insert(key, 1, 0).map_err(of(name))?;
        }
        Ok(())
    }

    fn write_inner(&mut self, generation: &Generation, slot: u8) -> Result<(), Error> {
        let devices = &generation.devices;
        let map = DEVICES.build(devices.len(), || devices.iter().map(frozen::device))?;
        self.put(slot, DEVICES, &map)?;
        let addresses = &generation.addresses;
        let map = ADDRESSES.build(addresses.len(), || addresses.iter().map(frozen::address))?;
        self.put(slot, ADDRESSES, &map)?;
        let PolicyTable { sets, rows } = &generation.policy;
        let map = PAIRS.build(sets.len(), || sets.iter().map(frozen::pair))?;
        self.put(slot, PAIRS, &map)?;
        let map = POLICY.build(rows.len(), || rows.iter().map(frozen::row))?;
        self.put(slot, POLICY, &map)?;
        let slot = u32::from(slot);

        let name = "NETWORKS";
        let networks: Vec<_> = generation
            .networks()
            .map(|(prefix, network)| {
                (
                    PrefixKey {
                        bits: prefix.bits.into(),
                        address: prefix.address.octets(),
                    },
                    *network,
                )
            })
            .collect();
        let map = LpmTrie::create(room(networks.len()), NO_PREALLOC).map_err(of(name))?;
        fill(
            name,
            map.map(),
            networks.len(),
            networks.iter().map(|(key, value)| (key, value)),
        )?;
        self.maps.networks.set(slot, &map, 0).map_err(of(name))?;
        let map = steps::build(generation)?;
        self.maps.steps.set(slot, &map, 0).map_err(of("TRIE"))?;

        let name = "SERVICE_CLASSES";
        let map = Array::create(generation.services.len() as u32, 0).map_err(of(name))?;
        let keys: Vec<u32> = (0..generation.services.len() as u32).collect();
        write(name, map.map().fd().as_fd(), &keys, &generation.services)?;
        self.maps.services.set(slot, &map, 0).map_err(of(name))
    }

    fn put<const W: usize>(
        &mut self,
        slot: u8,
        table: frozen::Table<W>,
        map: &FrozenMap,
    ) -> Result<(), Error> {
        self.maps
            .masks
            .set(table.mask(slot), map.len() - 1, 0)
            .map_err(of("MASKS"))?;
        let maps = match table.number {
            CUCKOO_DEVICES => &mut self.maps.devices,
            CUCKOO_ADDRESSES => &mut self.maps.addresses,
            CUCKOO_PAIRS => &mut self.maps.pairs,
            _ => &mut self.maps.policy,
        };
        maps.set(u32::from(slot), map, 0).map_err(of(table.name))
    }

    fn clear_counters(&mut self, slot: u8, rules: usize) -> Result<(), Error> {
        let processors = counters::processors()?;
        let keys: Vec<u32> = (0..rules as u32)
            .map(|rule| rule_index(slot, rule))
            .collect();
        let zeroes = vec![Counter::default(); keys.len() * processors];
        let map = self.maps.rules.map().fd().as_fd();
        let values = Counters {
            counters: &zeroes,
            processors,
        };
        batch::update_per_processor(map, &keys, values).map_err(|source| Error::Batch {
            name: "RULE_COUNTERS",
            source,
        })
    }
}

impl Dataplane {
    /// What the rules of a slot have counted so far, summed over processors; the first `limit` of them.
    ///
    /// # Errors
    /// [`Error::Batch`].
    pub fn rule_counters(&self, slot: u8, limit: usize) -> Result<Vec<Counter>, Error> {
        let mut counted = vec![Counter::default(); limit.min(RULES)];
        let map = self.maps.rules.map().fd().as_fd();
        let (first, count) = (rule_index(slot, 0), counted.len());
        counters::range(map, "RULE_COUNTERS", first, count, |index, values| {
            if let Some(to) = counted.get_mut((index - first) as usize) {
                *to = total(values);
            }
        })?;
        while counted.last() == Some(&Counter::default()) {
            counted.pop();
        }
        Ok(counted)
    }
}

/// What a change takes away, and what it sets.
fn apart<K, V>(
    change: &BTreeMap<K, Option<V>>,
) -> (impl Iterator<Item = &K>, impl Iterator<Item = (&K, &V)>) {
    let gone = change.iter().filter(|(_, to)| to.is_none());
    let come = change.iter();
    (
        gone.map(|(key, _)| key),
        come.filter_map(|(key, to)| Some((key, to.as_ref()?))),
    )
}

pub(crate) fn fits(what: &'static str, count: usize, limit: usize) -> Result<(), Error> {
    if count > limit {
        Err(Error::TooMany { what, count, limit })
    } else {
        Ok(())
    }
}

/// What a table has room for: some more than its entries.
pub(crate) fn room(entries: usize) -> u32 {
    (entries + entries / 16 + SPARE) as u32
}

pub(crate) fn write<K: Record, V: Record>(
    name: &'static str,
    map: BorrowedFd<'_>,
    keys: &[K],
    values: &[V],
) -> Result<(), Error> {
    batch::update(map, keys, values).map_err(|source| Error::Batch { name, source })
}

pub(crate) fn fill<'a, K: Record + Send + Sync, V: Record + Send + Sync>(
    name: &'static str,
    map: &MapData,
    count: usize,
    entries: impl Iterator<Item = (&'a K, &'a V)> + Send,
) -> Result<(), Error> {
    batch::fill(map.fd().as_fd(), count, entries).map_err(|source| Error::Batch { name, source })
}
