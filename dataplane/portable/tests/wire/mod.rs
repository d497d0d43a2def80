//! A policy with every kind of attachment, and frames: for the tests here and for those of `../kernel`.

use cordon_tables::{Generation, Prefix};
use cordon_verdict::abi::{
    Address, Admission, Device, Network, POSTURES, PolicyRow, PortSetting, RULE_FIRST, Ruling,
    STACKED, attachment, fdb_key, location,
};
use cordon_verdict::{Ip, Mac};

pub use cordon_verdict::abi::GATEWAY;

/// A segment without a proxy: one attachment at each port, with two tags, one, and none.
pub const PLAIN: u16 = 7;
/// A segment with several attachments at a port, and a proxy.
pub const STITCHED: u16 = 8;
/// The number of its attachments.
pub const ATTACHED: u16 = 6;
pub const UPLINK: u16 = 2;
/// An EtherType that both segments list.
pub const LISTED: u16 = 0x8892;

pub const STACK_PLAIN: u16 = STACKED;
pub const STACK_STITCHED: u16 = STACKED + 1;

/// A host: its port and tags, and its addresses.
#[derive(Clone, Copy)]
pub struct Host {
    pub port: u16,
    pub tags: &'static [(u16, u16)],
    pub mac: Mac,
    pub v4: u32,
    pub v6: Ip,
}

const fn host(number: u64, port: u16, tags: &'static [(u16, u16)]) -> Host {
    Host {
        port,
        tags,
        mac: 0x02c0_0000_0000 | number,
        v4: 0x0a08_0000 | number as u32,
        v6: v6(number),
    }
}

pub const fn v6(number: u64) -> Ip {
    Ip {
        hi: 0xfd00_0000_0000_0008,
        lo: number,
    }
}

/// Devices of the plain segment: with two tags, with one, and untagged at the uplink.
pub const TWO: Host = host(1, 0, &[(0x88a8, 100), (0x8100, 210)]);
pub const ONE: Host = host(2, 1, &[(0x8100, 210)]);
pub const NONE: Host = host(3, UPLINK, &[]);
/// Devices of the stitched segment: two in one VLAN, two in VLANs of their own, one at another port, one with two tags.
pub const ANNA: Host = host(11, 0, &[(0x8100, 301)]);
pub const BERT: Host = host(12, 0, &[(0x8100, 301)]);
pub const CARL: Host = host(13, 0, &[(0x8100, 302)]);
pub const DORA: Host = host(14, 0, &[(0x8100, 303)]);
pub const EMIL: Host = host(15, 1, &[(0x8100, 301)]);
pub const FRED: Host = host(16, 0, &[(0x88a8, 400), (0x8100, 401)]);
/// An unlisted host at the uplink.
pub const WIDE: Host = host(99, UPLINK, &[(0x8100, 310)]);

/// Listed devices may send to every host and to groups; from `contain` on to groups inside only.
pub fn generation() -> Generation {
    let mut generation = Generation::default();
    let stacks = [
        (location(0, 100, 210), STACK_PLAIN),
        (location(0, 400, 401), STACK_STITCHED),
    ];
    generation.stacks.extend(stacks);
    let plain = [STACK_PLAIN, attachment(1, 210), attachment(UPLINK, 0)];
    let stitched = [
        attachment(0, 301),
        attachment(0, 302),
        attachment(0, 303),
        attachment(1, 301),
        attachment(UPLINK, 310),
        STACK_STITCHED,
    ];
    for number in plain {
        admit(&mut generation, number, PLAIN);
        let port = cordon_verdict::abi::location_port(generation.location(number));
        generation.floods.insert((PLAIN, port), number);
    }
    for number in stitched {
        admit(&mut generation, number, STITCHED);
    }
    generation.copies.insert(STITCHED, stitched.to_vec());
    generation
        .ether_types
        .extend([(PLAIN, LISTED), (STITCHED, LISTED)]);
    for host in [TWO, ONE] {
        list(&mut generation, PLAIN, host);
    }
    for host in [ANNA, BERT, CARL, DORA, EMIL, FRED] {
        list(&mut generation, STITCHED, host);
        let of = |ip| ((STITCHED, ip), host.mac);
        generation
            .proxies
            .extend([of(Ip::v4(host.v4)), of(host.v6)]);
    }
    rules(&mut generation);
    generation
}

fn admit(generation: &mut Generation, number: u16, segment: u16) {
    let mut flags = Admission::IN_USE;
    if cordon_verdict::abi::location_port(generation.location(number)) == UPLINK {
        flags |= Admission::UPLINK;
    }
    let mut copies = 0;
    if segment == STITCHED {
        flags |= Admission::COPIES | Admission::PROXY;
        copies = ATTACHED;
    }
    let admission = Admission {
        segment,
        flags,
        unlisted_class: 0,
        copies,
    };
    generation.admissions.insert(number, admission);
}

fn list(generation: &mut Generation, segment: u16, host: Host) {
    let id = host.v4 & 0xff;
    let device = Device {
        word: id,
        class: 1,
        bound_to: 0,
        address: Ip::v4(host.v4),
    };
    generation
        .devices
        .insert(fdb_key(segment, host.mac), device);
    let address = Address {
        device: id,
        segment,
        class: 1,
    };
    for ip in [Ip::v4(host.v4), host.v6] {
        generation.addresses.insert(ip, address);
    }
}

fn rules(generation: &mut Generation) {
    let network = |class| Network {
        class,
        segment: Network::NO_SEGMENT,
        flags: 0,
        via_uplink: class,
    };
    for (bits, address, class) in [
        (96, Ip::v4(0), 3),
        (0, Ip { hi: 0, lo: 0 }, 3),
        (100, Ip::v4(0xe000_0000), 2),
        (128, Ip::v4(u32::MAX), 2),
        (
            8,
            Ip {
                hi: 0xff << 56,
                lo: 0,
            },
            2,
        ),
    ] {
        generation.add_network(Prefix { bits, address }, network(class));
    }
    let subnets = [(120, Ip::v4(0x0a08_0000)), (64, v6(0))];
    for (bits, address) in subnets {
        let subnet = Network {
            segment: STITCHED,
            ..network(3)
        };
        generation.add_network(Prefix { bits, address }, subnet);
    }
    let any = Ruling::allow(RULE_FIRST);
    let mut rulings = [any; POSTURES];
    rulings[2..].fill(Ruling::allow_inside(RULE_FIRST));
    for (from, to) in [(1, 1), (1, 2), (1, 3), (3, 1)] {
        generation.policy.add(from, to, 0, PolicyRow { rulings });
    }
}

/// Sets 0x8100 as the type of the outer tag at port 0.
pub fn with_customer_tags(mut generation: Generation) -> Generation {
    let setting = PortSetting {
        link_control: PortSetting::OUTER_8021Q,
        ..PortSetting::default()
    };
    generation.ports.insert(0, setting);
    generation
}

/// An Ethernet frame.
pub fn frame(
    destination: Mac,
    source: Mac,
    tags: &[(u16, u16)],
    ether_type: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&destination.to_be_bytes()[2..]);
    frame.extend_from_slice(&source.to_be_bytes()[2..]);
    for (ether_type, tag) in tags {
        frame.extend_from_slice(&ether_type.to_be_bytes());
        frame.extend_from_slice(&tag.to_be_bytes());
    }
    frame.extend_from_slice(&ether_type.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// An IPv4 packet without options.
pub fn v4(from: u32, to: u32, protocol: u8, rest: &[u8]) -> Vec<u8> {
    fragment4(from, to, protocol, 0, rest)
}

/// As [`v4`], with the fragment word: flags and offset.
pub fn fragment4(from: u32, to: u32, protocol: u8, fragment: u16, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&(20 + rest.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[0x12, 0x34]);
    packet.extend_from_slice(&fragment.to_be_bytes());
    packet.extend_from_slice(&[64, protocol, 0, 0]);
    packet.extend_from_slice(&from.to_be_bytes());
    packet.extend_from_slice(&to.to_be_bytes());
    packet.extend_from_slice(rest);
    packet
}

pub fn v6_packet(from: Ip, to: Ip, next: u8, hops: u8, rest: &[u8]) -> Vec<u8> {
    // Traffic class and flow label are not zero: a test checks that they stay unchanged.
    let mut packet = vec![0x6a, 0xb1, 0x23, 0x45];
    packet.extend_from_slice(&(rest.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[next, hops]);
    for ip in [from, to] {
        packet.extend_from_slice(&ip.hi.to_be_bytes());
        packet.extend_from_slice(&ip.lo.to_be_bytes());
    }
    packet.extend_from_slice(rest);
    packet
}

pub fn udp(from: u16, to: u16) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend_from_slice(&from.to_be_bytes());
    datagram.extend_from_slice(&to.to_be_bytes());
    datagram.extend_from_slice(&[0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    datagram
}

/// A UDP datagram from a host to a MAC address and another host's IP address.
pub fn datagram(from: Host, mac: Mac, to: Host) -> Vec<u8> {
    let packet = v4(from.v4, to.v4, 17, &udp(5000, 6000));
    frame(mac, from.mac, from.tags, 0x0800, &packet)
}

/// The answer to [`datagram`] from its receiver.
pub fn answer(from: Host, mac: Mac, to: Host) -> Vec<u8> {
    let packet = v4(from.v4, to.v4, 17, &udp(6000, 5000));
    frame(mac, from.mac, from.tags, 0x0800, &packet)
}

/// An ARP frame.
pub fn arp(mac: Mac, from: Host, operation: u8, sender: u32, target: u32) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, operation];
    packet.extend_from_slice(&from.mac.to_be_bytes()[2..]);
    packet.extend_from_slice(&sender.to_be_bytes());
    // A reply names the MAC address that it goes to.
    let target_mac = if operation == 2 { mac } else { 0 };
    packet.extend_from_slice(&target_mac.to_be_bytes()[2..]);
    packet.extend_from_slice(&target.to_be_bytes());
    frame(mac, from.mac, from.tags, 0x0806, &packet)
}

pub const BROADCAST: Mac = 0xffff_ffff_ffff;

/// A message of neighbour discovery, with a link-layer address option unless `option` is 0.
pub fn discovery(from: Host, mac: Mac, to: Ip, kind: u8, target: Ip, option: u8) -> Vec<u8> {
    let mut message = vec![kind, 0, 0xde, 0xad, 0, 0, 0, 0];
    message.extend_from_slice(&target.hi.to_be_bytes());
    message.extend_from_slice(&target.lo.to_be_bytes());
    if option != 0 {
        message.extend_from_slice(&[option, 1]);
        message.extend_from_slice(&from.mac.to_be_bytes()[2..]);
    }
    let packet = v6_packet(from.v6, to, 58, 255, &message);
    frame(mac, from.mac, from.tags, 0x86dd, &packet)
}

/// The solicited-node group of an address, and its MAC address.
pub fn solicited(target: Ip) -> (Ip, Mac) {
    let low = target.lo & 0xff_ffff;
    let group = Ip {
        hi: 0xff02 << 48,
        lo: 0x1_ff00_0000 | low,
    };
    (group, 0x3333_ff00_0000 | low)
}

/// The sum over an ICMPv6 message and its pseudo-header: all ones if the checksum is correct.
pub fn icmpv6_sum(packet: &[u8]) -> u16 {
    let mut words = packet[8..].to_vec();
    words.extend_from_slice(&((packet.len() - 40) as u32).to_be_bytes());
    words.extend_from_slice(&58u32.to_be_bytes());
    let mut sum: u32 = words
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | word.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
