//! Frames as hosts send them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::Mac;

use super::host::{Host, ROUTER};
use super::site::Site;
use crate::generate::frame::{
    self, ACK, BROADCAST, ICMP, ICMP6, IGMP, SCTP, SYN, TCP, UDP, group_mac,
};
use crate::generate::{Rng, one};

const PORTS: [u16; 8] = [1, 2, 3, 4, 53, 67, 123, 443];
const GROUPS: [&str; 8] = [
    "255.255.255.255",
    "224.0.0.251",
    "239.1.1.1",
    "239.1.2.2",
    "ff02::1",
    "ff02::fb",
    "ff05::5",
    "ff0e::9",
];

/// A frame at the sender's attachment, with its ingress port.
pub fn framed(
    site: &Site,
    from: &Host,
    to: Mac,
    (ether_type, packet): (u16, Vec<u8>),
) -> (u16, Vec<u8>) {
    let tags = site.tags(from.at);
    let frame = frame::stacked(to, from.mac, &tags, ether_type, &packet);
    (from.at.port as u16, frame)
}

/// Where a host sends what is for another: to it in its own segment, else to the router.
fn next_hop(from: &Host, to: &Host) -> Mac {
    match from.segment == to.segment {
        true => to.mac,
        false => ROUTER,
    }
}

/// The ARP request with which a router makes itself known.
pub fn announcement(site: &Site, router: &Host) -> (u16, Vec<u8>) {
    let ip = Ipv4Addr::new(203, 0, 113, 9);
    let packet = frame::arp(1, (router.mac, ip), (Mac([0; 6]), ip));
    framed(site, router, BROADCAST, (0x0806, packet))
}

/// A frame from one host to another, or to a group; none if the two have no addresses of one family.
pub fn ordinary(rng: &mut Rng, site: &Site, from: &Host, to: &Host) -> Option<(u16, Vec<u8>)> {
    let v6 = rng.u8(..100) < 40;
    let source = from.ip(rng, v6)?;
    let destination = to.ip(rng, v6);
    match (rng.u8(..100), source) {
        (0..12, IpAddr::V4(source)) => {
            let Some(IpAddr::V4(target)) = destination else {
                return None;
            };
            let reply = rng.u8(..4) == 0;
            let (operation, mac, at) = match reply {
                true => (2, to.mac, to.mac),
                false => (1, Mac([0; 6]), BROADCAST),
            };
            let packet = frame::arp(operation, (from.mac, source), (mac, target));
            Some(framed(site, from, at, (0x0806, packet)))
        }
        (0..12, IpAddr::V6(source)) => {
            let Some(IpAddr::V6(target)) = destination else {
                return None;
            };
            let (to, packet) = discovery(rng, from, source, (to.mac, target));
            Some(framed(site, from, to, packet))
        }
        (12..18, source) => {
            let (to, packet) = membership(rng, source);
            Some(framed(site, from, to, packet))
        }
        (18..30, source) => {
            let group = one(rng, &GROUPS).parse::<IpAddr>();
            let group = group.expect("the address is valid");
            if group.is_ipv6() != v6 {
                return None;
            }
            let ports = (40000, one(rng, &PORTS));
            let packet = frame::ip(source, group, UDP, 4, &frame::udp(ports, &[7; 8]));
            Some(framed(site, from, group_mac(group), packet))
        }
        (_, source) => {
            let (protocol, payload) = transport(rng, v6);
            let packet = frame::ip(source, destination?, protocol, 64, &payload);
            Some(framed(site, from, next_hop(from, to), packet))
        }
    }
}

fn transport(rng: &mut Rng, v6: bool) -> (u8, Vec<u8>) {
    let mut ports = (40000 + rng.u16(..2), one(rng, &PORTS));
    if rng.u8(..4) == 0 {
        ports = (ports.1, ports.0);
    }
    let (echo, request) = if v6 { (ICMP6, 128) } else { (ICMP, 8) };
    match rng.u8(..10) {
        0..3 => (TCP, frame::tcp(ports, SYN, &[])),
        3..5 => (
            TCP,
            frame::tcp(ports, one(rng, &[ACK, SYN | ACK]), &[1, 2, 3]),
        ),
        5 => (SCTP, frame::sctp(ports, rng.bool(), &[4; 4])),
        6..9 => (UDP, frame::udp(ports, &[5; 6])),
        _ => {
            let kind = request + u8::from(v6 && rng.u8(..3) == 0);
            (echo, frame::icmp(kind, 0, 7, &[6; 4]))
        }
    }
}

/// The address to which a solicitation for a target is sent (RFC 4291 §2.7.1).
pub fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b] = target.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | a & 0xff, b)
}

fn discovery(
    rng: &mut Rng,
    from: &Host,
    source: Ipv6Addr,
    (mac, target): (Mac, Ipv6Addr),
) -> (Mac, (u16, Vec<u8>)) {
    let all_routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    let option = |kind| frame::link_address_option(kind, from.mac);
    let (destination, message) = match rng.u8(..6) {
        0 => (all_routers, frame::discovery(133, &[], &option(1))),
        1..4 => (
            solicited_node(target),
            frame::discovery(135, &target.octets(), &option(1)),
        ),
        _ => {
            let mut message = frame::discovery(136, &source.octets(), &option(2));
            message[4] = 0x60;
            (target, message)
        }
    };
    let to = match destination.is_multicast() {
        true => group_mac(destination.into()),
        false => mac,
    };
    let packet = frame::ip(source.into(), destination.into(), ICMP6, 255, &message);
    (to, packet)
}

fn membership(rng: &mut Rng, source: IpAddr) -> (Mac, (u16, Vec<u8>)) {
    match source {
        IpAddr::V4(_) => {
            let group = Ipv4Addr::new(239, 1, 1, one(rng, &[1, 2]));
            let [a, b, c, d] = group.octets();
            let message = vec![0x16, 0, 0, 0, a, b, c, d];
            let packet = frame::ip(source, group.into(), IGMP, 1, &message);
            (group_mac(group.into()), packet)
        }
        IpAddr::V6(_) => {
            let group = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 5);
            let mut message = vec![ICMP6, 0, 5, 2, 0, 0, 1, 0, 131, 0, 0, 0, 0, 0, 0, 0];
            message.extend(group.octets());
            let packet = frame::ip(source, group.into(), 0, 1, &message);
            (group_mac(group.into()), packet)
        }
    }
}
