//! Frames of a small clinic.

use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder, VlanId};

/// Whoever sends or receives.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    vlan: u16,
    mac: [u8; 6],
    ip: [u8; 4],
}

pub const CT: Host = host(210, [0x02, 0, 0x5e, 0x21, 0, 0x11], [10, 21, 0, 11]);
pub const STATION: Host = host(230, [0x02, 0, 0x5e, 0x23, 0, 0x11], [10, 23, 0, 11]);
pub const MONITOR: Host = host(221, [0x02, 0, 0x5e, 0x22, 0, 0x11], [10, 22, 0, 11]);
pub const CENTRAL: Host = host(222, [0x02, 0, 0x5e, 0x22, 0, 0x21], [10, 22, 0, 21]);
/// What a gateway answers with for a device.
pub const GATEWAY: Host = host(0, cordon_policy::GATEWAY_MAC.0, [0; 4]);
pub const ROUTER: Host = host(0, [0x02, 0, 0x5e, 0, 0, 1], [10, 21, 0, 1]);
pub const PACS: Host = host(0, [0x02, 0, 0x5e, 0xc8, 4, 10], [10, 200, 4, 10]);
pub const RECORDS: Host = host(0, [0x02, 0, 0x5e, 0xc8, 6, 10], [10, 200, 6, 10]);

const fn host(vlan: u16, mac: [u8; 6], ip: [u8; 4]) -> Host {
    Host { vlan, mac, ip }
}

impl Host {
    pub const fn with_ip_of(self, other: Host) -> Host {
        Host {
            ip: other.ip,
            ..self
        }
    }

    pub const fn in_vlan(self, vlan: u16) -> Host {
        Host { vlan, ..self }
    }

    pub const fn with_mac_of(self, other: Host) -> Host {
        Host {
            mac: other.mac,
            ..self
        }
    }
}

/// The VLAN of whoever is in one; the router is in all of them.
fn vlan(from: Host, to: Host) -> VlanId {
    VlanId::try_new(from.vlan.max(to.vlan)).expect("is below 4096")
}

/// A segment without data; `flags` holds `syn`, `ack` or both.
pub fn tcp(from: Host, to: Host, ports: (u16, u16), flags: &str) -> Vec<u8> {
    let mut builder = PacketBuilder::ethernet2(from.mac, to.mac)
        .single_vlan(vlan(from, to))
        .ipv4(from.ip, to.ip, 64)
        .tcp(ports.0, ports.1, 1000, 64_000);
    if flags.contains("syn") {
        builder = builder.syn();
    }
    if flags.contains("ack") {
        builder = builder.ack(2000);
    }
    written(|frame| builder.write(frame, &[]).is_ok())
}

/// The same inside a VLAN of a carrier's.
pub fn carried(mut frame: Vec<u8>, vlan: u16) -> Vec<u8> {
    let [high, low] = vlan.to_be_bytes();
    frame.splice(12..12, [0x88, 0xa8, high, low]);
    frame
}

/// A datagram from an address that nobody was given.
pub fn udp6(from: Host, to: Host) -> Vec<u8> {
    let address = |host: Host| {
        let [a, b, c, d] = host.ip;
        [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
    };
    let builder = PacketBuilder::ethernet2(from.mac, to.mac)
        .single_vlan(vlan(from, to))
        .ipv6(address(from), address(to), 64)
        .udp(5000, 53);
    written(|frame| builder.write(frame, b"who?").is_ok())
}

/// The question who has an address.
pub fn arp(from: Host, whose: Host) -> Vec<u8> {
    let question = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &from.mac,
        &from.ip,
        &[0; 6],
        &whose.ip,
    )
    .expect("addresses are as long as they are");
    let builder = PacketBuilder::ethernet2(from.mac, [0xff; 6])
        .single_vlan(vlan(from, whose))
        .arp(question);
    written(|frame| builder.write(frame).is_ok())
}

fn written(write: impl FnOnce(&mut Vec<u8>) -> bool) -> Vec<u8> {
    let mut frame = Vec::new();
    assert!(write(&mut frame), "a vector takes everything");
    // As short as a wire lets it be.
    frame.resize(frame.len().max(60), 0);
    frame
}
