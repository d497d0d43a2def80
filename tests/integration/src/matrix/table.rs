//! The tables, written by hand: nothing in them is computed by the code under test.
//!
//! Every cell is six letters, one for each posture: normal, watch, contain, isolate, lockdown, sever.
//!
//! | letter | result of the frame |
//! | --- | --- |
//! | `a` | it is delivered to its receiver, or to all receivers of the group in this direction |
//! | `_` | it passes, but no copy goes in this direction |
//! | `g` | the gateway answers it as a proxy for its receiver |
//! | `p` | dropped: `posture`, with the rule |
//! | `r` | dropped: `rule`, with the denying rule |
//! | `s` | dropped: `tcp-sequence`, with the rule |
//! | `q` | dropped: `tcp-sequence`, of a flow without an entry |
//! | `n` | dropped: `no-rule` |
//! | others | dropped, without a rule: see [`super::expect::REASONS`] |
//!
//! `-` in place of a cell: the combination does not exist, or another cell covers it.

use super::guards::Guard;
use super::protocols::Protocol::{self, *};
use super::protocols::Service::*;
use super::topology::Direction::{self, *};
use super::topology::Kind;

/// A protocol and its results in every direction, for all kinds of attachment.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The kind of frame.
    pub protocol: Protocol,
    /// The name of the deciding rule; empty if there is none.
    pub rule: &'static str,
    /// The cells by direction: [`Direction::ALL`].
    pub cells: [&'static str; 5],
    /// Kinds of attachment with other results.
    pub exceptions: &'static [(Kind, Direction, &'static str)],
}

const fn row(protocol: Protocol, rule: &'static str, cells: [&'static str; 5]) -> Row {
    Row {
        protocol,
        rule,
        cells,
        exceptions: &[],
    }
}

const fn proxied(row: Row, exceptions: &'static [(Kind, Direction, &'static str)]) -> Row {
    Row { exceptions, ..row }
}

/// Frames that violate no guard.
#[rustfmt::skip]
pub const MATRIX: &[Row] = &[
    //                                                out       in        between   within    within
    //                                                                    zones     a zone    a segment
    // TCP
    row(Tcp(Open),                "open",           ["aapppp", "aapppp", "aaappp", "aaaapp", "aaaapp"]),
    row(Tcp(Kept),                "kept",           ["aaaaap", "aaaaap", "aaaaap", "aaaaap", "aaaaap"]),
    row(Tcp(Vendor),              "vendor",         ["appppp", "appppp", "appppp", "appppp", "appppp"]),
    row(Tcp(Closed),              "closed",         ["rrrrrr", "rrrrrr", "rrrrrr", "rrrrrr", "rrrrrr"]),
    row(Tcp(Unnamed),             "",               ["nnnnnn", "nnnnnn", "nnnnnn", "nnnnnn", "nnnnnn"]),
    row(TcpMiddle,                "open",           ["aapppp", "aapppp", "aaappp", "aaaapp", "aaaapp"]),
    row(TcpAnswer,                "open",           ["aannnn", "aannnn", "aaannn", "aaaann", "aaaann"]),
    row(TcpForgedReset,           "open",           ["ssqqqq", "ssqqqq", "sssqqq", "ssssqq", "ssssqq"]),
    // UDP, SCTP
    row(Udp(Open),                "open",           ["aapppp", "aapppp", "aaappp", "aaaapp", "aaaapp"]),
    row(Udp(Kept),                "kept",           ["aaaaap", "aaaaap", "aaaaap", "aaaaap", "aaaaap"]),
    row(Udp(Vendor),              "vendor",         ["appppp", "appppp", "appppp", "appppp", "appppp"]),
    row(Udp(Closed),              "closed",         ["rrrrrr", "rrrrrr", "rrrrrr", "rrrrrr", "rrrrrr"]),
    row(Udp(Unnamed),             "",               ["nnnnnn", "nnnnnn", "nnnnnn", "nnnnnn", "nnnnnn"]),
    row(UdpAnswer,                "open",           ["aannnn", "aannnn", "aaannn", "aaaann", "aaaann"]),
    row(Sctp(Open),               "open",           ["aapppp", "aapppp", "aaappp", "aaaapp", "aaaapp"]),
    row(SctpMiddle,               "open",           ["aapppp", "aapppp", "aaappp", "aaaapp", "aaaapp"]),
    row(SctpAnswer,               "open",           ["aannnn", "aannnn", "aaannn", "aaaann", "aaaann"]),
    row(Sctp(Unnamed),            "",               ["nnnnnn", "nnnnnn", "nnnnnn", "nnnnnn", "nnnnnn"]),
    // ICMP and ICMPv6
    row(Echo,                     "open",           ["aapppp", "aapppp", "aaappp", "aaaapp", "aaaapp"]),
    row(EchoReply,                "open",           ["aauuuu", "aauuuu", "aaauuu", "aaaauu", "aaaauu"]),
    row(UnsolicitedEchoReply,     "",               ["uuuuuu", "uuuuuu", "uuuuuu", "uuuuuu", "uuuuuu"]),
    row(IcmpError,                "open",           ["aaeeee", "aaeeee", "aaaeee", "aaaaee", "aaaaee"]),
    row(UnrelatedIcmpError,       "",               ["eeeeee", "eeeeee", "eeeeee", "eeeeee", "eeeeee"]),
    row(Redirect,                 "",               ["iiiiii", "iiiiii", "iiiiii", "iiiiii", "iiiiii"]),
    // Fragments
    row(FirstFragment,            "open",           ["aapppp", "aapppp", "aaappp", "aaaapp", "aaaapp"]),
    row(LaterFragment,            "open",           ["aaffff", "aaffff", "aaafff", "aaaaff", "aaaaff"]),
    row(OrphanFragment,           "",               ["ffffff", "ffffff", "ffffff", "ffffff", "ffffff"]),
    // IPv4 options, IPv6 extension headers
    row(Options,                  "open",           ["aapppp", "aapppp", "aaappp", "aaaapp", "aaaapp"]),
    row(SourceRoute,              "",               ["oooooo", "oooooo", "oooooo", "oooooo", "oooooo"]),
    row(Extensions,               "open",           ["aapppp", "aapppp", "aaappp", "aaaapp", "aaaapp"]),
    row(RoutingHeader,            "",               ["hhhhhh", "hhhhhh", "hhhhhh", "hhhhhh", "hhhhhh"]),
    // Multicast and broadcast: copies that stay inside and copies that leave by the uplink are two directions
    row(Multicast(Open),          "open",           ["aa__pp", "aapppp", "-",      "-",      "aaaapp"]),
    row(Multicast(Kept),          "kept",           ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
    row(Multicast(Unnamed),       "",               ["nnnnnn", "nnnnnn", "-",      "-",      "nnnnnn"]),
    row(Broadcast(Open),          "open",           ["aa__pp", "aapppp", "-",      "-",      "aaaapp"]),
    row(Broadcast(Kept),          "kept",           ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
    row(Broadcast(Unnamed),       "",               ["nnnnnn", "nnnnnn", "-",      "-",      "nnnnnn"]),
    row(DirectedBroadcast(Open),  "open",           ["aa__pp", "aapppp", "-",      "-",      "aaaapp"]),
    row(DirectedBroadcast(Kept),  "kept",           ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
    // Receivers of a multicast request may answer; hosts outside only where the request was flooded to the uplink
    row(GroupAnswer,              "open",           ["aannnn", "aannnn", "-",      "-",      "aaaann"]),
    row(Report4,                  "membership",     ["aa___p", "aapppp", "-",      "-",      "aaaaap"]),
    row(Report6,                  "membership",     ["aa___p", "aapppp", "-",      "-",      "aaaaap"]),
    row(Query4,                   "membership",     ["-",      "aaaaap", "-",      "-",      "-"]),
    row(Query6,                   "membership",     ["-",      "aaaaap", "-",      "-",      "-"]),
    // DHCP
    row(DhcpDiscover,             "infrastructure:dhcp",
                                                    ["aa__pp", "-",      "-",      "-",      "aaaapp"]),
    row(DhcpOffer,                "infrastructure:dhcp-answer",
                                                    ["-",      "aapppp", "-",      "-",      "-"]),
    row(DhcpOfferToAll,           "infrastructure:dhcp-answer",
                                                    ["-",      "aapppp", "-",      "-",      "-"]),
    row(Dhcp6Offer,               "",               ["-",      "nnnnnn", "-",      "-",      "-"]),
    // ARP and neighbour discovery. Between devices of a proxied segment, only the gateway answers
    proxied(
    row(ArpRequest,               "arp",            ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
                                                          &[(Kind::Proxied, WithinSegment,   "gggggp")]),
    proxied(
    row(ArpReply,                 "arp",            ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
                                                          &[(Kind::Proxied, WithinSegment,   "bbbbbp")]),
    proxied(
    row(Solicitation,             "nd",             ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
                                                          &[(Kind::Proxied, WithinSegment,   "gggggp")]),
    proxied(
    row(Advertisement,            "nd",             ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
                                                          &[(Kind::Proxied, WithinSegment,   "bbbbbp")]),
    row(RouterSolicitation,       "nd",             ["aaaaap", "-",      "-",      "-",      "aaaaap"]),
    row(RouterAdvertisement,      "nd",             ["-",      "aaaaap", "-",      "-",      "-"]),
    // Other EtherTypes
    row(Listed,                   "ether-type",     ["aa__pp", "aapppp", "-",      "-",      "aaaapp"]),
    proxied(
    row(ListedToOne,              "ether-type",     ["aapppp", "aapppp", "-",      "-",      "aaaapp"]),
                                                          &[(Kind::Proxied, WithinSegment,   "bbbbbb")]),
    proxied(
    row(Unlisted,                 "",               ["tttttt", "tttttt", "-",      "-",      "tttttt"]),
                                                          &[(Kind::Proxied, WithinSegment,   "bbbbbb")]),
    // Link control, from port to port
    row(Lldp,                     "link-control",   ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
    row(Stp,                      "link-control",   ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
    row(Lacp,                     "link-control",   ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
    row(Eapol,                    "link-control",   ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
    row(Ptp,                      "link-control",   ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
    row(LldpClosedPort,           "",               ["llllll", "-",      "-",      "-",      "-"]),
];

/// A violated guard and its results by protocol.
#[derive(Clone, Copy, Debug)]
pub struct Guarded {
    /// The violation.
    pub guard: Guard,
    /// A cell, and the protocols to which it applies.
    pub cells: &'static [(&'static str, &'static [Protocol])],
}

const fn guarded(guard: Guard, cells: &'static [(&'static str, &'static [Protocol])]) -> Guarded {
    Guarded { guard, cells }
}

/// Unicast frames with an IP source address.
const UNICAST: &[Protocol] = &[
    Tcp(Open),
    Tcp(Kept),
    Tcp(Unnamed),
    TcpMiddle,
    TcpAnswer,
    Udp(Open),
    Udp(Kept),
    Sctp(Open),
    Echo,
    FirstFragment,
    Options,
    Extensions,
];
/// Multicast and broadcast frames with an IP source address.
const TO_GROUPS: &[Protocol] = &[
    Multicast(Open),
    Multicast(Kept),
    Broadcast(Open),
    Broadcast(Kept),
    DirectedBroadcast(Open),
    Report4,
];
const RESOLUTION: &[Protocol] = &[ArpRequest, ArpReply, Solicitation, Advertisement];
/// Frames without an own global IP source address.
const NO_ADDRESS: &[Protocol] = &[DhcpDiscover, RouterSolicitation, Report6];
const OTHERS: &[Protocol] = &[Listed, ListedToOne];

/// Frames that rules allow but a guard drops, from a device to the uplink.
#[rustfmt::skip]
pub const GUARDS: &[Guarded] = &[
    // MAC-IP binding
    guarded(Guard::SpoofedAddress,  &[("BBBBBB", UNICAST), ("BBBBBB", TO_GROUPS), ("BBBBBB", RESOLUTION),
                                      ("BBBBBB", &[UnrelatedIcmpError])]),
    guarded(Guard::ForeignAddress,  &[("BBBBBB", UNICAST), ("BBBBBB", TO_GROUPS), ("BBBBBB", RESOLUTION),
                                      ("BBBBBB", &[UnrelatedIcmpError])]),
    // MAC-port binding
    guarded(Guard::WrongPort,       &[("MMMMMM", UNICAST), ("MMMMMM", TO_GROUPS), ("MMMMMM", RESOLUTION),
                                      ("MMMMMM", NO_ADDRESS), ("MMMMMM", OTHERS), ("MMMMMM", &[UnrelatedIcmpError])]),
    guarded(Guard::WrongAttachment, &[("MMMMMM", UNICAST), ("MMMMMM", TO_GROUPS), ("MMMMMM", RESOLUTION),
                                      ("MMMMMM", NO_ADDRESS), ("MMMMMM", OTHERS), ("MMMMMM", &[UnrelatedIcmpError])]),
    // ARP and neighbour discovery
    guarded(Guard::ArpSender,       &[("QQQQQQ", &[ArpRequest, ArpReply])]),
    guarded(Guard::ArpMalformed,    &[("QQQQQQ", &[ArpRequest, ArpReply])]),
    guarded(Guard::ArpTarget,       &[("QQQQQQ", &[ArpReply])]),
    guarded(Guard::NdTarget,        &[("NNNNNN", &[Advertisement])]),
    guarded(Guard::NdHopLimit,      &[("NNNNNN", &[Solicitation, Advertisement, RouterSolicitation])]),
    guarded(Guard::NdLinkAddress,   &[("NNNNNN", &[Solicitation, Advertisement, RouterSolicitation])]),
    guarded(Guard::NdDestination,   &[("NNNNNN", &[Solicitation, Advertisement, RouterSolicitation])]),
    guarded(Guard::NdMulticastMac,  &[("NNNNNN", &[Solicitation, RouterSolicitation])]),
    guarded(Guard::NdOffLink,       &[("NNNNNN", &[Solicitation])]),
    guarded(Guard::NdExtension,     &[("NNNNNN", &[Solicitation, Advertisement, RouterSolicitation])]),
    guarded(Guard::NdPadding,       &[("NNNNNN", &[Solicitation, Advertisement, RouterSolicitation])]),
    // Group membership
    guarded(Guard::MembershipLength,&[("IIIIII", &[Report4, Report6])]),
    // Frames that only servers or routers may send
    guarded(Guard::DhcpServer,      &[("DDDDDD", &[DhcpOffer, DhcpOfferToAll, Dhcp6Offer])]),
    guarded(Guard::Router,          &[("RRRRRR", &[RouterAdvertisement]), ("IIIIII", &[Query4, Query6])]),
    // MAC flooding: an unlisted host where only devices are admitted, and one too many where all hosts are
    guarded(Guard::UnlistedHost,    &[("UUUUUU", UNICAST), ("UUUUUU", TO_GROUPS), ("UUUUUU", RESOLUTION),
                                      ("UUUUUU", NO_ADDRESS), ("UUUUUU", OTHERS), ("UUUUUU", &[UnrelatedIcmpError])]),
    guarded(Guard::StationLimit,    &[("LLpppp", &[Tcp(Open), Udp(Open), Sctp(Open), Echo, FirstFragment]),
                                      ("LLLLLp", &[Tcp(Kept), Udp(Kept), Broadcast(Kept)]),
                                      ("LLLLpp", &[Multicast(Open), Broadcast(Open), Listed, DhcpDiscover]),
                                      ("LLLLLp", &[ArpRequest, Report4, Report6, RouterSolicitation]),
                                      ("nnnnnn", &[Tcp(Unnamed)])]),
    // Storm
    guarded(Guard::Storm,           &[("SSSSpp", &[Multicast(Open), Broadcast(Open), DirectedBroadcast(Open)]),
                                      ("SSSSpp", &[DhcpDiscover, Listed]),
                                      ("SSSSSp", &[Multicast(Kept), Broadcast(Kept), Report4, Report6]),
                                      ("SSSSSp", &[ArpRequest, Solicitation, RouterSolicitation])]),
    // A device's MAC or IP address at the uplink
    guarded(Guard::DeviceOnUplink,  &[("KKKKKK", UNICAST), ("KKKKKK", TO_GROUPS), ("KKKKKK", RESOLUTION),
                                      ("KKKKKK", NO_ADDRESS), ("KKKKKK", OTHERS), ("KKKKKK", &[UnrelatedIcmpError])]),
    guarded(Guard::AddressOnUplink, &[("KKKKKK", UNICAST), ("KKKKKK", TO_GROUPS), ("KKKKKK", RESOLUTION),
                                      ("KKKKKK", &[UnrelatedIcmpError])]),
    // A station that was learned at the uplink moves to a device-facing port
    guarded(Guard::StationMove,     &[("VVpppp", &[Tcp(Open), Udp(Open), Sctp(Open), Echo, FirstFragment]),
                                      ("VVVVVp", &[Tcp(Kept), Udp(Kept), Broadcast(Kept)]),
                                      ("VVVVpp", &[Multicast(Open), Broadcast(Open), Listed, DhcpDiscover]),
                                      ("VVVVVp", &[ArpRequest, Report4, Report6, RouterSolicitation]),
                                      ("nnnnnn", &[Tcp(Unnamed)])]),
    // The gateway's own MAC address as source
    guarded(Guard::GatewayMac,      &[("GGGGGG", UNICAST), ("GGGGGG", TO_GROUPS), ("GGGGGG", RESOLUTION),
                                      ("GGGGGG", NO_ADDRESS), ("GGGGGG", OTHERS),
                                      ("GGGGGG", &[UnrelatedIcmpError, Lldp])]),
];
