//! The image of one policy.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cordon_verdict::{Ip, Mac};
use cordon_verdict::abi::{
    Address, Admission, Device, Network, PolicyKey, PolicyRow, PortSetting, SERVICES,
};

/// A network prefix: significant bits (0 to 128; an IPv4 prefix has 96 more than it is written with), and
/// the address with all other bits zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    /// Significant bits.
    pub bits: u8,
    /// The address.
    pub address: Ip,
}

impl Prefix {
    /// The prefix of this length that `ip` is in.
    pub fn of(ip: Ip, bits: u8) -> Prefix {
        let value = u128::from(ip.hi) << 64 | u128::from(ip.lo);
        let kept = match bits {
            0 => 0,
            bits => value & (u128::MAX << (128 - u32::from(bits.min(128)))),
        };
        Prefix {
            bits,
            address: Ip {
                hi: (kept >> 64) as u64,
                lo: kept as u64,
            },
        }
    }
}

/// Every table that a policy decides, whole. Made by the compiler, changed by nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// By attachment.
    pub admissions: BTreeMap<u16, Admission>,
    /// Attachments with two tags, by `abi::place`.
    pub stacks: BTreeMap<u32, u16>,
    /// By segment and port: the attachment. Of segments that are attached to each port once at most and have no proxy.
    pub floods: BTreeMap<(u16, u16), u16>,
    /// Of the other segments, by segment: the attachments.
    pub copies: BTreeMap<u16, Vec<u16>>,
    /// By segment and address: the MAC address of the device. Of segments with a proxy.
    pub proxies: HashMap<(u16, Ip), Mac>,
    /// By port.
    pub ports: BTreeMap<u16, PortSetting>,
    /// Segment and EtherType.
    pub ether_types: BTreeSet<(u16, u16)>,
    /// By `abi::member`.
    pub devices: HashMap<u64, Device>,
    /// By address.
    pub addresses: HashMap<Ip, Address>,
    /// By prefix; private, because looking one up needs the lengths that occur.
    networks: HashMap<Prefix, Network>,
    lengths: Vec<u8>,
    /// By `abi::service_index`; always `abi::SERVICES` long.
    pub services: Vec<u16>,
    /// By classes and service.
    pub policy: HashMap<PolicyKey, PolicyRow>,
}

impl Default for Generation {
    fn default() -> Generation {
        Generation {
            admissions: BTreeMap::new(),
            stacks: BTreeMap::new(),
            floods: BTreeMap::new(),
            copies: BTreeMap::new(),
            proxies: HashMap::new(),
            ports: BTreeMap::new(),
            ether_types: BTreeSet::new(),
            devices: HashMap::new(),
            addresses: HashMap::new(),
            networks: HashMap::new(),
            lengths: Vec::new(),
            services: vec![0; SERVICES],
            policy: HashMap::new(),
        }
    }
}

impl Generation {
    /// Adds a network, or changes the one with the same prefix.
    pub fn add_network(&mut self, prefix: Prefix, network: Network) {
        self.networks
            .insert(Prefix::of(prefix.address, prefix.bits), network);
        if let Err(at) = self
            .lengths
            .binary_search_by(|length| prefix.bits.cmp(length))
        {
            self.lengths.insert(at, prefix.bits);
        }
    }

    /// The networks, in no order.
    pub fn networks(&self) -> impl ExactSizeIterator<Item = (&Prefix, &Network)> {
        self.networks.iter()
    }

    /// The longest prefix that `ip` is in.
    pub fn network(&self, ip: Ip) -> Option<Network> {
        self.lengths
            .iter()
            .find_map(|bits| self.networks.get(&Prefix::of(ip, *bits)))
            .copied()
    }
}
