//! What the frames of a cell are: those that have to pass before, and the one that the cell is about.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::Mac;

use super::world::{Direction, Party, Place, World};
use crate::generate::frame::{self, ACK, ICMP, ICMP6, IGMP, RST, SCTP, SYN, TCP, UDP};

/// The rule that a service of the matrix's policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Allowed, as far as its reach goes.
    Open,
    /// On the continuity list.
    Kept,
    /// Allowed at posture normal alone.
    Vendor,
    /// Denied.
    Closed,
    /// Nothing is said of it.
    Unnamed,
}

impl Service {
    const fn port(self) -> u16 {
        match self {
            Service::Open => 443,
            Service::Kept => 104,
            Service::Vendor => 22,
            Service::Closed => 23,
            Service::Unnamed => 9,
        }
    }
}

/// What a cell's frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A request.
    ArpRequest,
    /// A reply.
    ArpReply,
    /// A neighbour solicitation.
    Solicitation,
    /// A neighbour advertisement.
    Advertisement,
    /// A router solicitation.
    RouterSolicitation,
    /// A router advertisement.
    RouterAdvertisement,
    /// A DHCP client asks everybody.
    DhcpDiscover,
    /// A DHCP server answers one client.
    DhcpOffer,
    /// A DHCP server answers everybody.
    DhcpOfferToAll,
    /// A DHCPv6 server answers one client.
    Dhcp6Offer,
    /// The first packet of a connection.
    Tcp(Service),
    /// A packet from the middle of a connection that nobody has seen.
    TcpMiddle,
    /// What answers the first packet, which nobody has seen.
    TcpAnswer,
    /// A reset in an established connection that is not what its receiver waits for.
    TcpForgedReset,
    /// A datagram.
    Udp(Service),
    /// An answer to a datagram that has passed if it could.
    UdpAnswer,
    /// An SCTP packet.
    Sctp(Service),
    /// Of an association that nobody has seen the beginning of, from who asked for it.
    SctpMiddle,
    /// The same from who was asked.
    SctpAnswer,
    /// An echo request.
    Echo,
    /// The reply to one that has passed if it could.
    EchoReply,
    /// A reply that nobody asked for.
    EchoReplyUnasked,
    /// About a datagram that has passed if it could.
    IcmpError,
    /// About one that never was.
    IcmpErrorUnasked,
    /// An ICMP redirect.
    Redirect,
    /// The first fragment of a datagram.
    FirstFragment,
    /// A later one, behind the first, which has passed if it could.
    LaterFragment,
    /// A later one without a first.
    OrphanFragment,
    /// Membership in a group is reported.
    Report4,
    /// The same of IPv6.
    Report6,
    /// A router asks who is in groups.
    Query4,
    /// The same of IPv6.
    Query6,
    /// A datagram to a multicast group.
    Multicast(Service),
    /// A datagram to everybody.
    Broadcast(Service),
    /// A datagram to everybody of the segment's subnet.
    DirectedBroadcast(Service),
    /// A datagram that answers one to a multicast group, which has passed if it could.
    GroupAnswer,
    /// A datagram with IPv4 options that are welcome.
    Options,
    /// With a source route.
    SourceRoute,
    /// A datagram with IPv6 extension headers that are welcome.
    Extensions,
    /// With a routing header.
    RoutingHeader,
    /// Link-layer discovery.
    Lldp,
    /// Spanning tree.
    Stp,
    /// Link aggregation.
    Lacp,
    /// Port authentication.
    Eapol,
    /// Precision time over Ethernet.
    Ptp,
    /// The same as [`Protocol::Lldp`], from a port that is not set to let it pass.
    LldpElsewhere,
    /// An EtherType that the segment lists, to everybody.
    Listed,
    /// The same, to one.
    ListedToOne,
    /// One that it does not list.
    Unlisted,
}

/// A frame, and where it comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Where.
    pub at: Place,
    /// Destination and source.
    pub macs: (Mac, Mac),
    /// What is behind the tags.
    pub ether_type: u16,
    /// What is behind that.
    pub payload: Vec<u8>,
}

/// Priority and drop eligibility of all tags that come in.
pub const PRIORITY: u16 = 0xb000;

impl Sent {
    /// The whole frame.
    pub fn frame(&self) -> Vec<u8> {
        self.with_tags(&self.at.tags(PRIORITY))
    }

    /// The frame as it is to leave at a place. What came in without a tag has no priority.
    pub fn leaving_at(&self, place: &Place) -> Vec<u8> {
        let priority = match self.at.vlans {
            (0, _) => 0,
            _ => PRIORITY,
        };
        self.with_tags(&place.tags(priority))
    }

    fn with_tags(&self, tags: &[(u16, u16)]) -> Vec<u8> {
        let (to, from) = self.macs;
        frame::stacked(to, from, tags, self.ether_type, &self.payload)
    }
}

/// What a cell is made of.
#[derive(Clone, Copy)]
pub struct Talk<'a> {
    /// Where it is.
    pub world: &'a World,
    /// Who speaks.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// Which IP version, if both will do.
    pub v6: bool,
    /// Another in each cell, so that no cell knows of another's flows.
    pub number: u16,
}

/// What comes before, and the frame that the cell is about.
pub type Frames = (Vec<Sent>, Sent);

const EVERYBODY: Mac = Mac([0xff; 6]);
const GROUP_4: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
const GROUP_6: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 5);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL_REPORTS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// What listed EtherType the segments have: PROFINET.
const LISTED: u16 = 0x8892;
const UNLISTED: u16 = 0x88b8;

/// Bytes behind every header, so that no frame is a short one.
const DATA: [u8; 24] = [0xda; 24];

fn group_mac(ip: IpAddr) -> Mac {
    match ip {
        IpAddr::V4(ip) if ip.is_multicast() => {
            let [_, b, c, d] = ip.octets();
            Mac([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V4(_) => EVERYBODY,
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            Mac([0x33, 0x33, a, b, c, d])
        }
    }
}

impl Protocol {
    /// The IP versions that it comes in: whether each is IPv6. What is not IP comes once.
    pub fn versions(self) -> &'static [bool] {
        use Protocol::*;
        match self {
            Tcp(_) | TcpMiddle | TcpAnswer | TcpForgedReset | Udp(_) | UdpAnswer | Sctp(_)
            | SctpMiddle | SctpAnswer | Echo | EchoReply | EchoReplyUnasked | IcmpError
            | IcmpErrorUnasked | Redirect | FirstFragment | LaterFragment | OrphanFragment
            | Multicast(_) | GroupAnswer => &[false, true],
            Solicitation | Advertisement | RouterSolicitation | RouterAdvertisement | Report6
            | Query6 | Extensions | RoutingHeader | Dhcp6Offer => &[true],
            _ => &[false],
        }
    }

    /// Whether it is about the segment itself: no router passes it on.
    pub fn is_here(self) -> bool {
        use Protocol::*;
        matches!(
            self,
            ArpRequest
                | ArpReply
                | Solicitation
                | Advertisement
                | RouterSolicitation
                | RouterAdvertisement
                | Report4
                | Report6
                | Query4
                | Query6
                | Listed
                | ListedToOne
                | Unlisted
        )
    }

    /// Whether it goes from port to port, past all segments.
    pub fn is_link_control(self) -> bool {
        use Protocol::*;
        matches!(self, Lldp | Stp | Lacp | Eapol | Ptp | LldpElsewhere)
    }

    /// Whether a server of the infrastructure is the other end.
    pub fn is_dhcp(self) -> bool {
        use Protocol::*;
        matches!(self, DhcpDiscover | DhcpOffer | DhcpOfferToAll | Dhcp6Offer)
    }
}

impl Talk<'_> {
    /// The other way.
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

    /// To the MAC address that the sender has for the receiver.
    fn with_known_mac(&self, ether_type: u16, payload: Vec<u8>) -> Sent {
        let mac = self.world.known_as(&self.from, &self.to);
        self.with_mac(mac, ether_type, payload)
    }

    fn ip(&self, protocol: u8, hop_limit: u8, payload: &[u8]) -> Sent {
        let (from, to) = (self.from.ip(self.v6), self.to.ip(self.v6));
        let (ether_type, packet) = frame::ip(from, to, protocol, hop_limit, payload);
        self.with_known_mac(ether_type, packet)
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

    /// From a port of this cell's alone to a service, and back.
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

    /// About a packet of the receiver: its port is unreachable.
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
            self.to.mac
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
        self.ip_to_group(from, to, ICMP6, message)
    }

    fn dhcp(&self, ports: (u16, u16), from: IpAddr, to: Option<IpAddr>) -> Sent {
        let datagram = frame::udp(ports, &DATA);
        match to {
            Some(to) => self.ip_to_group(from, to, UDP, &datagram),
            None => self.ip(UDP, 64, &datagram),
        }
    }

    /// Part of a datagram to an open service.
    fn fragment(&self, first: bool) -> Sent {
        let mut datagram = frame::udp(self.ports(Service::Open), &DATA);
        // Its length is that of the whole.
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

    fn mld(&self, kind: u8, to: Ipv6Addr) -> Sent {
        let message = frame::icmp(kind, 0, 0, &[0; 16]);
        // Router alert, between hops.
        let payload = [&[ICMP6, 0, 5, 2, 0, 0, 1, 0], &message[..]].concat();
        self.ip_to_group(self.link_local(), to.into(), 0, &payload)
    }

    fn igmp(&self, kind: u8, to: Ipv4Addr) -> Sent {
        let mut message = vec![kind, 0, 0, 0, 239, 1, 1, 1];
        message.resize(26, 0);
        self.ip_to_group(self.from.v4.into(), to.into(), IGMP, &message)
    }

    fn link_control(&self, last: u8, ether_type: u16, start: &[u8]) -> Sent {
        let mut payload = start.to_vec();
        payload.resize(46, 0);
        self.with_mac(Mac([1, 0x80, 0xc2, 0, 0, last]), ether_type, payload)
    }

    /// The frames of a cell.
    pub fn frames(&self, protocol: Protocol) -> Frames {
        use Protocol::*;
        let alone = |sent: Sent| (Vec::new(), sent);
        let open = Service::Open;
        let (high, low) = self.ports(open);
        let everybody = IpAddr::V4(Ipv4Addr::BROADCAST);
        match protocol {
            ArpRequest => alone(self.with_mac(EVERYBODY, 0x0806, self.arp(1))),
            ArpReply => alone(self.with_known_mac(0x0806, self.arp(2))),
            Solicitation => {
                let own = frame::link_address_option(1, self.from.mac);
                let message = frame::discovery(135, &self.to.v6.octets(), &own);
                let [.., a, b, c] = self.to.v6.octets();
                let [a, b] = [u16::from(a), u16::from(b) << 8 | u16::from(c)];
                let nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | a, b);
                alone(self.discovery(self.from.v6.into(), nodes.into(), &message))
            }
            Advertisement => {
                let own = frame::link_address_option(2, self.from.mac);
                let message = frame::discovery(136, &self.from.v6.octets(), &own);
                alone(self.ip(ICMP6, 255, &message))
            }
            RouterSolicitation => {
                let own = frame::link_address_option(1, self.from.mac);
                let message = frame::discovery(133, &[], &own);
                alone(self.discovery(self.link_local(), ALL_ROUTERS.into(), &message))
            }
            RouterAdvertisement => {
                let message = frame::discovery(134, &[0; 8], &[]);
                alone(self.discovery(self.link_local(), ALL_NODES.into(), &message))
            }
            DhcpDiscover => {
                alone(self.dhcp((68, 67), Ipv4Addr::UNSPECIFIED.into(), Some(everybody)))
            }
            DhcpOffer => alone(self.dhcp((67, 68), self.from.v4.into(), None)),
            DhcpOfferToAll => alone(self.dhcp((67, 68), self.from.v4.into(), Some(everybody))),
            Dhcp6Offer => alone(self.ip(UDP, 64, &frame::udp((547, 546), &DATA))),
            Tcp(service) => alone(self.tcp(self.ports(service), SYN, 1)),
            TcpMiddle => alone(self.tcp((high, low), ACK, 2)),
            TcpAnswer => alone(self.tcp((low, high), SYN | ACK, 1)),
            TcpForgedReset => {
                let before = vec![
                    self.tcp((high, low), SYN, 1),
                    self.back().tcp((low, high), SYN | ACK, 1),
                    self.tcp((high, low), ACK, 2),
                ];
                (before, self.tcp((high, low), RST, 2 + (1 << 22)))
            }
            Udp(service) => alone(self.udp(service)),
            UdpAnswer => {
                let answer = frame::udp((low, high), &DATA);
                (vec![self.back().udp(open)], self.ip(UDP, 64, &answer))
            }
            Sctp(service) => alone(self.sctp(self.ports(service), true)),
            SctpMiddle => alone(self.sctp((high, low), false)),
            SctpAnswer => alone(self.sctp((low, high), false)),
            Echo => alone(self.echo(false)),
            EchoReply => (vec![self.back().echo(false)], self.echo(true)),
            EchoReplyUnasked => alone(self.echo(true)),
            IcmpError => {
                let about = self.back().udp(open);
                let error = self.error(&about);
                (vec![about], error)
            }
            IcmpErrorUnasked => alone(self.error(&self.back().udp(open))),
            Redirect => alone(self.redirect()),
            FirstFragment => alone(self.fragment(true)),
            LaterFragment => (vec![self.fragment(true)], self.fragment(false)),
            OrphanFragment => alone(self.fragment(false)),
            Report4 => alone(self.igmp(0x22, Ipv4Addr::new(224, 0, 0, 22))),
            Query4 => alone(self.igmp(0x11, Ipv4Addr::new(224, 0, 0, 1))),
            Report6 => alone(self.mld(143, ALL_REPORTS)),
            Query6 => alone(self.mld(130, ALL_NODES)),
            Multicast(service) => alone(self.datagram_to(self.group(), service)),
            Broadcast(service) => alone(self.datagram_to(everybody, service)),
            DirectedBroadcast(service) => {
                let all = Ipv4Addr::new(10, 1, 0, 255);
                alone(self.datagram_to(all.into(), service))
            }
            GroupAnswer => {
                let answer = frame::udp((low, high), &DATA);
                let question = self.back().datagram_to(self.group(), open);
                (vec![question], self.ip(UDP, 64, &answer))
            }
            Options => alone(self.with_options(&[148, 4, 0, 0, 1, 1, 1, 0])),
            SourceRoute => alone(self.with_options(&[131, 7, 4, 203, 0, 113, 9, 0])),
            Extensions => {
                let between_hops = [60, 0, 5, 2, 0, 0, 1, 0];
                let for_destination = [UDP, 0, 1, 4, 0, 0, 0, 0];
                let headers = [between_hops, for_destination].concat();
                alone(self.with_extensions(0, &headers))
            }
            RoutingHeader => alone(self.with_extensions(43, &[UDP, 0, 0, 0, 0, 0, 0, 0])),
            Lldp | LldpElsewhere => alone(self.link_control(0x0e, 0x88cc, &[2, 7, 4])),
            Stp => alone(self.link_control(0x00, 38, &[0x42, 0x42, 3])),
            Lacp => alone(self.link_control(0x02, 0x8809, &[1, 1])),
            Eapol => alone(self.link_control(0x03, 0x888e, &[2, 1, 0, 0])),
            Ptp => alone(self.link_control(0x0e, 0x88f7, &[0x12, 2])),
            Listed => alone(self.with_mac(EVERYBODY, LISTED, vec![0xcc; 46])),
            ListedToOne => alone(self.with_known_mac(LISTED, vec![0xcc; 46])),
            Unlisted => alone(self.with_known_mac(UNLISTED, vec![0xcc; 46])),
        }
    }
}

/// Who speaks to whom where nothing is violated.
pub fn legs(world: &World, protocol: Protocol, direction: Direction) -> Vec<(Party, Party)> {
    let mut legs = world.legs(direction, protocol.is_here());
    let at = |place: Place| Party {
        at: place,
        ..world.pump
    };
    if protocol.is_link_control() {
        let [access, stormy, core] = world.open[..] else {
            unreachable!("there are three");
        };
        let (from, to) = match direction {
            Direction::In => (core, access),
            Direction::WithinSegment => (access, stormy),
            _ => (access, core),
        };
        let from = match protocol {
            Protocol::LldpElsewhere => world.closed,
            _ => from,
        };
        return vec![(at(from), at(to))];
    }
    if protocol.is_dhcp() {
        for (from, to) in &mut legs {
            for party in [from, to] {
                if *party == world.remote {
                    *party = world.server;
                }
            }
        }
    }
    legs
}
