//! Builds the frames of a cell: those that have to pass before it, and the one that it tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::Mac;

use super::protocols::{Protocol, Service};
use super::topology::{Attachment, Endpoint, Topology};
use crate::generate::frame::{
    self, ACK, BROADCAST, ICMP, ICMP6, IGMP, RST, SCTP, SYN, TCP, UDP, group_mac,
};

/// A frame and its ingress attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The ingress attachment.
    pub at: Attachment,
    /// Destination and source.
    pub macs: (Mac, Mac),
    /// The EtherType after the tags.
    pub ether_type: u16,
    /// The payload of the frame.
    pub payload: Vec<u8>,
}

/// Priority and drop eligible indicator of all ingress tags.
pub const PRIORITY: u16 = 0xb000;

impl Sent {
    /// The whole frame.
    pub fn frame(&self) -> Vec<u8> {
        self.with_tags(&self.at.tags(PRIORITY))
    }

    /// The frame as it leaves at an attachment. An untagged frame has no priority.
    pub fn leaving_at(&self, attachment: &Attachment) -> Vec<u8> {
        let priority = match self.at.vlans {
            (0, _) => 0,
            _ => PRIORITY,
        };
        self.with_tags(&attachment.tags(priority))
    }

    fn with_tags(&self, tags: &[(u16, u16)]) -> Vec<u8> {
        let (to, from) = self.macs;
        frame::stacked(to, from, tags, self.ether_type, &self.payload)
    }
}

/// Sender and receiver of a cell, from which its frames are built.
#[derive(Clone, Copy)]
pub struct Exchange<'a> {
    /// The site.
    pub topology: &'a Topology,
    /// The sender.
    pub from: Endpoint,
    /// The receiver.
    pub to: Endpoint,
    /// Whether IPv6 is used, for protocols of both versions.
    pub v6: bool,
    /// A number that is unique to the cell, so that cells do not share flows.
    pub number: u16,
}

/// The frames to send before, and the cell's frame.
pub type Frames = (Vec<Sent>, Sent);

const GROUP_4: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
const GROUP_6: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 5);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL_REPORTS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// The EtherType that the segments list: PROFINET.
const LISTED: u16 = 0x8892;
const UNLISTED: u16 = 0x88b8;

/// Payload, so that frames have at least the minimum length.
const DATA: [u8; 24] = [0xda; 24];

/// A discovery message with its checksum: they leave with a correct one.
fn with_checksum(mut sent: Sent) -> Sent {
    frame::set_checksum6(&mut sent.payload);
    sent
}

impl Exchange<'_> {
    /// The exchange in the reverse direction.
    fn back(&self) -> Self {
        let (from, to) = (self.to, self.from);
        Self { from, to, ..*self }
    }

    fn with_mac(&self, mac: Mac, ether_type: u16, payload: Vec<u8>) -> Sent {
        Sent {
            at: self.from.at,
            macs: (mac, self.from.mac),
            ether_type,
            payload,
        }
    }

    /// A frame to the MAC address that the sender has resolved for the receiver.
    fn sent_to_receiver(&self, ether_type: u16, payload: Vec<u8>) -> Sent {
        let mac = self.topology.resolved_mac(&self.from, &self.to);
        self.with_mac(mac, ether_type, payload)
    }

    fn ip(&self, protocol: u8, hop_limit: u8, payload: &[u8]) -> Sent {
        let (from, to) = (self.from.ip(self.v6), self.to.ip(self.v6));
        let (ether_type, packet) = frame::ip(from, to, protocol, hop_limit, payload);
        self.sent_to_receiver(ether_type, packet)
    }

    fn ip_to_group(&self, from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Sent {
        let hop_limit = match protocol {
            IGMP | 0 => 1,
            ICMP6 => 255,
            _ => 64,
        };
        let (ether_type, packet) = frame::ip(from, to, protocol, hop_limit, payload);
        self.with_mac(group_mac(to), ether_type, packet)
    }

    /// A client port that is unique to the cell, and the service's port.
    fn ports(&self, service: Service) -> (u16, u16) {
        (10_000 + self.number, service.port())
    }

    fn udp(&self, service: Service) -> Sent {
        self.ip(UDP, 64, &frame::udp(self.ports(service), &DATA))
    }

    fn tcp(&self, ports: (u16, u16), flags: u8, sequence: u32) -> Sent {
        let mut segment = frame::tcp(ports, flags, &DATA);
        segment[4..8].copy_from_slice(&sequence.to_be_bytes());
        self.ip(TCP, 64, &segment)
    }

    fn sctp(&self, ports: (u16, u16), opens: bool) -> Sent {
        self.ip(SCTP, 64, &frame::sctp(ports, opens, &DATA))
    }

    fn echo(&self, reply: bool) -> Sent {
        let (protocol, kind) = match (self.v6, reply) {
            (false, false) => (ICMP, 8),
            (false, true) => (ICMP, 0),
            (true, false) => (ICMP6, 128),
            (true, true) => (ICMP6, 129),
        };
        let message = frame::icmp(kind, 0, 10_000 + self.number, &DATA);
        self.ip(protocol, 64, &message)
    }

    /// A port unreachable error about a packet of the receiver.
    fn error(&self, about: &Sent) -> Sent {
        let (protocol, kind, code) = if self.v6 { (ICMP6, 1, 4) } else { (ICMP, 3, 3) };
        let message = frame::icmp(kind, code, 0, &about.payload);
        self.ip(protocol, 64, &message)
    }

    fn redirect(&self) -> Sent {
        let (protocol, kind) = if self.v6 { (ICMP6, 137) } else { (ICMP, 5) };
        self.ip(protocol, 255, &frame::icmp(kind, 0, 0, &[0; 40]))
    }

    fn group(&self) -> IpAddr {
        match self.v6 {
            true => GROUP_6.into(),
            false => GROUP_4.into(),
        }
    }

    fn datagram_to(&self, group: IpAddr, service: Service) -> Sent {
        let datagram = frame::udp(self.ports(service), &DATA);
        self.ip_to_group(self.from.ip(self.v6), group, UDP, &datagram)
    }

    fn arp(&self, operation: u16) -> Vec<u8> {
        let target = if operation == 1 {
            Mac([0; 6])
        } else {
            self.topology.resolved_mac(&self.from, &self.to)
        };
        let mut packet = frame::arp(
            operation,
            (self.from.mac, self.from.v4),
            (target, self.to.v4),
        );
        packet.resize(46, 0);
        packet
    }

    fn link_local(&self) -> IpAddr {
        let [.., last] = self.from.mac.0;
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last.into()).into()
    }

    fn discovery(&self, from: IpAddr, to: IpAddr, message: &[u8]) -> Sent {
        with_checksum(self.ip_to_group(from, to, ICMP6, message))
    }

    fn dhcp(&self, ports: (u16, u16), from: IpAddr, to: Option<IpAddr>) -> Sent {
        let datagram = frame::udp(ports, &DATA);
        match to {
            Some(to) => self.ip_to_group(from, to, UDP, &datagram),
            None => self.ip(UDP, 64, &datagram),
        }
    }

    /// A fragment of a datagram to an open service.
    fn fragment(&self, first: bool) -> Sent {
        let mut datagram = frame::udp(self.ports(Service::Open), &DATA);
        // The length in the header is that of the whole datagram.
        datagram[5] = 8 + 24 + 16;
        let part = if first { datagram } else { DATA[..16].to_vec() };
        let offset: u16 = if first { 0 } else { 32 };
        let identification = 10_000 + self.number;
        if self.v6 {
            let mut payload = vec![UDP, 0];
            payload.extend((offset | u16::from(first)).to_be_bytes());
            payload.extend(u32::from(identification).to_be_bytes());
            payload.extend(part);
            return self.ip(44, 64, &payload);
        }
        let mut sent = self.ip(UDP, 64, &part);
        let more: u16 = if first { 0x2000 } else { 0 };
        sent.payload[4..6].copy_from_slice(&identification.to_be_bytes());
        sent.payload[6..8].copy_from_slice(&(more | (offset / 8)).to_be_bytes());
        sent
    }

    fn with_options(&self, options: &[u8]) -> Sent {
        let mut sent = self.udp(Service::Open);
        sent.payload.splice(20..20, options.iter().copied());
        sent.payload[0] = 0x45 + (options.len() / 4) as u8;
        sent.payload[3] += options.len() as u8;
        sent
    }

    fn with_extensions(&self, first: u8, headers: &[u8]) -> Sent {
        let datagram = frame::udp(self.ports(Service::Open), &DATA);
        self.ip(first, 64, &[headers, &datagram].concat())
    }

    fn mld(&self, to: Ipv6Addr, message: &[u8]) -> Sent {
        // A hop-by-hop header with the router alert option.
        let payload = [&[ICMP6, 0, 5, 2, 0, 0, 1, 0], message].concat();
        self.ip_to_group(self.link_local(), to.into(), 0, &payload)
    }

    fn igmp(&self, to: Ipv4Addr, message: &[u8]) -> Sent {
        let mut sent = self.ip_to_group(self.from.v4.into(), to.into(), IGMP, message);
        sent.payload.resize(46, 0);
        sent
    }

    fn link_control(&self, last: u8, ether_type: u16, start: &[u8]) -> Sent {
        let mut payload = start.to_vec();
        payload.resize(46, 0);
        self.with_mac(Mac([1, 0x80, 0xc2, 0, 0, last]), ether_type, payload)
    }

    /// The frames of a cell.
    pub fn frames(&self, protocol: Protocol) -> Frames {
        use Protocol::*;
        let single = |sent: Sent| (Vec::new(), sent);
        let open = Service::Open;
        let (high, low) = self.ports(open);
        let broadcast = IpAddr::V4(Ipv4Addr::BROADCAST);
        match protocol {
            ArpRequest => single(self.with_mac(BROADCAST, 0x0806, self.arp(1))),
            ArpReply => single(self.sent_to_receiver(0x0806, self.arp(2))),
            Solicitation => {
                let own = frame::link_address_option(1, self.from.mac);
                let message = frame::discovery(135, &self.to.v6.octets(), &own);
                let [.., a, b, c] = self.to.v6.octets();
                let [a, b] = [u16::from(a), u16::from(b) << 8 | u16::from(c)];
                let nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | a, b);
                single(self.discovery(self.from.v6.into(), nodes.into(), &message))
            }
            Advertisement => {
                let own = frame::link_address_option(2, self.from.mac);
                let message = frame::discovery(136, &self.from.v6.octets(), &own);
                single(with_checksum(self.ip(ICMP6, 255, &message)))
            }
            RouterSolicitation => {
                let own = frame::link_address_option(1, self.from.mac);
                let message = frame::discovery(133, &[], &own);
                single(self.discovery(self.link_local(), ALL_ROUTERS.into(), &message))
            }
            RouterAdvertisement => {
                let message = frame::discovery(134, &[0; 8], &[]);
                single(self.discovery(self.link_local(), ALL_NODES.into(), &message))
            }
            DhcpDiscover => {
                single(self.dhcp((68, 67), Ipv4Addr::UNSPECIFIED.into(), Some(broadcast)))
            }
            DhcpOffer => single(self.dhcp((67, 68), self.from.v4.into(), None)),
            DhcpOfferToAll => single(self.dhcp((67, 68), self.from.v4.into(), Some(broadcast))),
            Dhcp6Offer => single(self.ip(UDP, 64, &frame::udp((547, 546), &DATA))),
            Tcp(service) => single(self.tcp(self.ports(service), SYN, 1)),
            TcpMiddle => single(self.tcp((high, low), ACK, 2)),
            TcpAnswer => single(self.tcp((low, high), SYN | ACK, 1)),
            TcpForgedReset => {
                let before = vec![
                    self.tcp((high, low), SYN, 1),
                    self.back().tcp((low, high), SYN | ACK, 1),
                    self.tcp((high, low), ACK, 2),
                ];
                (before, self.tcp((high, low), RST, 2 + (1 << 22)))
            }
            Udp(service) => single(self.udp(service)),
            UdpAnswer => {
                let answer = frame::udp((low, high), &DATA);
                (vec![self.back().udp(open)], self.ip(UDP, 64, &answer))
            }
            Sctp(service) => single(self.sctp(self.ports(service), true)),
            SctpMiddle => single(self.sctp((high, low), false)),
            SctpAnswer => single(self.sctp((low, high), false)),
            Echo => single(self.echo(false)),
            EchoReply => (vec![self.back().echo(false)], self.echo(true)),
            UnsolicitedEchoReply => single(self.echo(true)),
            IcmpError => {
                let about = self.back().udp(open);
                let error = self.error(&about);
                (vec![about], error)
            }
            UnrelatedIcmpError => single(self.error(&self.back().udp(open))),
            Redirect => single(self.redirect()),
            FirstFragment => single(self.fragment(true)),
            LaterFragment => (vec![self.fragment(true)], self.fragment(false)),
            OrphanFragment => single(self.fragment(false)),
            Report4 => {
                let report = frame::membership_report(0x22, &[(GROUP_4.into(), Vec::new())]);
                single(self.igmp(Ipv4Addr::new(224, 0, 0, 22), &report))
            }
            Query4 => single(self.igmp(Ipv4Addr::new(224, 0, 0, 1), &[0x11, 0, 0, 0, 0, 0, 0, 0])),
            Report6 => {
                let report = frame::membership_report(143, &[(GROUP_6.into(), Vec::new())]);
                single(self.mld(ALL_REPORTS, &report))
            }
            Query6 => single(self.mld(ALL_NODES, &frame::icmp(130, 0, 0, &[0; 16]))),
            Multicast(service) => single(self.datagram_to(self.group(), service)),
            Broadcast(service) => single(self.datagram_to(broadcast, service)),
            DirectedBroadcast(service) => {
                let all = Ipv4Addr::new(10, 1, 0, 255);
                single(self.datagram_to(all.into(), service))
            }
            GroupAnswer => {
                let answer = frame::udp((low, high), &DATA);
                let request = self.back().datagram_to(self.group(), open);
                (vec![request], self.ip(UDP, 64, &answer))
            }
            Options => single(self.with_options(&[148, 4, 0, 0, 1, 1, 1, 0])),
            SourceRoute => single(self.with_options(&[131, 7, 4, 203, 0, 113, 9, 0])),
            Extensions => {
                let hop_by_hop = [60, 0, 5, 2, 0, 0, 1, 0];
                let destination_options = [UDP, 0, 1, 4, 0, 0, 0, 0];
                let headers = [hop_by_hop, destination_options].concat();
                single(self.with_extensions(0, &headers))
            }
            RoutingHeader => single(self.with_extensions(43, &[UDP, 0, 0, 0, 0, 0, 0, 0])),
            Lldp | LldpClosedPort => single(self.link_control(0x0e, 0x88cc, &[2, 7, 4])),
            Stp => single(self.link_control(0x00, 38, &[0x42, 0x42, 3])),
            Lacp => single(self.link_control(0x02, 0x8809, &[1, 1])),
            Eapol => single(self.link_control(0x03, 0x888e, &[2, 1, 0, 0])),
            Ptp => single(self.link_control(0x0e, 0x88f7, &[0x12, 2])),
            Listed => single(self.with_mac(BROADCAST, LISTED, vec![0xcc; 46])),
            ListedToOne => single(self.sent_to_receiver(LISTED, vec![0xcc; 46])),
            Unlisted => single(self.sent_to_receiver(UNLISTED, vec![0xcc; 46])),
        }
    }
}
