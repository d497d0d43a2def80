//! Building the multibit trie for longest-prefix matches of IPv4 addresses: see `cordon_verdict::abi::trie`.

use aya::maps::{Array, IterableMap as _, MapData};
use cordon_tables::{Generation, Prefix};
use cordon_verdict::Ip;
use cordon_verdict::abi::Network;
use cordon_verdict::abi::trie::{CHILD, FALLBACK, MAX_NODES, NODE_ENTRIES, ROOT_ENTRIES, entry};

use crate::error::Error;
use crate::mapped::{INNER_MAP_FLAGS, Mapped};
use crate::pins::of;

/// The inner map.
pub type TrieMap = Array<MapData, u64>;

/// Makes a map with the IPv4 networks of a generation.
///
/// # Errors
/// [`Error::Map`], [`Error::Batch`] if the kernel has no memory for it.
pub fn build(generation: &Generation) -> Result<TrieMap, Error> {
    let name = "TRIE";
    let Trie(entries) = Trie::of(generation, MAX_NODES);
    let map = TrieMap::create(entries.len() as u32, INNER_MAP_FLAGS).map_err(of(name))?;
    let memory: Mapped<u64> = Mapped::map(map.map(), name)?;
    for (number, entry) in entries.into_iter().enumerate() {
        if let Some(at) = memory.at(number) {
            // SAFETY: within the mapping, and no packet sees the map yet.
            unsafe { at.write(entry) };
        }
    }
    Ok(map)
}

struct Trie(Vec<u64>);

/// Length of ::ffff:0:0/96, the prefix of all IPv4 addresses.
const V4: u8 = 96;

impl Trie {
    /// The trie of a generation, with `max_nodes` at most. Where these are too few, entries refer packets to the kernel's
    /// LPM map.
    fn of(generation: &Generation, max_nodes: u32) -> Trie {
        let mut trie = Trie(vec![entry(&Network::UNCLASSIFIED); ROOT_ENTRIES as usize]);
        let mut networks: Vec<_> = generation.networks().collect();
        // Longer prefixes overwrite shorter ones.
        networks.sort_unstable_by_key(|(prefix, _)| prefix.bits);
        for (prefix, network) in networks {
            let all = Prefix::of(Ip::v4(0), prefix.bits.min(V4));
            if all == Prefix::of(prefix.address, prefix.bits.min(V4)) {
                let bits = u32::from(prefix.bits.saturating_sub(V4));
                trie.put(prefix.address.low32(), bits, entry(network), max_nodes);
            }
        }
        trie
    }

    fn put(&mut self, address: u32, bits: u32, entry: u64, max_nodes: u32) {
        let (mut at, mut covered) = ((address >> 16) as usize, 16);
        while bits > covered {
            let Some(node) = self.node(at, max_nodes) else {
                return;
            };
            covered += 8;
            let byte = address >> (32 - covered) & 0xff;
            at = (ROOT_ENTRIES + node * NODE_ENTRIES + byte) as usize;
        }
        self.0[at..at + (1 << (covered - bits))].fill(entry);
    }

    /// The number of the node below the entry `at`; a new node if there is none. `None` if there are `max_nodes` already.
    fn node(&mut self, at: usize, max_nodes: u32) -> Option<u32> {
        let current = self.0[at];
        if current & CHILD != 0 {
            return Some(current as u32);
        }
        let next = (self.0.len() as u32 - ROOT_ENTRIES) / NODE_ENTRIES;
        if current & FALLBACK != 0 || next >= max_nodes {
            self.0[at] = FALLBACK;
            return None;
        }
        self.0.extend([current; NODE_ENTRIES as usize]);
        self.0[at] = CHILD | u64::from(next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use cordon_verdict::abi::trie::{find, network};

    use super::*;

    /// Prefixes of every length, close to each other, and ::/0.
    fn generation() -> Generation {
        let mut generation = Generation::default();
        let mut add = |address: Ip, bits: u8, class: u16| {
            let network = Network {
                class,
                segment: class + 1,
                flags: class & 1,
                via_uplink: u16::MAX - class,
            };
            let address = Prefix::of(address, bits).address;
            generation.add_network(Prefix { bits, address }, network);
        };
        add(Ip { hi: 0, lo: 0 }, 0, 1);
        add(Ip { hi: 1 << 61, lo: 0 }, 3, 2);
        for bits in 1..=32 {
            add(Ip::v4(0x0a15_8000), V4 + bits, u16::from(bits) + 10);
            add(Ip::v4(0x0a15_80c7), V4 + bits, u16::from(bits) + 50);
            add(Ip::v4(0xc0a8_0100 + u32::from(bits)), V4 + 32, 100);
        }
        generation
    }

    fn look_up(trie: &Trie, address: u32) -> Option<Network> {
        find(address, |at| trie.0.get(at as usize).copied()).map(network)
    }

    #[test]
    fn the_longest_prefix_that_contains_an_address_wins() {
        let generation = generation();
        let all = Trie::of(&generation, MAX_NODES);
        let few = Trie::of(&generation, 2);
        let mut referred = 0;
        let near = [0x0a15_8000, 0x0a15_80c7, 0xc0a8_0100, 0, u32::MAX];
        let far = (0..32).flat_map(|bit| near.map(|address| address ^ 1 << bit));
        let about = near.into_iter().flat_map(|address| {
            (0..2000).map(move |offset: u32| address.wrapping_add(offset).wrapping_sub(1000))
        });
        for address in far.chain(about) {
            let expected = generation.network(Ip::v4(address));
            assert_eq!(look_up(&all, address), expected, "{address:#x}");
            match look_up(&few, address) {
                None => referred += 1,
                found => assert_eq!(found, expected, "{address:#x}"),
            }
        }
        assert!(referred > 500, "{referred}");
        let none = Trie::of(&Generation::default(), MAX_NODES);
        assert_eq!(look_up(&none, 7), Some(Network::UNCLASSIFIED));
    }
}
