//! Installing what is about tags: attachments with two, copies one by one, and whom the gateway stands in for.

use std::collections::HashSet;
use std::os::fd::AsFd;

use aya::maps::{HashMap, IterableMap as _};
use cordon_portable::Generation;
use cordon_verdict::abi::{
    COPIES_MOST, CopyTarget, ProxyKey, STACKED, STACKS, Span, Stack, copy_index, span_index,
    stack_index, stack_key,
};

use crate::error::Error;
use crate::install::{Stager, fill, fits, room, write};
use crate::maps::of;

impl Stager {
    /// Writes the tables of a slot that is not in force.
    ///
    /// # Errors
    /// As [`Stager::write`].
    pub(crate) fn write_wire(&mut self, generation: &Generation, slot: u8) -> Result<(), Error> {
        fits("attachments with two tags", generation.stacks.len(), STACKS)?;
        let widest = generation.copies.values().map(Vec::len).max();
        let what = "attachments of one segment with several at a port, or a proxy,";
        fits(what, widest.unwrap_or(0), COPIES_MOST)?;
        self.write_stacks(generation, slot)?;
        self.write_copies(generation, slot)?;

        let name = "PROXIES";
        let map = HashMap::create(room(generation.proxies.len()), 0).map_err(of(name))?;
        let keys = generation.proxies.iter().map(|((segment, ip), mac)| {
            let segment = u64::from(*segment);
            (ProxyKey { ip: *ip, segment }, *mac)
        });
        let entries: Vec<_> = keys.collect();
        let pairs = entries.iter().map(|(key, mac)| (key, mac));
        fill(name, map.map(), entries.len(), pairs)?;
        self.maps
            .proxies
            .set(u32::from(slot), &map, 0)
            .map_err(of(name))
    }

    fn write_stacks(&mut self, generation: &Generation, slot: u8) -> Result<(), Error> {
        let name = "STACKS";
        let there = self.maps.stacks.keys();
        let there: HashSet<u64> = there.collect::<Result<_, _>>().map_err(of(name))?;
        let wanted = |key: &u64| generation.stacks.contains_key(&(*key as u32));
        let of_slot = |key: &&u64| **key >> 32 == u64::from(slot);
        for stale in there.iter().filter(of_slot).filter(|key| !wanted(key)) {
            self.maps.stacks.remove(stale).map_err(of(name))?;
        }
        let (keys, numbers): (Vec<u64>, Vec<u32>) = generation
            .stacks
            .iter()
            .map(|(place, number)| (stack_key(slot, *place), u32::from(*number)))
            .unzip();
        write(name, self.maps.stacks.map().fd().as_fd(), &keys, &numbers)?;

        let keys: Vec<u32> = (0..=0xfff)
            .map(|at| stack_index(slot, STACKED | at))
            .collect();
        let mut places = vec![Stack::default(); keys.len()];
        for (place, number) in &generation.stacks {
            places[usize::from(*number & 0xfff)] = generation.stack_at(*place);
        }
        let map = self.maps.places.map().fd().as_fd();
        write("LOCATIONS", map, &keys, &places)
    }

    fn write_copies(&mut self, generation: &Generation, slot: u8) -> Result<(), Error> {
        let stacks: std::collections::HashMap<u16, u32> = generation
            .stacks
            .iter()
            .map(|(place, number)| (*number, *place))
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
                let place = match stacks.get(number) {
                    Some(place) => *place,
                    None => generation.place(*number),
                };
                generation.copy_to(*number, place)
            }));
        }
        // An attachment belongs to one segment, so that all there can be fit.
        fits("attachments", list.len(), 1 << 16)?;
        let map = self.maps.copy_spans.map().fd().as_fd();
        write("COPY_SPANS", map, &keys, &spans)?;
        let keys: Vec<u32> = (0..list.len() as u32)
            .map(|at| copy_index(slot, at))
            .collect();
        write("COPIES", self.maps.copies.map().fd().as_fd(), &keys, &list)
    }
}
