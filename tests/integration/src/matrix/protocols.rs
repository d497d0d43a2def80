//! The kinds of frames that cells test, and their senders and receivers.

use super::topology::{Attachment, Direction, Endpoint, Topology};

/// A service, by the rule of the matrix's policy for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Allowed, with the default `survives` of its reach.
    Open,
    /// On the continuity list.
    Kept,
    /// Allowed at posture normal only.
    Vendor,
    /// Denied.
    Closed,
    /// No rule names it.
    Unnamed,
}

impl Service {
    /// The server's port.
    pub const fn port(self) -> u16 {
        match self {
            Service::Open => 443,
            Service::Kept => 104,
            Service::Vendor => 22,
            Service::Closed => 23,
            Service::Unnamed => 9,
        }
    }
}

/// The kind of a cell's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// An ARP request.
    ArpRequest,
    /// An ARP reply.
    ArpReply,
    /// A neighbour solicitation.
    Solicitation,
    /// A neighbour advertisement.
    Advertisement,
    /// A router solicitation.
    RouterSolicitation,
    /// A router advertisement.
    RouterAdvertisement,
    /// A DHCP client's broadcast.
    DhcpDiscover,
    /// A DHCP server's unicast answer.
    DhcpOffer,
    /// A DHCP server's broadcast answer.
    DhcpOfferToAll,
    /// A DHCPv6 server's unicast answer.
    Dhcp6Offer,
    /// The first packet of a connection.
    Tcp(Service),
    /// An ACK of a connection whose start the gateway has not seen.
    TcpMiddle,
    /// A SYN ACK whose SYN the gateway has not seen.
    TcpAnswer,
    /// A reset in an established connection with an out-of-window sequence number.
    TcpForgedReset,
    /// A datagram.
    Udp(Service),
    /// An answer to a datagram, which was sent before.
    UdpAnswer,
    /// An SCTP packet that opens an association.
    Sctp(Service),
    /// A packet of an association whose start the gateway has not seen, from the client.
    SctpMiddle,
    /// The same from the server.
    SctpAnswer,
    /// An echo request.
    Echo,
    /// The reply to an echo request, which was sent before.
    EchoReply,
    /// An echo reply without a request.
    UnsolicitedEchoReply,
    /// An ICMP error about a datagram, which was sent before.
    IcmpError,
    /// An ICMP error about a datagram that was never sent.
    UnrelatedIcmpError,
    /// An ICMP redirect.
    Redirect,
    /// The first fragment of a datagram.
    FirstFragment,
    /// A later fragment, after the first one.
    LaterFragment,
    /// A later fragment without the first one.
    OrphanFragment,
    /// An IGMP report.
    Report4,
    /// An MLD report.
    Report6,
    /// An IGMP query.
    Query4,
    /// An MLD query.
    Query6,
    /// A datagram to a multicast group.
    Multicast(Service),
    /// A datagram to the limited broadcast address.
    Broadcast(Service),
    /// A datagram to the broadcast address of the segment's subnet.
    DirectedBroadcast(Service),
    /// A unicast answer to a datagram to a multicast group, which was sent before.
    GroupAnswer,
    /// A datagram with IPv4 options that are allowed.
    Options,
    /// A datagram with a source route.
    SourceRoute,
    /// A datagram with IPv6 extension headers that are allowed.
    Extensions,
    /// A datagram with a routing header.
    RoutingHeader,
    /// LLDP.
    Lldp,
    /// Spanning tree.
    Stp,
    /// Link aggregation.
    Lacp,
    /// 802.1X port authentication.
    Eapol,
    /// PTP over Ethernet.
    Ptp,
    /// LLDP from a port that does not pass it.
    LldpClosedPort,
    /// A broadcast of an EtherType that the segment lists.
    Listed,
    /// The same, to one host.
    ListedToOne,
    /// An EtherType that the segment does not list, to one host.
    Unlisted,
}

impl Protocol {
    /// The variants of the protocol: `true` is IPv6, `false` IPv4 or not IP.
    pub fn versions(self) -> &'static [bool] {
        use Protocol::*;
        match self {
            Tcp(_) | TcpMiddle | TcpAnswer | TcpForgedReset | Udp(_) | UdpAnswer | Sctp(_)
            | SctpMiddle | SctpAnswer | Echo | EchoReply | UnsolicitedEchoReply | IcmpError
            | UnrelatedIcmpError | Redirect | FirstFragment | LaterFragment | OrphanFragment
            | Multicast(_) | GroupAnswer => &[false, true],
            Solicitation | Advertisement | RouterSolicitation | RouterAdvertisement | Report6
            | Query6 | Extensions | RoutingHeader | Dhcp6Offer => &[true],
            _ => &[false],
        }
    }

    /// Whether it stays within the segment: no router forwards it.
    pub fn is_segment_local(self) -> bool {
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

    /// Whether it is link control, which goes from port to port regardless of segments.
    pub fn is_link_control(self) -> bool {
        use Protocol::*;
        matches!(self, Lldp | Stp | Lacp | Eapol | Ptp | LldpClosedPort)
    }

    /// Whether one end is the DHCP server.
    pub fn is_dhcp(self) -> bool {
        use Protocol::*;
        matches!(self, DhcpDiscover | DhcpOffer | DhcpOfferToAll | Dhcp6Offer)
    }
}

/// Sender and receiver of each leg where no guard is violated.
pub fn legs(
    topology: &Topology,
    protocol: Protocol,
    direction: Direction,
) -> Vec<(Endpoint, Endpoint)> {
    let mut legs = topology.legs(direction, protocol.is_segment_local());
    let at = |attachment: Attachment| Endpoint {
        at: attachment,
        ..topology.pump
    };
    if protocol.is_link_control() {
        let [access, stormy, core] = topology.open[..] else {
            unreachable!("three ports pass link control");
        };
        let (from, to) = match direction {
            Direction::In => (core, access),
            Direction::WithinSegment => (access, stormy),
            _ => (access, core),
        };
        let from = match protocol {
            Protocol::LldpClosedPort => topology.closed,
            _ => from,
        };
        return vec![(at(from), at(to))];
    }
    let speaker = match protocol {
        Protocol::ArpReply => Some(0),
        Protocol::Solicitation => Some(1),
        Protocol::Advertisement => Some(2),
        Protocol::RouterSolicitation => Some(3),
        _ => None,
    };
    if let (Some(speaker), Direction::Out) = (speaker, direction) {
        legs[0].0 = topology.speakers[speaker];
    }
    if protocol.is_dhcp() {
        for (from, to) in &mut legs {
            for endpoint in [from, to] {
                if *endpoint == topology.remote {
                    *endpoint = topology.server;
                }
            }
        }
    }
    legs
}
