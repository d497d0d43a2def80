//! A policy with one device and its server, and frames between them.

use cordon_tables::{Generation, Prefix};
use cordon_verdict::Ip;
use cordon_verdict::abi::{
    Address, Admission, Device, Network, PolicyRow, RULE_FIRST, Ruling, attachment, fdb_key,
    service_index,
};

pub const CT: u64 = 0x02_c0_00_00_00_11;
pub const PACS: u64 = 0x02_c0_00_00_00_99;

/// One device in VLAN 210 at port 0, one network at the uplink port 1, and DICOM between them.
pub fn generation() -> Generation {
    let mut generation = Generation::default();
    for (port, flags) in [
        (0, Admission::IN_USE),
        (1, Admission::IN_USE | Admission::UPLINK),
    ] {
        let admission = Admission {
            segment: 7,
            flags,
            unlisted_class: 0,
            copies: 0,
        };
        generation
            .admissions
            .insert(attachment(port, 210), admission);
        generation.floods.insert((7, port), attachment(port, 210));
    }
    let address = Ip::v4(0x0a15_000b);
    generation.devices.insert(
        fdb_key(7, CT),
        Device {
            word: 1,
            class: 1,
            bound_to: 0,
            address,
        },
    );
    generation.addresses.insert(
        address,
        Address {
            device: 1,
            segment: 7,
            class: 1,
        },
    );
    let network = Network {
        class: 2,
        segment: Network::NO_SEGMENT,
        flags: 0,
        via_uplink: 2,
    };
    generation.add_network(
        Prefix {
            bits: 96 + 16,
            address: Ip::v4(0x0ac8_0000),
        },
        network,
    );
    generation.services[service_index(6, 104) as usize] = 1;
    let allow = Ruling::allow(RULE_FIRST);
    generation.policy.add(
        1,
        2,
        1,
        PolicyRow {
            rulings: [
                allow,
                allow,
                Ruling::NONE,
                Ruling::NONE,
                Ruling::NONE,
                Ruling::NONE,
            ],
        },
    );
    generation
}

pub struct Tcp {
    pub macs: (u64, u64),
    pub addresses: (u32, u32),
    pub ports: (u16, u16),
    pub flags: u8,
}

/// A frame in VLAN 210 with priority 5.
pub fn tcp(tcp: &Tcp) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&tcp.macs.1.to_be_bytes()[2..]);
    frame.extend_from_slice(&tcp.macs.0.to_be_bytes()[2..]);
    frame.extend_from_slice(&[0x81, 0x00, 0xa0, 0xd2, 0x08, 0x00]);
    frame.extend_from_slice(&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend_from_slice(&tcp.addresses.0.to_be_bytes());
    frame.extend_from_slice(&tcp.addresses.1.to_be_bytes());
    frame.extend_from_slice(&tcp.ports.0.to_be_bytes());
    frame.extend_from_slice(&tcp.ports.1.to_be_bytes());
    frame.extend_from_slice(&[0; 8]);
    frame.extend_from_slice(&[0x50, tcp.flags, 0, 0, 0, 0, 0, 0]);
    frame.resize(64, 0);
    frame
}

pub fn syn() -> Tcp {
    Tcp {
        macs: (CT, PACS),
        addresses: (0x0a15_000b, 0x0ac8_040a),
        ports: (40000, 104),
        flags: 2,
    }
}

pub fn answer() -> Tcp {
    Tcp {
        macs: (PACS, CT),
        addresses: (0x0ac8_040a, 0x0a15_000b),
        ports: (104, 40000),
        flags: 0x12,
    }
}
