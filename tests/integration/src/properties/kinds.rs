//! One frame of every kind that a host may send, most of which pass at some posture.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::Mac;

use super::host::{Host, ROUTER};
use super::repair::repair;
use super::site::Site;
use super::traffic::{framed, solicited_node};
use crate::generate::frame::{
    self, BROADCAST, ICMP, ICMP6, IGMP, SCTP, SYN, TCP, UDP, group_mac, link_address_option,
};

/// Address resolution, membership and link control: what no rule of the policy decides.
pub const BUILT_IN: [&str; 24] = [
    "arp-request",
    "arp-request-link-local",
    "arp-probe",
    "arp-announcement",
    "arp-reply",
    "nd-router-solicitation",
    "nd-solicitation",
    "nd-solicitation-link-local",
    "nd-solicitation-unicast",
    "nd-probe",
    "nd-advertisement",
    "nd-advertisement-link-local",
    "nd-advertisement-all-nodes",
    "igmp-2-report",
    "igmp-2-report-long",
    "igmp-leave",
    "igmp-3-report",
    "igmp-3-report-auxiliary",
    "mld-1-report",
    "mld-1-report-long",
    "mld-done",
    "mld-2-report",
    "ether-type",
    "ether-type-unicast",
];

/// What rules of the policy decide.
pub const RULED: [&str; 16] = [
    "tcp",
    "tcp-6",
    "udp",
    "udp-6",
    "sctp",
    "echo",
    "echo-6",
    "udp-multicast",
    "udp-multicast-6",
    "udp-broadcast",
    "dhcp",
    "udp-link-local",
    "udp-link-local-6",
    "udp-unlisted-member",
    "continuity-tcp",
    "continuity-udp-6",
];

/// Link control, which belongs to a port and not to a host.
pub const LINK_CONTROL: [&str; 5] = ["stp", "lacp", "eapol", "lldp", "ptp"];

/// The router's addresses in the segment of a host.
#[derive(Clone, Copy, Debug)]
pub struct Near {
    /// IPv4.
    pub v4: Ipv4Addr,
    /// IPv6.
    pub v6: Ipv6Addr,
    /// IPv6, link-local.
    pub local: Ipv6Addr,
    /// An address of the segment that no host has.
    pub free4: Ipv4Addr,
}

/// The addresses of a host: bound or from its subnets, and link-local.
fn own(host: &Host) -> (Ipv4Addr, Ipv6Addr, Ipv6Addr, Ipv4Addr) {
    let mut found = (
        Ipv4Addr::UNSPECIFIED,
        Ipv6Addr::UNSPECIFIED,
        Ipv6Addr::UNSPECIFIED,
        Ipv4Addr::UNSPECIFIED,
    );
    for ip in host.ips.iter().rev() {
        match ip {
            IpAddr::V4(ip) if ip.is_link_local() => found.3 = *ip,
            IpAddr::V4(ip) => found.0 = *ip,
            IpAddr::V6(ip) if ip.is_unicast_link_local() => found.2 = *ip,
            IpAddr::V6(ip) => found.1 = *ip,
        }
    }
    found
}

/// A frame of a kind, with its ingress port.
///
/// # Panics
/// If there is no such kind.
pub fn frame_of(kind: &str, site: &Site, host: &Host, near: Near) -> (u16, Vec<u8>) {
    let (destination, packet) = match kind.split_once('-').map_or(kind, |(first, _)| first) {
        "arp" => arp(kind, host, near),
        "nd" => discovery(kind, host, near),
        "igmp" => igmp(kind, host),
        "mld" => mld(kind, host),
        "ether" => {
            let to = match kind {
                "ether-type-unicast" => ROUTER,
                _ => Mac([0x01, 0x0e, 0xcf, 0, 0, 1]),
            };
            (to, (0x8892, vec![0x11; 30]))
        }
        "stp" | "lacp" | "eapol" | "lldp" | "ptp" => {
            let (last, ether_type, payload): (u8, u16, &[u8]) = match kind {
                "stp" => (0, 38, &[0x42, 0x42, 3, 0, 0]),
                "lacp" => (2, 0x8809, &[1, 1]),
                "eapol" => (3, 0x888e, &[2, 0, 0, 0]),
                "lldp" => (0x0e, 0x88cc, &[2, 7, 4]),
                _ => (0x0e, 0x88f7, &[0x12, 2]),
            };
            let to = Mac([0x01, 0x80, 0xc2, 0, 0, last]);
            let mut frame = frame::ethernet(to, host.mac, None, ether_type, payload);
            frame.resize(60, 0);
            return (host.at.port as u16, frame);
        }
        _ => ruled(kind, host, near),
    };
    let (port, mut frame) = framed(site, host, destination, packet);
    repair(&mut frame);
    (port, frame)
}

fn arp(kind: &str, host: &Host, near: Near) -> (Mac, (u16, Vec<u8>)) {
    let (v4, _, _, local) = own(host);
    let none = Mac([0; 6]);
    let (to, packet) = match kind {
        "arp-request" => (BROADCAST, frame::arp(1, (host.mac, v4), (none, near.v4))),
        "arp-request-link-local" => {
            let target = Ipv4Addr::new(169, 254, 77, 7);
            (BROADCAST, frame::arp(1, (host.mac, local), (none, target)))
        }
        "arp-probe" => {
            let nowhere = Ipv4Addr::UNSPECIFIED;
            (BROADCAST, frame::arp(1, (host.mac, nowhere), (none, v4)))
        }
        "arp-announcement" => (BROADCAST, frame::arp(1, (host.mac, v4), (none, v4))),
        "arp-reply" => (ROUTER, frame::arp(2, (host.mac, v4), (ROUTER, near.v4))),
        other => panic!("no kind {other}"),
    };
    (to, (0x0806, packet))
}

fn discovery(kind: &str, host: &Host, near: Near) -> (Mac, (u16, Vec<u8>)) {
    let (_, v6, local, _) = own(host);
    let option = |kind| link_address_option(kind, host.mac);
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let all_routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    let solicit = |target: Ipv6Addr| frame::discovery(135, &target.octets(), &option(1));
    let advertise = |target: Ipv6Addr| {
        let mut message = frame::discovery(136, &target.octets(), &option(2));
        message[4] = 0x60;
        message
    };
    let (source, destination, message) = match kind {
        "nd-router-solicitation" => (local, all_routers, frame::discovery(133, &[], &option(1))),
        "nd-solicitation" => (v6, solicited_node(near.v6), solicit(near.v6)),
        "nd-solicitation-link-local" => (local, solicited_node(near.local), solicit(near.local)),
        "nd-solicitation-unicast" => (v6, near.v6, solicit(near.v6)),
        "nd-probe" => (
            Ipv6Addr::UNSPECIFIED,
            solicited_node(v6),
            frame::discovery(135, &v6.octets(), &[]),
        ),
        "nd-advertisement" => (v6, near.v6, advertise(v6)),
        "nd-advertisement-link-local" => (local, near.local, advertise(local)),
        "nd-advertisement-all-nodes" => (v6, all_nodes, advertise(v6)),
        other => panic!("no kind {other}"),
    };
    let to = match destination.is_multicast() {
        true => group_mac(destination.into()),
        false => ROUTER,
    };
    let packet = frame::ip(source.into(), destination.into(), ICMP6, 255, &message);
    (to, packet)
}

fn igmp(kind: &str, host: &Host) -> (Mac, (u16, Vec<u8>)) {
    let (v4, ..) = own(host);
    let group = Ipv4Addr::new(239, 1, 1, 1);
    let [a, b, c, d] = group.octets();
    let (destination, message) = match kind {
        "igmp-2-report" => (group, vec![0x16, 0, 0, 0, a, b, c, d]),
        "igmp-2-report-long" => (group, vec![0x16, 0, 0, 0, a, b, c, d, 9, 9, 9, 9]),
        "igmp-leave" => (Ipv4Addr::new(224, 0, 0, 2), vec![0x17, 0, 0, 0, a, b, c, d]),
        "igmp-3-report" => (
            Ipv4Addr::new(224, 0, 0, 22),
            vec![0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, a, b, c, d],
        ),
        "igmp-3-report-auxiliary" => (
            Ipv4Addr::new(224, 0, 0, 22),
            vec![
                0x22, 0, 0, 0, 0, 0, 0, 1, 4, 1, 0, 0, a, b, c, d, 9, 9, 9, 9,
            ],
        ),
        other => panic!("no kind {other}"),
    };
    let packet = frame::ip(v4.into(), destination.into(), IGMP, 1, &message);
    (group_mac(destination.into()), packet)
}

fn mld(kind: &str, host: &Host) -> (Mac, (u16, Vec<u8>)) {
    let (_, _, local, _) = own(host);
    let group = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 5);
    let all_routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    let mut message = vec![ICMP6, 0, 5, 2, 0, 0, 1, 0];
    let destination = match kind {
        "mld-1-report" | "mld-1-report-long" => {
            message.extend([131, 0, 0, 0, 0, 0, 0, 0]);
            group
        }
        "mld-done" => {
            message.extend([132, 0, 0, 0, 0, 0, 0, 0]);
            all_routers
        }
        "mld-2-report" => {
            message.extend([143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0]);
            Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16)
        }
        other => panic!("no kind {other}"),
    };
    message.extend(group.octets());
    if kind == "mld-1-report-long" {
        message.extend([9; 8]);
    }
    let packet = frame::ip(local.into(), destination.into(), 0, 1, &message);
    (group_mac(destination.into()), packet)
}

fn ruled(kind: &str, host: &Host, near: Near) -> (Mac, (u16, Vec<u8>)) {
    let (v4, v6, local6, local4) = own(host);
    let (far4, far6) = (
        Ipv4Addr::new(203, 0, 113, 9),
        Ipv6Addr::new(0x2600, 0, 0, 0, 0, 0, 0, 1),
    );
    let udp = |port| (UDP, frame::udp((40000, port), &[5; 4]));
    let tcp = |port| (TCP, frame::tcp((40000, port), SYN, &[]));
    let group4 = Ipv4Addr::new(239, 1, 1, 1);
    let group6 = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 5);
    let (source, destination, (protocol, payload)): (IpAddr, IpAddr, _) = match kind {
        "tcp" => (v4.into(), far4.into(), tcp(443)),
        "tcp-6" => (v6.into(), far6.into(), tcp(443)),
        "udp" => (v4.into(), far4.into(), udp(123)),
        "udp-6" => (v6.into(), far6.into(), udp(123)),
        "sctp" => {
            let packet = frame::sctp((40000, 1), true, &[3; 4]);
            (v4.into(), far4.into(), (SCTP, packet))
        }
        "echo" => {
            let packet = frame::icmp(8, 0, 7, &[6; 4]);
            (v4.into(), far4.into(), (ICMP, packet))
        }
        "echo-6" => {
            let packet = frame::icmp(128, 0, 7, &[6; 4]);
            (v6.into(), far6.into(), (ICMP6, packet))
        }
        "udp-multicast" => (v4.into(), group4.into(), udp(5000)),
        "udp-multicast-6" => (v6.into(), group6.into(), udp(5000)),
        "udp-broadcast" => (v4.into(), Ipv4Addr::BROADCAST.into(), udp(5000)),
        "dhcp" => {
            let packet = frame::udp((68, 67), &[1; 12]);
            let nowhere = Ipv4Addr::UNSPECIFIED;
            (nowhere.into(), Ipv4Addr::BROADCAST.into(), (UDP, packet))
        }
        "udp-link-local" => (
            local4.into(),
            Ipv4Addr::new(169, 254, 77, 7).into(),
            udp(123),
        ),
        "udp-link-local-6" => (local6.into(), near.local.into(), udp(123)),
        "udp-unlisted-member" => (v4.into(), near.free4.into(), udp(123)),
        "continuity-tcp" => (v4.into(), far4.into(), tcp(104)),
        "continuity-udp-6" => (v6.into(), far6.into(), udp(514)),
        other => panic!("no kind {other}"),
    };
    let to = match destination.is_multicast() || destination == Ipv4Addr::BROADCAST {
        true => group_mac(destination),
        // A host that was never seen.
        false if kind == "udp-unlisted-member" => Mac([2, 0, 0, 0, 0x0f, 1]),
        false => ROUTER,
    };
    (to, frame::ip(source, destination, protocol, 64, &payload))
}
