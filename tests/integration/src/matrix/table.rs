//! The tables. To be read, and to be doubted: nothing here is worked out by what it is about.
//!
//! Every cell is six letters, one for each posture: normal, watch, contain, isolate, lockdown, sever.
//!
//! | letter | what becomes of the frame |
//! | --- | --- |
//! | `a` | it arrives: at the one that it is for, or at all of the group that are in this direction |
//! | `_` | it passes, but nothing of it goes in this direction |
//! | `g` | the gateway answers it, in the place of the one that it is for |
//! | `p` | dropped: `posture`; the rule is named |
//! | `r` | dropped: `rule`, one that denies; the rule is named |
//! | `s` | dropped: `tcp-sequence`; the rule is named |
//! | `q` | dropped: `tcp-sequence`, of a flow that is not known |
//! | `n` | dropped: `no-rule` |
//! | others | dropped, and no rule is named: see [`super::expect::REASONS`] |
//!
//! `-` in place of a cell: there is no such thing, or it is another cell's.

use super::guards::Guard;
use super::protocols::Protocol::{self, *};
use super::protocols::Service::*;
use super::world::Direction::{self, *};
use super::world::Kind;

/// A protocol, and what becomes of it in every direction, however segments are attached.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What is sent.
    pub protocol: Protocol,
    /// The rule that decides, where one does.
    pub rule: &'static str,
    /// By direction: [`Direction::ALL`].
    pub cells: [&'static str; 5],
    /// Where an attachment kind makes a difference.
    pub but: &'static [(Kind, Direction, &'static str)],
}

const fn row(protocol: Protocol, rule: &'static str, cells: [&'static str; 5]) -> Row {
    Row {
        protocol,
        rule,
        cells,
        but: &[],
    }
}

const fn proxied(row: Row, but: &'static [(Kind, Direction, &'static str)]) -> Row {
    Row { but, ..row }
}

/// Where nothing is violated.
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
    row(EchoReplyUnasked,         "",               ["uuuuuu", "uuuuuu", "uuuuuu", "uuuuuu", "uuuuuu"]),
    row(IcmpError,                "open",           ["aaeeee", "aaeeee", "aaaeee", "aaaaee", "aaaaee"]),
    row(IcmpErrorUnasked,         "",               ["eeeeee", "eeeeee", "eeeeee", "eeeeee", "eeeeee"]),
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
    // To many: of what a device says, the copies that stay inside and those that leave are two directions
    row(Multicast(Open),          "open",           ["aa__pp", "aapppp", "-",      "-",      "aaaapp"]),
    row(Multicast(Kept),          "kept",           ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
    row(Multicast(Unnamed),       "",               ["nnnnnn", "nnnnnn", "-",      "-",      "nnnnnn"]),
    row(Broadcast(Open),          "open",           ["aa__pp", "aapppp", "-",      "-",      "aaaapp"]),
    row(Broadcast(Kept),          "kept",           ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
    row(Broadcast(Unnamed),       "",               ["nnnnnn", "nnnnnn", "-",      "-",      "nnnnnn"]),
    row(DirectedBroadcast(Open),  "open",           ["aa__pp", "aapppp", "-",      "-",      "aaaapp"]),
    row(DirectedBroadcast(Kept),  "kept",           ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
    // Who was asked by multicast answers, but for those outside where the question stayed inside
    row(GroupAnswer,              "open",           ["aannnn", "aannnn", "-",      "-",      "aaaann"]),
    row(Report4,                  "membership",     ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
    row(Report6,                  "membership",     ["aaaaap", "aaaaap", "-",      "-",      "aaaaap"]),
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
    // ARP and neighbour discovery. Between devices, a proxied segment has the gateway answer, and nobody else
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
    // What is neither IP nor ARP
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
    row(LldpElsewhere,            "",               ["llllll", "-",      "-",      "-",      "-"]),
];

/// A guard that is violated, and what becomes of it, protocol by protocol.
#[derive(Clone, Copy, Debug)]
pub struct Guarded {
    /// What is violated.
    pub guard: Guard,
    /// What becomes of frames of these protocols.
    pub cells: &'static [(&'static str, &'static [Protocol])],
}

const fn guarded(guard: Guard, cells: &'static [(&'static str, &'static [Protocol])]) -> Guarded {
    Guarded { guard, cells }
}

/// All that a device may say to one, with an address of its own.
const TALK: &[Protocol] = &[
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
/// All that it may say to many, with an address of its own.
const TALK_TO_MANY: &[Protocol] = &[
    Multicast(Open),
    Multicast(Kept),
    Broadcast(Open),
    Broadcast(Kept),
    DirectedBroadcast(Open),
    Report4,
];
const FINDS: &[Protocol] = &[ArpRequest, ArpReply, Solicitation, Advertisement];
/// What it says without an address of its own.
const NAMELESS: &[Protocol] = &[DhcpDiscover, RouterSolicitation, Report6];
const OTHERS: &[Protocol] = &[Listed, ListedToOne];

/// What is dropped although rules would let it pass: what a device says outward, but for a guard that it violates.
#[rustfmt::skip]
pub const GUARDS: &[Guarded] = &[
    // MAC-IP binding
    guarded(Guard::AnothersAddress, &[("BBBBBB", TALK), ("BBBBBB", TALK_TO_MANY), ("BBBBBB", FINDS),
                                      ("BBBBBB", &[IcmpErrorUnasked])]),
    guarded(Guard::ForeignAddress,  &[("BBBBBB", TALK), ("BBBBBB", TALK_TO_MANY), ("BBBBBB", FINDS),
                                      ("BBBBBB", &[IcmpErrorUnasked])]),
    // MAC-port binding
    guarded(Guard::AnothersPort,    &[("MMMMMM", TALK), ("MMMMMM", TALK_TO_MANY), ("MMMMMM", FINDS),
                                      ("MMMMMM", NAMELESS), ("MMMMMM", OTHERS), ("MMMMMM", &[IcmpErrorUnasked])]),
    guarded(Guard::AnothersPlace,   &[("MMMMMM", TALK), ("MMMMMM", TALK_TO_MANY), ("MMMMMM", FINDS),
                                      ("MMMMMM", NAMELESS), ("MMMMMM", OTHERS), ("MMMMMM", &[IcmpErrorUnasked])]),
    // ARP and neighbour discovery
    guarded(Guard::ArpSender,       &[("QQQQQQ", &[ArpRequest, ArpReply])]),
    guarded(Guard::ArpMalformed,    &[("QQQQQQ", &[ArpRequest, ArpReply])]),
    guarded(Guard::NdTarget,        &[("NNNNNN", &[Advertisement])]),
    guarded(Guard::NdHopLimit,      &[("NNNNNN", &[Solicitation, Advertisement, RouterSolicitation])]),
    guarded(Guard::NdLinkAddress,   &[("NNNNNN", &[Solicitation, Advertisement, RouterSolicitation])]),
    // Who only a server or a router may be
    guarded(Guard::DhcpServer,      &[("DDDDDD", &[DhcpOffer, DhcpOfferToAll, Dhcp6Offer])]),
    guarded(Guard::Router,          &[("RRRRRR", &[RouterAdvertisement]), ("IIIIII", &[Query4, Query6])]),
    // MAC flooding: a stranger where only devices are admitted, and one too many where all are
    guarded(Guard::Stranger,        &[("UUUUUU", TALK), ("UUUUUU", TALK_TO_MANY), ("UUUUUU", FINDS),
                                      ("UUUUUU", NAMELESS), ("UUUUUU", OTHERS), ("UUUUUU", &[IcmpErrorUnasked])]),
    guarded(Guard::OneTooMany,      &[("LLpppp", &[Tcp(Open), Udp(Open), Sctp(Open), Echo, FirstFragment]),
                                      ("LLLLLp", &[Tcp(Kept), Udp(Kept), Broadcast(Kept)]),
                                      ("LLLLpp", &[Multicast(Open), Broadcast(Open), Listed, DhcpDiscover]),
                                      ("LLLLLp", &[ArpRequest, Report4, Report6, RouterSolicitation]),
                                      ("nnnnnn", &[Tcp(Unnamed)])]),
    // Storm
    guarded(Guard::Storm,           &[("SSSSpp", &[Multicast(Open), Broadcast(Open), DirectedBroadcast(Open)]),
                                      ("SSSSpp", &[DhcpDiscover, Listed]),
                                      ("SSSSSp", &[Multicast(Kept), Broadcast(Kept), Report4, Report6]),
                                      ("SSSSSp", &[ArpRequest, Solicitation, RouterSolicitation])]),
    // A device on the uplink: by its MAC address, by its IP address
    guarded(Guard::DeviceOutside,   &[("KKKKKK", TALK), ("KKKKKK", TALK_TO_MANY), ("KKKKKK", FINDS),
                                      ("KKKKKK", NAMELESS), ("KKKKKK", OTHERS), ("KKKKKK", &[IcmpErrorUnasked])]),
    guarded(Guard::AddressOutside,  &[("KKKKKK", TALK), ("KKKKKK", TALK_TO_MANY), ("KKKKKK", FINDS),
                                      ("KKKKKK", &[IcmpErrorUnasked])]),
    // A station that was behind an uplink moves to a device-facing port
    guarded(Guard::Moved,           &[("VVpppp", &[Tcp(Open), Udp(Open), Sctp(Open), Echo, FirstFragment]),
                                      ("VVVVVp", &[Tcp(Kept), Udp(Kept), Broadcast(Kept)]),
                                      ("VVVVpp", &[Multicast(Open), Broadcast(Open), Listed, DhcpDiscover]),
                                      ("VVVVVp", &[ArpRequest, Report4, Report6, RouterSolicitation]),
                                      ("nnnnnn", &[Tcp(Unnamed)])]),
    // Under the gateway's own MAC address
    guarded(Guard::AsTheGateway,    &[("GGGGGG", TALK), ("GGGGGG", TALK_TO_MANY), ("GGGGGG", FINDS),
                                      ("GGGGGG", NAMELESS), ("GGGGGG", OTHERS),
                                      ("GGGGGG", &[IcmpErrorUnasked, Lldp])]),
];
