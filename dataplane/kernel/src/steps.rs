//! Building the steps by which packets find the network of an IPv4 address: see `cordon_verdict::abi::trie`.

use aya::maps::{Array, IterableMap as _, MapData};
use cordon_portable::{Generation, Prefix};
use cordon_verdict::Ip;
use cordon_verdict::abi::Network;
use cordon_verdict::abi::trie::{FALLBACK, NODE_ENTRIES, ROOT_ENTRIES, CHILD, MAX_NODES, entry};

use crate::error::Error;
use crate::frozen::FLAGS;
use crate::maps::of;
use crate::shared::Shared;

/// The inner map.
pub type StepMap = Array<MapData, u64>;

/// A map of a generation's networks, which nobody else has yet.
///
/// # Errors
/// [`Error::Map`], [`Error::Batch`] where the kernel has no room.
pub fn build(generation: &Generation) -> Result<StepMap, Error> {
    let name = "TRIE";
    let Steps(entries) = Steps::of(generation, MAX_NODES);
    let map = StepMap::create(entries.len() as u32, FLAGS).map_err(of(name))?;
    let memory: Shared<u64> = Shared::map(map.map(), name)?;
    for (number, entry) in entries.into_iter().enumerate() {
        if let Some(at) = memory.at(number) {
            // SAFETY: within the mapping, and nobody else's.
            unsafe { at.write(entry) };
        }
    }
    Ok(map)
}

struct Steps(Vec<u64>);

/// Bits of a prefix of all IPv4 addresses.
const V4: u8 = 96;

impl Steps {
    /// Those of a generation, with so many blocks at most.
    fn of(generation: &Generation, most: u32) -> Steps {
        let mut steps = Steps(vec![entry(&Network::UNCLASSIFIED); ROOT_ENTRIES as usize]);
        let mut networks: Vec<_> = generation.networks().collect();
        // What is in a longer prefix is written over what is in a shorter.
        networks.sort_unstable_by_key(|(prefix, _)| prefix.bits);
        for (prefix, network) in networks {
            let all = Prefix::of(Ip::v4(0), prefix.bits.min(V4));
            if all == Prefix::of(prefix.address, prefix.bits.min(V4)) {
                let bits = u32::from(prefix.bits.saturating_sub(V4));
                steps.put(prefix.address.low32(), bits, entry(network), most);
            }
        }
        steps
    }

    fn put(&mut self, address: u32, bits: u32, entry: u64, most: u32) {
        let (mut at, mut covered) = ((address >> 16) as usize, 16);
        while bits > covered {
            let Some(block) = self.block(at, most) else {
                return;
            };
            covered += 8;
            let byte = address >> (32 - covered) & 0xff;
            at = (ROOT_ENTRIES + block * NODE_ENTRIES + byte) as usize;
        }
        self.0[at..at + (1 << (covered - bits))].fill(entry);
    }

    /// The block in the place of an entry, a new one if there is none.
    fn block(&mut self, at: usize, most: u32) -> Option<u32> {
        let there = self.0[at];
        if there & CHILD != 0 {
            return Some(there as u32);
        }
        let next = (self.0.len() as u32 - ROOT_ENTRIES) / NODE_ENTRIES;
        if there & FALLBACK != 0 || next >= most {
            self.0[at] = FALLBACK;
            return None;
        }
        self.0.extend([there; NODE_ENTRIES as usize]);
        self.0[at] = CHILD | u64::from(next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use cordon_verdict::abi::trie::{find, network};

    use super::*;

    /// Prefixes of every length, near each other, and one of everything.
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

    fn told(steps: &Steps, address: u32) -> Option<Network> {
        find(address, |at| steps.0.get(at as usize).copied()).map(network)
    }

    #[test]
    fn every_address_is_in_the_longest_of_its_networks() {
        let generation = generation();
        let all = Steps::of(&generation, MAX_NODES);
        let few = Steps::of(&generation, 2);
        let mut asked = 0;
        let near = [0x0a15_8000, 0x0a15_80c7, 0xc0a8_0100, 0, u32::MAX];
        let far = (0..32).flat_map(|bit| near.map(|address| address ^ 1 << bit));
        let about = near.into_iter().flat_map(|address| {
            (0..2000).map(move |offset: u32| address.wrapping_add(offset).wrapping_sub(1000))
        });
        for address in far.chain(about) {
            let expected = generation.network(Ip::v4(address));
            assert_eq!(told(&all, address), expected, "{address:#x}");
            match told(&few, address) {
                None => asked += 1,
                told => assert_eq!(told, expected, "{address:#x}"),
            }
        }
        assert!(asked > 500, "{asked}");
        let none = Steps::of(&Generation::default(), MAX_NODES);
        assert_eq!(told(&none, 7), Some(Network::UNCLASSIFIED));
    }
}
