//! The hosts of a small clinic, and their frames.

use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder, VlanId};

/// A sender or receiver.
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
/// The gateway, as the proxy of devices.
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

/// The VLAN of a frame: that of the host which is in one. The router is in all VLANs.
fn vlan(from: Host, to: Host) -> VlanId {
    VlanId::try_new(from.vlan.max(to.vlan)).expect("is below 4096")
}

/// A TCP segment without data. `flags` contains `syn`, `ack` or both.
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

/// Adds an outer 802.1ad tag to a frame: the VLAN of a carrier.
pub fn carried(mut frame: Vec<u8>, vlan: u16) -> Vec<u8> {
    let [high, low] = vlan.to_be_bytes();
    frame.splice(12..12, [0x88, 0xa8, high, low]);
    frame
}

/// A datagram from an IPv6 address that no device is bound to.
pub fn udp6(from: Host, to: Host) -> Vec<u8> {
    let address = |host: Host| {
        let [a, b, c, d] = host.ip;
        [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
    };
    let builder = PacketBuilder::ethernet2(from.mac, to.mac)
        .single_vlan(vlan(from, to))
        .ipv6(address(from), address(to), 64)
        .udp(5000, 53);
    written(|frame| builder.write(frame, b"test").is_ok())
}

/// An ARP request for the address of `target`.
pub fn arp(from: Host, target: Host) -> Vec<u8> {
    let request = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &from.mac,
        &from.ip,
        &[0; 6],
        &target.ip,
    )
    .expect("addresses have the right lengths");
    let builder = PacketBuilder::ethernet2(from.mac, [0xff; 6])
        .single_vlan(vlan(from, target))
        .arp(request);
    written(|frame| builder.write(frame).is_ok())
}

fn written(write: impl FnOnce(&mut Vec<u8>) -> bool) -> Vec<u8> {
    let mut frame = Vec::new();
    assert!(write(&mut frame), "a vector takes everything");
    // Padded to the minimum length of an Ethernet frame.
    frame.resize(frame.len().max(60), 0);
    frame
}
