//! Networks of IPv4 in steps: by the upper half of an address, and where longer prefixes make a difference by the next
//! byte, and by the last. Three loads at most, and one for most addresses, where the kernel's longest-prefix map walks
//! a tree. What would take too much room, and IPv6, is asked of that map.

use super::who::Network;

/// Entries by the upper half of an address; blocks of [`BLOCK`] follow.
pub const FIRST: u32 = 1 << 16;
/// Entries of a block.
pub const BLOCK: u32 = 1 << 8;
/// Blocks there may be: 32 MiB.
pub const MOST_BLOCKS: u32 = 1 << 14;

/// Of an entry: it is the number of a block. Where the flags of a network are, of which it has none like this.
pub const IN_BLOCK: u64 = 1 << 47;
/// Of an entry: the map has to be asked. Neither.
pub const ASK: u64 = 1 << 46;

const FLAGS: u16 = Network::BROADCAST | Network::ROUTER;
const _: () = assert!((FLAGS as u64) << 32 & (IN_BLOCK | ASK) == 0);

/// A network as an entry.
#[inline(always)]
pub const fn entry(network: &Network) -> u64 {
    network.class as u64
        | (network.segment as u64) << 16
        | (network.flags as u64) << 32
        | (network.behind as u64) << 48
}

/// The network of an entry.
#[inline(always)]
pub const fn network(entry: u64) -> Network {
    Network {
        class: entry as u16,
        segment: (entry >> 16) as u16,
        flags: (entry >> 32) as u16,
        behind: (entry >> 48) as u16,
    }
}

/// Finds the entry of an address, where `read` reads one; `None` if the map has to be asked.
#[inline(always)]
pub fn find(address: u32, read: impl Fn(u32) -> Option<u64>) -> Option<u64> {
    let mut entry = read(address >> 16)?;
    if entry & IN_BLOCK != 0 {
        entry = read(FIRST + ((entry as u32) << 8 | address >> 8 & 0xff))?;
    }
    if entry & IN_BLOCK != 0 {
        entry = read(FIRST + ((entry as u32) << 8 | address & 0xff))?;
    }
    match entry & (IN_BLOCK | ASK) {
        0 => Some(entry),
        _ => None,
    }
}
