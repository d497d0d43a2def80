//! Writing the tables of attachments with two tags, of copies one by one, and of the ARP and ND proxy.

use std::collections::HashSet;
use std::os::fd::AsFd;

use aya::maps::{HashMap, IterableMap as _};
use cordon_tables::Generation;
use cordon_verdict::abi::{
    COPIES_MOST, CopyTarget, ProxyKey, STACKED, STACKS, Span, Stack, copy_index, span_index,
    stack_index, stack_key,
};

use crate::batch::{fill, update};
use crate::capacity::{fits, room};
use crate::error::Error;
use crate::maps::Maps;
use crate::pins::of;

/// Writes the tables of a slot that is not in force.
///
/// # Errors
/// [`Error::TooMany`], [`Error::Map`], [`Error::Batch`].
pub fn write(maps: &mut Maps, generation: &Generation, slot: u8) -> Result<(), Error> {
    fits("attachments with two tags", generation.stacks.len(), STACKS)?;
    let widest = generation.copies.values().map(Vec::len).max();
    let what = "attachments of one segment with a proxy, or with several at a port,";
    fits(what, widest.unwrap_or(0), COPIES_MOST)?;
    write_stacks(maps, generation, slot)?;
    write_copies(maps, generation, slot)?;

    let name = "PROXIES";
    let map = HashMap::create(room(generation.proxies.len()), 0).map_err(of(name))?;
    let keys = generation.proxies.iter().map(|((segment, ip), mac)| {
        let segment = u64::from(*segment);
        (ProxyKey { ip: *ip, segment }, *mac)
    });
    let entries: Vec<_> = keys.collect();
    let pairs = entries.iter().map(|(key, mac)| (key, mac));
    fill(name, map.map().fd().as_fd(), entries.len(), pairs)?;
    maps.proxies.set(u32::from(slot), &map, 0).map_err(of(name))
}

fn write_stacks(maps: &mut Maps, generation: &Generation, slot: u8) -> Result<(), Error> {
    let name = "STACKS";
    let present = maps.stacks.keys();
    let present: HashSet<u64> = present.collect::<Result<_, _>>().map_err(of(name))?;
    let wanted = |key: &u64| generation.stacks.contains_key(&(*key as u32));
    let of_slot = |key: &&u64| **key >> 32 == u64::from(slot);
    for stale in present.iter().filter(of_slot).filter(|key| !wanted(key)) {
        maps.stacks.remove(stale).map_err(of(name))?;
    }
    let (keys, numbers): (Vec<u64>, Vec<u32>) = generation
        .stacks
        .iter()
        .map(|(location, number)| (stack_key(slot, *location), u32::from(*number)))
        .unzip();
    update(name, maps.stacks.map().fd().as_fd(), &keys, &numbers)?;

    let keys: Vec<u32> = (0..=0xfff)
        .map(|at| stack_index(slot, STACKED | at))
        .collect();
    let mut locations = vec![Stack::default(); keys.len()];
    for (location, number) in &generation.stacks {
        locations[usize::from(*number & 0xfff)] = generation.stack_at(*location);
    }
    let map = maps.locations.map().fd().as_fd();
    update("LOCATIONS", map, &keys, &locations)
}

fn write_copies(maps: &mut Maps, generation: &Generation, slot: u8) -> Result<(), Error> {
    let stacks: std::collections::HashMap<u16, u32> = generation
        .stacks
        .iter()
        .map(|(location, number)| (*number, *location))
        .collect();
    let keys: Vec<u32> = (0..=0xfff)
        .map(|segment| span_index(slot, segment))
        .collect();
    let mut spans = vec![Span::default(); keys.len()];
    let mut list: Vec<CopyTarget> = Vec::new();
    for (segment, numbers) in &generation.copies {
        spans[usize::from(*segment & 0xfff)] = Span {
            first: list.len() as u32,
            count: numbers.len() as u32,
        };
        list.extend(numbers.iter().map(|number| {
            let location = match stacks.get(number) {
                Some(location) => *location,
                None => generation.location(*number),
            };
            generation.copy_to(*number, location)
        }));
    }
    // Each of the 65,536 attachments belongs to one segment at most.
    fits("attachments", list.len(), 1 << 16)?;
    let map = maps.copy_spans.map().fd().as_fd();
    update("COPY_SPANS", map, &keys, &spans)?;
    let keys: Vec<u32> = (0..list.len() as u32)
        .map(|at| copy_index(slot, at))
        .collect();
    update("COPIES", maps.copies.map().fd().as_fd(), &keys, &list)
}
