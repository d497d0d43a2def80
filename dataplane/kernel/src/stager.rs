//! Writing a generation to the slot that is not in force.

use std::collections::{BTreeMap, HashSet};
use std::iter;
use std::os::fd::AsFd;
use std::path::Path;

use aya::maps::{Array, IterableMap as _, LpmTrie};
use cordon_tables::{Change, Generation, PolicyTable};
use cordon_verdict::abi::cuckoo::{
    CUCKOO_ADDRESSES, CUCKOO_DEVICES, CUCKOO_PAIRS, address_key, stored,
};
use cordon_verdict::abi::{
    Admission, Counter, FLOOD_MEMBER, PORTS, PortSetting, RULES, SEGMENTS, admission_index,
    ether_type_key, flood_index, port_index, rule_index,
};

use crate::barrier::Expedited;
use crate::batch;
use crate::capacity::{fits, room};
use crate::cuckoo::{self, ADDRESSES, CuckooMap, CuckooTable, DEVICES, PAIRS, POLICY};
use crate::error::Error;
use crate::maps::Maps;
use crate::per_processor;
use crate::pins::of;
use crate::raw::{Counters, PrefixKey};
use crate::{tag_tables, trie};

/// `BPF_F_NO_PREALLOC`, which LPM maps must have.
const NO_PREALLOC: u32 = 1;

/// Writes slots through map handles of its own. It never changes the slot in force.
pub struct Stager {
    maps: Maps,
}

impl Stager {
    /// Opens the maps that are pinned in `pins`.
    pub(crate) fn open(pins: &Path) -> Result<Stager, Error> {
        let maps = Maps::open(pins)?;
        Ok(Stager { maps })
    }

    /// Writes a generation to a slot, which must not be in force.
    ///
    /// # Errors
    /// [`Error::TooMany`]; [`Error::Map`] or [`Error::Batch`] if the kernel has no memory for it. The contents of the slot
    /// are undefined then.
    pub fn write(&mut self, slot: u8, generation: &Generation, rules: usize) -> Result<(), Error> {
        let _expedited = Expedited::new();
        fits("rules", rules, RULES)?;
        let segments = generation
            .admissions
            .values()
            .map(|admission| usize::from(admission.segment) + 1)
            .max();
        fits("segments", segments.unwrap_or(0), SEGMENTS)?;
        tag_tables::write(&mut self.maps, generation, slot)?;
        self.write_arrays(generation, slot)?;
        self.write_settings(generation, slot)?;
        self.write_inner(generation, slot)?;
        self.clear_counters(slot, rules)
    }

    /// Applies a change to the generation in a slot, which must not be in force.
    ///
    /// # Errors
    /// [`Error::Map`] or [`Error::Batch`], also if a table is full. The contents of the slot are undefined then: write the
    /// whole generation.
    pub fn amend(&mut self, slot: u8, change: &Change, rules: usize) -> Result<(), Error> {
        let index = u32::from(slot);
        let maps = &self.maps;
        let mut map = maps.devices.get(&index, 0).map_err(of(DEVICES.name))?;
        let (removed, added) = split(&change.devices);
        DEVICES.amend(
            &mut map,
            removed.map(|key| stored(*key)),
            added.map(cuckoo::device),
        )?;
        let mut map = maps.addresses.get(&index, 0).map_err(of(ADDRESSES.name))?;
        let (removed, added) = split(&change.addresses);
        ADDRESSES.amend(
            &mut map,
            removed.map(|ip| stored(address_key(*ip))),
            added.map(cuckoo::address),
        )?;
        if !change.sets.is_empty() {
            let mut map = maps.pairs.get(&index, 0).map_err(of(PAIRS.name))?;
            let pairs = change.sets.iter().map(|(pair, set)| (pair, set));
            PAIRS.amend(&mut map, iter::empty(), pairs.map(cuckoo::pair))?;
        }
        if !change.rows.is_empty() {
            let mut map = maps.policy.get(&index, 0).map_err(of(POLICY.name))?;
            let rows = change.rows.iter().map(|(key, row)| (key, row));
            POLICY.amend(&mut map, iter::empty(), rows.map(cuckoo::row))?;
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
        batch::update(
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
        batch::update(
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
        batch::update(
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
        let present = self.maps.ether_types.keys();
        let present: HashSet<u64> = present.collect::<Result<_, _>>().map_err(of(name))?;
        let of_slot = |key: &&u64| **key >> 32 == u64::from(slot);
        for stale in present.difference(&wanted).filter(of_slot) {
            self.maps.ether_types.remove(stale).map_err(of(name))?;
        }
        for key in wanted.difference(&present) {
            self.maps.ether_types.insert(key, 1, 0).map_err(of(name))?;
        }
        Ok(())
    }

    fn write_inner(&mut self, generation: &Generation, slot: u8) -> Result<(), Error> {
        let devices = &generation.devices;
        let map = DEVICES.build(devices.len(), || devices.iter().map(cuckoo::device))?;
        self.put(slot, DEVICES, &map)?;
        let addresses = &generation.addresses;
        let map = ADDRESSES.build(addresses.len(), || addresses.iter().map(cuckoo::address))?;
        self.put(slot, ADDRESSES, &map)?;
        let PolicyTable { sets, rows } = &generation.policy;
        let map = PAIRS.build(sets.len(), || sets.iter().map(cuckoo::pair))?;
        self.put(slot, PAIRS, &map)?;
        let map = POLICY.build(rows.len(), || rows.iter().map(cuckoo::row))?;
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
        batch::fill(
            name,
            map.map().fd().as_fd(),
            networks.len(),
            networks.iter().map(|(key, value)| (key, value)),
        )?;
        self.maps.networks.set(slot, &map, 0).map_err(of(name))?;
        let map = trie::build(generation)?;
        self.maps.trie.set(slot, &map, 0).map_err(of("TRIE"))?;

        let name = "SERVICE_CLASSES";
        let map = Array::create(generation.services.len() as u32, 0).map_err(of(name))?;
        let keys: Vec<u32> = (0..generation.services.len() as u32).collect();
        batch::update(name, map.map().fd().as_fd(), &keys, &generation.services)?;
        self.maps.services.set(slot, &map, 0).map_err(of(name))
    }

    fn put<const W: usize>(
        &mut self,
        slot: u8,
        table: CuckooTable<W>,
        map: &CuckooMap,
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
        let processors = per_processor::processors()?;
        let keys: Vec<u32> = (0..rules as u32)
            .map(|rule| rule_index(slot, rule))
            .collect();
        let zeroes = vec![Counter::default(); keys.len() * processors];
        let map = self.maps.rules.map().fd().as_fd();
        let values = Counters {
            counters: &zeroes,
            processors,
        };
        batch::update_per_processor("RULE_COUNTERS", map, &keys, values)
    }
}

/// The removed keys of a change, and its added or replaced entries.
fn split<K, V>(
    change: &BTreeMap<K, Option<V>>,
) -> (impl Iterator<Item = &K>, impl Iterator<Item = (&K, &V)>) {
    let removed = change.iter().filter(|(_, to)| to.is_none());
    let added = change.iter();
    (
        removed.map(|(key, _)| key),
        added.filter_map(|(key, to)| Some((key, to.as_ref()?))),
    )
}
