//! The probe packet, as bytes.

use std::fmt;
use std::net::IpAddr;

use cordon_policy::Service;
use cordon_verdict::abi::{location_inner, location_outer};
use etherparse::{
    IpHeaders, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, PacketBuilder, VlanId,
};

use crate::active_policy::ActivePolicy;

/// The first packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A TCP SYN to this port.
    Tcp(u16),
    /// A UDP datagram to this port.
    Udp(u16),
    /// The first packet of an SCTP association to this port.
    Sctp(u16),
    /// An echo request.
    Echo,
}

impl Packet {
    /// The first packet of a flow of this IP protocol to this port; none if policies have no services of the protocol.
    pub fn new(protocol: u8, port: u16) -> Option<Packet> {
        Some(match protocol {
            6 => Packet::Tcp(port),
            17 => Packet::Udp(port),
            132 => Packet::Sctp(port),
            1 | 58 => Packet::Echo,
            _ => return None,
        })
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Packet::Tcp(port) => write!(to, "tcp/{port}"),
            Packet::Udp(port) => write!(to, "udp/{port}"),
            Packet::Sctp(port) => write!(to, "sctp/{port}"),
            Packet::Echo => to.write_str("icmp"),
        }
    }
}

/// The packets that represent a service: of a range of ports, the first; of `any`, one per protocol to a port that no
/// rule names.
pub fn packets_of(active: &ActivePolicy, service: Service) -> Vec<Packet> {
    match service {
        Service::Tcp(first, _) => vec![Packet::Tcp(first)],
        Service::Udp(first, _) => vec![Packet::Udp(first)],
        Service::Sctp(first, _) => vec![Packet::Sctp(first)],
        Service::IcmpEcho => vec![Packet::Echo],
        Service::Any => {
            let tcp = active.unmatched_port(6).map(Packet::Tcp);
            let udp = active.unmatched_port(17).map(Packet::Udp);
            tcp.into_iter().chain(udp).chain([Packet::Echo]).collect()
        }
    }
}

/// The headers of a packet on the wire, below the transport protocol.
#[derive(Clone, Copy, Debug)]
pub struct FrameHeaders {
    /// The L2 location where it enters.
    pub ingress: u32,
    /// The TPID of the outer of two VLAN tags there.
    pub outer_type: u16,
    /// MAC addresses, source and destination.
    pub macs: [[u8; 6]; 2],
    /// IP addresses, source and destination, of one family.
    pub ips: [IpAddr; 2],
}

/// A client port (first dynamic port, RFC 6335 §6).
const CLIENT_PORT: u16 = 49152;
const TTL: u8 = 64;

/// The source port of a datagram to this port. DHCP clients use a fixed one (RFC 2131 §4.1, RFC 8415 §7.2).
fn client_port(port: u16) -> u16 {
    match port {
        67 => 68,
        547 => 546,
        _ => CLIENT_PORT,
    }
}

impl Packet {
    /// The frame.
    pub fn frame(self, headers: &FrameHeaders) -> Vec<u8> {
        let [source, destination] = headers.macs;
        let ethernet = PacketBuilder::ethernet2(source, destination);
        let ip = self.ip(headers.ips);
        let v4 = headers.ips[0].is_ipv4();
        let vlan = |id| VlanId::try_new(id).expect("a location has twelve bits for it");
        let packet = match (
            location_outer(headers.ingress),
            location_inner(headers.ingress),
        ) {
            (0, _) => ethernet.ip(ip),
            (outer, 0) => ethernet.single_vlan(vlan(outer)).ip(ip),
            (outer, inner) => ethernet.double_vlan(vlan(outer), vlan(inner)).ip(ip),
        };
        let mut frame = Vec::with_capacity(128);
        let written = match self {
            Packet::Tcp(port) => packet
                .tcp(CLIENT_PORT, port, 0, 65535)
                .syn()
                .write_to_vec(&mut frame, &[]),
            Packet::Udp(port) => packet
                .udp(client_port(port), port)
                .write_to_vec(&mut frame, &[]),
            Packet::Sctp(port) => {
                // Ports, verification tag and checksum, and no chunk (RFC 9260 §3.1).
                let [from, to] = [CLIENT_PORT, port].map(u16::to_be_bytes);
                let header = [from, to].concat().into_iter().chain([0; 8]);
                packet.write_to_vec(&mut frame, IpNumber::SCTP, &header.collect::<Vec<u8>>())
            }
            Packet::Echo if v4 => packet
                .icmpv4_echo_request(1, 1)
                .write_to_vec(&mut frame, &[]),
            Packet::Echo => packet
                .icmpv6_echo_request(1, 1)
                .write_to_vec(&mut frame, &[]),
        };
        written.expect("headers without payload fit");
        if location_inner(headers.ingress) != 0 {
            // The library always writes the TPID of a service tag (802.1ad).
            frame[12..14].copy_from_slice(&headers.outer_type.to_be_bytes());
        }
        frame
    }

    fn ip(self, ips: [IpAddr; 2]) -> IpHeaders {
        let protocol = match (self, ips[0].is_ipv4()) {
            (Packet::Tcp(_), _) => IpNumber::TCP,
            (Packet::Udp(_), _) => IpNumber::UDP,
            (Packet::Sctp(_), _) => IpNumber::SCTP,
            (Packet::Echo, true) => IpNumber::ICMP,
            (Packet::Echo, false) => IpNumber::IPV6_ICMP,
        };
        match ips {
            [IpAddr::V4(source), IpAddr::V4(destination)] => {
                let header =
                    Ipv4Header::new(0, TTL, protocol, source.octets(), destination.octets())
                        .expect("an empty payload fits");
                IpHeaders::Ipv4(header, Default::default())
            }
            [source, destination] => {
                let header = Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: 0,
                    next_header: protocol,
                    hop_limit: TTL,
                    source: in_v6(source),
                    destination: in_v6(destination),
                };
                IpHeaders::Ipv6(header, Default::default())
            }
        }
    }
}

fn in_v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
    }
}
