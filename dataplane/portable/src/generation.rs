//! The image of one policy.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cordon_verdict::abi::{
    Address, Admission, CopyTarget, Device, NO_ATTACHMENT, Network, PortSetting, SERVICES, STACKED,
    Stack, attachment, attachment_port, attachment_vlan, location, location_inner, location_outer,
    location_port,
};
use cordon_verdict::{Ip, Mac};

use crate::policy::PolicyTable;
use crate::table::Table;

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
    /// Attachments with two tags, by `abi::location`.
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
    /// By `abi::fdb_key`.
    pub devices: Table<u64, Device>,
    /// By address.
    pub addresses: Table<Ip, Address>,
    /// By prefix; private, because looking one up needs the lengths that occur.
    networks: HashMap<Prefix, Network>,
    lengths: Vec<u8>,
    /// By `abi::service_index`; always `abi::SERVICES` long.
    pub services: Vec<u16>,
    /// By classes, then by service class.
    pub policy: PolicyTable,
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
            devices: Table::default(),
            addresses: Table::default(),
            networks: HashMap::new(),
            lengths: Vec::new(),
            services: vec![0; SERVICES],
            policy: PolicyTable::default(),
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

    /// The number of the attachment at a place; [`NO_ATTACHMENT`] for one with two tags that there is not.
    pub fn number(&self, place: u32) -> u16 {
        match location_inner(place) {
            0 => attachment(location_port(place), location_outer(place)),
            _ => self.stacks.get(&place).copied().unwrap_or(NO_ATTACHMENT),
        }
    }

    /// Where the attachment with this number is.
    pub fn place(&self, number: u16) -> u32 {
        match number {
            STACKED.. => self.stack(number).location,
            _ => location(attachment_port(number), attachment_vlan(number), 0),
        }
    }

    /// An attachment with two tags, as the data plane wants it.
    pub fn stack(&self, number: u16) -> Stack {
        match self.stacks.iter().find(|(_, there)| **there == number) {
            Some((place, _)) => self.stack_at(*place),
            None => Stack::default(),
        }
    }

    /// The same, by its place.
    pub fn stack_at(&self, place: u32) -> Stack {
        Stack {
            location: place,
            outer_type: cordon_verdict::outer_type(self.setting(place)),
            pad: 0,
        }
    }

    /// An attachment that copies may leave by, as the data plane wants it.
    pub fn copy_to(&self, number: u16, place: u32) -> CopyTarget {
        let admission = self.admissions.get(&number).copied().unwrap_or_default();
        let uplink = match admission.is(Admission::UPLINK) {
            true => CopyTarget::UPLINK,
            false => 0,
        };
        let outer = match self.setting(place).link_control & PortSetting::OUTER_8021Q {
            0 => 0,
            _ => CopyTarget::OUTER_8021Q,
        };
        CopyTarget {
            location: place,
            attachment: number,
            flags: uplink | outer,
        }
    }

    fn setting(&self, place: u32) -> PortSetting {
        let port = location_port(place);
        self.ports.get(&port).copied().unwrap_or_default()
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
