//! The ward that the cells are about, once for each kind of attachment.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::{Mac, Policy, Sources, from_sources};

use crate::generate::GATEWAY;
use crate::generate::frame::{SERVICE_TAG, VLAN_TAG};

/// How segments are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Without a tag.
    Untagged,
    /// In a VLAN.
    Tagged,
    /// In a VLAN inside another, which is of another type at one of the ports.
    TwoTags,
    /// Two VLANs of one port are one segment.
    Stitched,
    /// The gateway stands in for devices that do not hear each other.
    Proxied,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [
        Kind::Untagged,
        Kind::Tagged,
        Kind::TwoTags,
        Kind::Stitched,
        Kind::Proxied,
    ];
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a device to the wider network.
    Out,
    /// From the wider network to a device.
    In,
    /// Between devices of two zones: to the router, and from it.
    BetweenZones,
    /// Between devices of two segments of a zone: to the router, and from it.
    WithinZone,
    /// Between two devices of a segment: stitched or proxied, out of the port that it came in by.
    WithinSegment,
}

impl Direction {
    /// In the order of the table's columns.
    pub const ALL: [Direction; 5] = [
        Direction::Out,
        Direction::In,
        Direction::BetweenZones,
        Direction::WithinZone,
        Direction::WithinSegment,
    ];
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Direction::Out => "out",
            Direction::In => "in",
            Direction::BetweenZones => "between zones",
            Direction::WithinZone => "within a zone",
            Direction::WithinSegment => "within a segment",
        })
    }
}

/// An attachment, as the wire shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The port's number.
    pub port: u16,
    /// The only or outer VLAN, and the inner one; 0 for none.
    pub vlans: (u16, u16),
    /// The type of the outer of two tags.
    pub outer: u16,
    /// Whether the port is an uplink.
    pub uplink: bool,
}

impl Place {
    /// The tags of frames there, with this priority.
    pub fn tags(&self, priority: u16) -> Vec<(u16, u16)> {
        match self.vlans {
            (0, _) => Vec::new(),
            (vlan, 0) => vec![(VLAN_TAG, priority | vlan)],
            (outer, inner) => vec![(self.outer, priority | outer), (VLAN_TAG, priority | inner)],
        }
    }

    /// As in `cordon_verdict::abi`.
    pub fn number(&self) -> u32 {
        u32::from(self.port) << 24 | u32::from(self.vlans.0) << 12 | u32::from(self.vlans.1)
    }
}

/// Who speaks, or is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its MAC address on this side of any router.
    pub mac: Mac,
    /// Its address.
    pub v4: Ipv4Addr,
    /// Its address.
    pub v6: Ipv6Addr,
    /// Where its frames come in.
    pub at: Place,
}

impl Party {
    /// Its address of this version.
    pub fn ip(&self, v6: bool) -> IpAddr {
        match v6 {
            true => self.v6.into(),
            false => self.v4.into(),
        }
    }
}

/// Ports.
const ACCESS: u16 = 0;
const ACCESS_2: u16 = 1;
const CORE: u16 = 2;
const ELSEWHERE: u16 = 3;
const STORMY: u16 = 4;
const LOBBY: u16 = 5;
const LOBBY_CORE: u16 = 6;

/// Frames to groups that the port may let in in a second, and in a tick.
pub const STORM: u16 = 20;

/// A policy, and who is where under it.
pub struct World {
    /// How it is attached.
    pub kind: Kind,
    /// The policy.
    pub policy: Policy,
    /// A device.
    pub pump: Party,
    /// Another of the same segment.
    pub monitor: Party,
    /// A third, bound to the port that storms.
    pub bound: Party,
    /// A fourth, bound to another attachment than the first one's.
    pub placed: Party,
    /// The router, as itself.
    pub router: Party,
    /// Somebody outside, behind the router.
    pub remote: Party,
    /// A DHCP server, behind the router.
    pub server: Party,
    /// A device of another segment of the zone, behind the router.
    pub scanner: Party,
    /// A device of another zone, behind the router.
    pub clerk: Party,
    /// Someone in the segment that admits whoever comes.
    pub guest: Party,
    /// The same, as it was seen behind that segment's uplink.
    pub guest_outside: Party,
    /// Every place of the devices' segment.
    pub ward: Vec<Place>,
    /// Every place of the segment that admits whoever comes.
    pub lobby: Vec<Place>,
    /// A port that lets no link control pass.
    pub closed: Place,
    /// The ports that let it pass.
    pub open: Vec<Place>,
}

fn mac(number: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, number])
}

/// Places of a segment at a port in front, where there are two of them, and at others, where there is one.
fn places(kind: Kind, front: [u16; 2], others: &[u16]) -> Vec<Place> {
    let place = |port: u16, vlans: (u16, u16)| Place {
        port,
        vlans,
        outer: if port == ACCESS_2 {
            VLAN_TAG
        } else {
            SERVICE_TAG
        },
        uplink: port == CORE || port == LOBBY_CORE,
    };
    let at_front = match kind {
        Kind::Untagged => vec![place(front[0], (0, 0)), place(front[1], (0, 0))],
        Kind::Tagged => vec![place(front[0], (10, 0)), place(front[1], (10, 0))],
        Kind::TwoTags => vec![place(front[0], (100, 10)), place(front[1], (100, 11))],
        Kind::Stitched | Kind::Proxied => vec![place(front[0], (11, 0)), place(front[0], (12, 0))],
    };
    let elsewhere = |port: &u16| match kind {
        Kind::Untagged => place(*port, (0, 0)),
        Kind::TwoTags => place(*port, (200, 10)),
        _ => place(*port, (10, 0)),
    };
    let elsewhere = others.iter().map(elsewhere);
    at_front.into_iter().chain(elsewhere).collect()
}

fn attach(places: &[Place]) -> String {
    let name = |place: &Place| match place.vlans {
        (0, _) => format!("p{}", place.port),
        (vlan, 0) => format!("p{}.{vlan}", place.port),
        (outer, inner) => format!("p{}.{outer}.{inner}", place.port),
    };
    places.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// What is written in `policy.yaml`. Rules are from anybody to anybody: what reach, posture and version make of them is
/// what the matrix is about.
const RULES: &str = "rules:
  - {name: closed, from: any, to: any, service: [tcp/23, udp/23], action: deny}
  - {name: kept, from: any, to: any, service: [tcp/104, udp/104], survives: lockdown, owner: ward, reason: care}
  - {name: vendor, from: any, to: any, service: [tcp/22, udp/22], survives: normal}
  - {name: open, from: any, to: any, service: [tcp/443, udp/443, sctp/443, icmp]}
";

const DEVICES: &str = "name,mac,ips,segment,port
pump,02:00:00:00:00:01,10.1.0.1 2001:db8:1::1,ward,
monitor,02:00:00:00:00:02,10.1.0.2 2001:db8:1::2,ward,
bound,02:00:00:00:00:03,10.1.0.3 2001:db8:1::3,ward,p4
scanner,02:00:00:00:00:04,10.2.0.1 2001:db8:2::1,imaging,
clerk,02:00:00:00:00:05,10.3.0.1 2001:db8:3::1,office,
";

/// One more device, but for where it is.
const PLACED: &str = "placed,02:00:00:00:00:06,10.1.0.6 2001:db8:1::6,ward,";

impl World {
    /// The ward as it is attached in this way.
    pub fn new(kind: Kind) -> World {
        let ward = places(kind, [ACCESS, ACCESS_2], &[CORE, STORMY]);
        // Its places at the uplink come last.
        let lobby = places(kind, [LOBBY, LOBBY + 2], &[LOBBY_CORE]);
        let policy = policy(kind, &ward, &lobby);
        // Devices that do not hear each other are in one VLAN.
        let monitor_at = match kind {
            Kind::Proxied => ward[0],
            _ => ward[1],
        };
        let party = |number: u8, v4: [u8; 4], v6: &str, at: Place| Party {
            mac: mac(number),
            v4: v4.into(),
            v6: v6.parse().expect("is an address"),
            at,
        };
        let [front, .., core, stormy] = ward[..] else {
            unreachable!("there are four");
        };
        let (lobby_front, lobby_core) = (lobby[0], lobby[2]);
        let plain = |port: u16| Place {
            port,
            vlans: (0, 0),
            outer: SERVICE_TAG,
            uplink: port == CORE,
        };
        World {
            kind,
            policy,
            pump: party(1, [10, 1, 0, 1], "2001:db8:1::1", front),
            monitor: party(2, [10, 1, 0, 2], "2001:db8:1::2", monitor_at),
            bound: party(3, [10, 1, 0, 3], "2001:db8:1::3", stormy),
            placed: party(6, [10, 1, 0, 6], "2001:db8:1::6", ward[1]),
            router: party(9, [10, 1, 0, 254], "2001:db8:1::fe", core),
            remote: party(9, [203, 0, 113, 7], "2001:db8:f::7", core),
            server: party(9, [203, 0, 113, 5], "2001:db8:f::5", core),
            scanner: party(9, [10, 2, 0, 1], "2001:db8:2::1", core),
            clerk: party(9, [10, 3, 0, 1], "2001:db8:3::1", core),
            guest: party(8, [10, 4, 0, 8], "2001:db8:4::8", lobby_front),
            guest_outside: party(8, [203, 0, 113, 8], "2001:db8:f::8", lobby_core),
            ward,
            lobby,
            closed: plain(ELSEWHERE),
            open: [ACCESS, STORMY, CORE].map(plain).to_vec(),
        }
    }

    /// Who speaks to whom, one pair for each leg of the way. `here`: it is about the segment itself, so that the router
    /// speaks as itself.
    pub fn legs(&self, direction: Direction, here: bool) -> Vec<(Party, Party)> {
        let outside = if here { self.router } else { self.remote };
        match direction {
            Direction::Out => vec![(self.pump, outside)],
            Direction::In => vec![(outside, self.pump)],
            Direction::BetweenZones => vec![(self.pump, self.clerk), (self.clerk, self.pump)],
            Direction::WithinZone => vec![(self.pump, self.scanner), (self.scanner, self.pump)],
            Direction::WithinSegment => vec![(self.pump, self.monitor)],
        }
    }

    /// The MAC address that one has for another: in a proxied segment devices know each other as the gateway.
    pub fn known_as(&self, from: &Party, to: &Party) -> Mac {
        let devices = !from.at.uplink && !to.at.uplink;
        match self.kind == Kind::Proxied && devices {
            true => Mac(GATEWAY),
            false => to.mac,
        }
    }
}

fn policy(kind: Kind, ward: &[Place], lobby: &[Place]) -> Policy {
    let proxy = kind == Kind::Proxied;
    let pass = "[lldp, stp, lacp, eapol, ptp]";
    let site = format!(
        "site: matrix
ports:
  p0: {{device: p0, storm: 0, pass: {pass}}}
  p1: {{device: p1, storm: 0, outer-tag: 802.1q}}
  p2: {{device: p2, storm: 0, uplink: true, pass: {pass}}}
  p3: {{device: p3, storm: 0}}
  p4: {{device: p4, storm: {STORM}, pass: {pass}}}
  p5: {{device: p5, storm: 0}}
  p6: {{device: p6, storm: 0, uplink: true}}
  p7: {{device: p7, storm: 0}}
segments:
  ward: {{attach: [{}], subnets: [10.1.0.0/24, \"2001:db8:1::/64\"], isolate: true, proxy: {proxy}, ether-types: [0x8892]}}
  imaging: {{attach: [p3.20, p2.20], subnets: [10.2.0.0/24, \"2001:db8:2::/64\"], isolate: true}}
  office: {{attach: [p3.30, p2.30], subnets: [10.3.0.0/24, \"2001:db8:3::/64\"], isolate: true}}
  lobby: {{attach: [{}], subnets: [10.4.0.0/16, \"2001:db8:4::/64\"], isolate: true, proxy: {proxy}, unknown: admit, ether-types: [0x8892]}}
zones:
  clinical: {{segments: [ward, imaging]}}
  administration: {{segments: [office]}}
  guests: {{segments: [lobby]}}
  world: {{networks: [203.0.113.0/24, \"2001:db8:f::/48\"]}}
infrastructure: {{dhcp: [203.0.113.5]}}
",
        attach(ward),
        attach(lobby),
    );
    let sources = Sources {
        site,
        policy: Some(RULES.to_owned()),
        devices: Some(format!("{DEVICES}{}{}\n", PLACED, attach(&ward[1..2]))),
    };
    match from_sources(&sources) {
        Ok(validated) => validated.policy,
        Err(rejected) => panic!("the matrix's policy is refused: {rejected}"),
    }
}
