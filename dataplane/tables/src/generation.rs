//! All tables that one policy decides.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cordon_verdict::abi::{
    Address, Admission, CopyTarget, Device, NO_ATTACHMENT, Network, PortSetting, SERVICES, STACKED,
    Stack, attachment, attachment_port, attachment_vlan, location, location_inner, location_outer,
    location_port,
};
use cordon_verdict::{Ip, Mac};

use crate::policy::PolicyTable;
use crate::table::Table;

/// A network prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    /// Length in bits, 0 to 128. An IPv4 prefix is stored as a prefix of ::ffff:0:0/96: its written length plus 96.
    pub bits: u8,
    /// The network address: all bits beyond the length are zero.
    pub address: Ip,
}

impl Prefix {
    /// The prefix of this length that contains `ip`.
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

/// Every table that a policy decides. Only the compiler, or a [`Change`](crate::Change) that it made, writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// By attachment.
    pub admissions: BTreeMap<u16, Admission>,
    /// The numbers of attachments with two tags, by L2 location.
    pub stacks: BTreeMap<u32, u16>,
    /// Where a flooded frame leaves: the attachment, by segment and port. For segments that have no proxy and at most one
    /// attachment at each port.
    pub floods: BTreeMap<(u16, u16), u16>,
    /// For the other segments: all attachments, by segment. Flooded frames are copied to them one by one.
    pub copies: BTreeMap<u16, Vec<u16>>,
    /// MAC addresses of devices, by segment and IP address, for segments with a proxy.
    pub proxies: HashMap<(u16, Ip), Mac>,
    /// By port.
    pub ports: BTreeMap<u16, PortSetting>,
    /// The EtherTypes that a segment allows besides IP and ARP: (segment, EtherType).
    pub ether_types: BTreeSet<(u16, u16)>,
    /// By FDB key.
    pub devices: Table<u64, Device>,
    /// By IP address.
    pub addresses: Table<Ip, Address>,
    /// By prefix. Private, because `lengths` has to agree with it.
    networks: HashMap<Prefix, Network>,
    /// The prefix lengths that occur in `networks`, the longest first.
    lengths: Vec<u8>,
    /// Service classes, by `abi::service_index`; always `abi::SERVICES` long.
    pub services: Vec<u16>,
    /// By the classes of both ends, then by service class.
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
    /// Adds a network, or replaces the one with the same prefix.
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

    /// The number of the attachment at an L2 location; [`NO_ATTACHMENT`] if the location has two tags and no attachment.
    pub fn number(&self, location: u32) -> u16 {
        match location_inner(location) {
            0 => attachment(location_port(location), location_outer(location)),
            _ => self.stacks.get(&location).copied().unwrap_or(NO_ATTACHMENT),
        }
    }

    /// The L2 location of the attachment with this number.
    pub fn location(&self, number: u16) -> u32 {
        match number {
            STACKED.. => self.stack(number).location,
            _ => location(attachment_port(number), attachment_vlan(number), 0),
        }
    }

    /// The data plane's record of an attachment with two tags; the default record if there is none of this number.
    pub fn stack(&self, number: u16) -> Stack {
        match self.stacks.iter().find(|(_, other)| **other == number) {
            Some((location, _)) => self.stack_at(*location),
            None => Stack::default(),
        }
    }

    /// As [`Generation::stack`], by L2 location.
    pub fn stack_at(&self, location: u32) -> Stack {
        Stack {
            location,
            outer_type: cordon_verdict::outer_type(self.setting(location)),
            pad: 0,
        }
    }

    /// The data plane's record of an attachment, at `location`, that receives copies of flooded frames.
    pub fn copy_to(&self, number: u16, location: u32) -> CopyTarget {
        let admission = self.admissions.get(&number).copied().unwrap_or_default();
        let uplink = match admission.is(Admission::UPLINK) {
            true => CopyTarget::UPLINK,
            false => 0,
        };
        let outer = match self.setting(location).link_control & PortSetting::OUTER_8021Q {
            0 => 0,
            _ => CopyTarget::OUTER_8021Q,
        };
        CopyTarget {
            location,
            attachment: number,
            flags: uplink | outer,
        }
    }

    fn setting(&self, location: u32) -> PortSetting {
        let port = location_port(location);
        self.ports.get(&port).copied().unwrap_or_default()
    }

    /// All networks, in no particular order.
    pub fn networks(&self) -> impl ExactSizeIterator<Item = (&Prefix, &Network)> {
        self.networks.iter()
    }

    /// The network of the longest prefix that contains `ip`.
    pub fn network(&self, ip: Ip) -> Option<Network> {
        self.lengths
            .iter()
            .find_map(|bits| self.networks.get(&Prefix::of(ip, *bits)))
            .copied()
    }
}
