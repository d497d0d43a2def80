//! A multibit trie for the longest-prefix match of IPv4 addresses, with strides of 16, 8 and 8 bits. A look-up is one
//! load for most addresses and three at most, where the kernel's longest-prefix map walks a binary tree. Prefixes for
//! which the trie has no room, and IPv6, are looked up in that map.

use super::identity::Network;

/// Entries of the root, by the upper 16 bits of an address. Nodes of [`NODE_ENTRIES`] follow.
pub const ROOT_ENTRIES: u32 = 1 << 16;
/// Entries of a node below the root, by 8 bits of an address.
pub const NODE_ENTRIES: u32 = 1 << 8;
/// Nodes that a trie may have: 32 MiB.
pub const MAX_NODES: u32 = 1 << 14;

/// Bit of an entry: the lower 32 bits are the number of a node. No flag of a [`Network`] is at this bit.
pub const CHILD: u64 = 1 << 47;
/// Bit of an entry: look the address up in the longest-prefix map. No flag of a [`Network`] either.
pub const FALLBACK: u64 = 1 << 46;

const FLAGS: u16 = Network::BROADCAST | Network::ROUTER;
const _: () = assert!((FLAGS as u64) << 32 & (CHILD | FALLBACK) == 0);

/// A network as an entry.
#[inline(always)]
pub const fn entry(network: &Network) -> u64 {
    network.class as u64
        | (network.segment as u64) << 16
        | (network.flags as u64) << 32
        | (network.via_uplink as u64) << 48
}

/// The network of an entry.
#[inline(always)]
pub const fn network(entry: u64) -> Network {
    Network {
        class: entry as u16,
        segment: (entry >> 16) as u16,
        flags: (entry >> 32) as u16,
        via_uplink: (entry >> 48) as u16,
    }
}

/// Finds the entry of an address; `read` reads the entry with a number. `None` if the longest-prefix map must be looked
/// up.
#[inline(always)]
pub fn find(address: u32, read: impl Fn(u32) -> Option<u64>) -> Option<u64> {
    let mut entry = read(address >> 16)?;
    if entry & CHILD != 0 {
        entry = read(ROOT_ENTRIES + ((entry as u32) << 8 | address >> 8 & 0xff))?;
    }
    if entry & CHILD != 0 {
        entry = read(ROOT_ENTRIES + ((entry as u32) << 8 | address & 0xff))?;
    }
    match entry & (CHILD | FALLBACK) {
        0 => Some(entry),
        _ => None,
    }
}
