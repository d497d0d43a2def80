//! The site of the cells, once for each kind of attachment.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_policy::{Mac, Policy, Sources, from_sources};

use crate::generate::GATEWAY;
use crate::generate::frame::{SERVICE_TAG, VLAN_TAG};

/// How segments are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Untagged.
    Untagged,
    /// One VLAN tag.
    Tagged,
    /// Two VLAN tags. The outer one is 802.1Q at one port and 802.1ad at the others.
    TwoTags,
    /// Two VLANs of one port are stitched into one segment.
    Stitched,
    /// The same, and the gateway is a proxy for devices that the switch isolates from each other.
    Proxied,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 5] = [
        Kind::Untagged,
        Kind::Tagged,
        Kind::TwoTags,
        Kind::Stitched,
        Kind::Proxied,
    ];
}

/// The direction of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a device to the wider network.
    Out,
    /// From the wider network to a device.
    In,
    /// Between devices of two zones, by way of the router: two legs.
    BetweenZones,
    /// Between devices of two segments of a zone, by way of the router: two legs.
    WithinZone,
    /// Between two devices of a segment; in stitched and proxied segments it leaves by its ingress port.
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

/// An attachment: port and tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The port number.
    pub port: u16,
    /// The single or outer VLAN ID, and the inner one; 0 for none.
    pub vlans: (u16, u16),
    /// The EtherType of the outer one of two tags.
    pub outer: u16,
    /// Whether the port is an uplink.
    pub uplink: bool,
}

impl Attachment {
    /// The tags of its frames, with this priority.
    pub fn tags(&self, priority: u16) -> Vec<(u16, u16)> {
        match self.vlans {
            (0, _) => Vec::new(),
            (vlan, 0) => vec![(VLAN_TAG, priority | vlan)],
            (outer, inner) => vec![(self.outer, priority | outer), (VLAN_TAG, priority | inner)],
        }
    }

    /// The location, as in `cordon_verdict::abi`.
    pub fn location(&self) -> u32 {
        u32::from(self.port) << 24 | u32::from(self.vlans.0) << 12 | u32::from(self.vlans.1)
    }
}

/// A sender or receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The MAC address of its frames at the gateway: the router's for hosts on the far side of the router.
    pub mac: Mac,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
    /// The ingress attachment of its frames.
    pub at: Attachment,
}

impl Endpoint {
    /// Its address of this version.
    pub fn ip(&self, v6: bool) -> IpAddr {
        match v6 {
            true => self.v6.into(),
            false => self.v4.into(),
        }
    }
}

/// Port numbers.
const ACCESS: u16 = 0;
const ACCESS_2: u16 = 1;
const CORE: u16 = 2;
const ELSEWHERE: u16 = 3;
const STORMY: u16 = 4;
const LOBBY: u16 = 5;
const LOBBY_CORE: u16 = 6;

/// The storm limit of the port with one: broadcast and multicast frames a second.
pub const STORM: u16 = 20;

/// A policy, and the hosts of its site.
pub struct Topology {
    /// How its segments are attached.
    pub kind: Kind,
    /// The policy.
    pub policy: Policy,
    /// A device of the segment `ward`.
    pub pump: Endpoint,
    /// Another device of the same segment.
    pub monitor: Endpoint,
    /// A third one, bound to the port with a storm limit.
    pub bound: Endpoint,
    /// A fourth one, bound to an attachment other than the first one's.
    pub placed: Endpoint,
    /// Further devices, one for each protocol that crosses a closed boundary: a device may do so once in a while.
    pub speakers: Vec<Endpoint>,
    /// The router.
    pub router: Endpoint,
    /// A host of the wider network, on the far side of the router.
    pub remote: Endpoint,
    /// A DHCP server, on the far side of the router.
    pub server: Endpoint,
    /// A device of another segment of the zone, on the far side of the router.
    pub scanner: Endpoint,
    /// A device of another zone, on the far side of the router.
    pub clerk: Endpoint,
    /// An unlisted host in the segment that admits unlisted hosts.
    pub guest: Endpoint,
    /// The same host, when it was learned at that segment's uplink.
    pub guest_outside: Endpoint,
    /// All attachments of the devices' segment.
    pub ward: Vec<Attachment>,
    /// All attachments of the segment that admits unlisted hosts.
    pub lobby: Vec<Attachment>,
    /// A port that does not pass link control.
    pub closed: Attachment,
    /// The ports that pass link control.
    pub open: Vec<Attachment>,
}

fn mac(number: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, number])
}

/// The attachments of a segment: two at the `front` ports, which is one port if VLANs are stitched, and one at each of
/// the others.
fn attachments(kind: Kind, front: [u16; 2], others: &[u16]) -> Vec<Attachment> {
    let attachment = |port: u16, vlans: (u16, u16)| Attachment {
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
        Kind::Untagged => vec![attachment(front[0], (0, 0)), attachment(front[1], (0, 0))],
        Kind::Tagged => vec![attachment(front[0], (10, 0)), attachment(front[1], (10, 0))],
        Kind::TwoTags => vec![
            attachment(front[0], (100, 10)),
            attachment(front[1], (100, 11)),
        ],
        Kind::Stitched | Kind::Proxied => {
            vec![attachment(front[0], (11, 0)), attachment(front[0], (12, 0))]
        }
    };
    let elsewhere = |port: &u16| match kind {
        Kind::Untagged => attachment(*port, (0, 0)),
        Kind::TwoTags => attachment(*port, (200, 10)),
        _ => attachment(*port, (10, 0)),
    };
    let elsewhere = others.iter().map(elsewhere);
    at_front.into_iter().chain(elsewhere).collect()
}

fn attach(attachments: &[Attachment]) -> String {
    let name = |attachment: &Attachment| match attachment.vlans {
        (0, _) => format!("p{}", attachment.port),
        (vlan, 0) => format!("p{}.{vlan}", attachment.port),
        (outer, inner) => format!("p{}.{outer}.{inner}", attachment.port),
    };
    attachments.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// `policy.yaml`. The rules apply between all hosts, so that only reach, posture and IP version make a difference.
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
speaker1,02:00:00:00:00:11,10.1.0.17 2001:db8:1::11,ward,
speaker2,02:00:00:00:00:12,10.1.0.18 2001:db8:1::12,ward,
speaker3,02:00:00:00:00:13,10.1.0.19 2001:db8:1::13,ward,
speaker4,02:00:00:00:00:14,10.1.0.20 2001:db8:1::14,ward,
";

/// One more device, without its port.
const PLACED: &str = "placed,02:00:00:00:00:06,10.1.0.6 2001:db8:1::6,ward,";

impl Topology {
    /// The site with this kind of attachment.
    pub fn new(kind: Kind) -> Topology {
        let ward = attachments(kind, [ACCESS, ACCESS_2], &[CORE, STORMY]);
        // The uplink attachment is the last one.
        let lobby = attachments(kind, [LOBBY, LOBBY + 2], &[LOBBY_CORE]);
        let policy = policy(kind, &ward, &lobby);
        // With a proxy, isolated devices are in the same VLAN.
        let monitor_at = match kind {
            Kind::Proxied => ward[0],
            _ => ward[1],
        };
        let endpoint = |number: u8, v4: [u8; 4], v6: &str, at: Attachment| Endpoint {
            mac: mac(number),
            v4: v4.into(),
            v6: v6.parse().expect("the address is valid"),
            at,
        };
        let [front, .., core, stormy] = ward[..] else {
            unreachable!("the ward has four attachments");
        };
        let (lobby_front, lobby_core) = (lobby[0], lobby[2]);
        let plain = |port: u16| Attachment {
            port,
            vlans: (0, 0),
            outer: SERVICE_TAG,
            uplink: port == CORE,
        };
        Topology {
            kind,
            policy,
            pump: endpoint(1, [10, 1, 0, 1], "2001:db8:1::1", front),
            monitor: endpoint(2, [10, 1, 0, 2], "2001:db8:1::2", monitor_at),
            bound: endpoint(3, [10, 1, 0, 3], "2001:db8:1::3", stormy),
            placed: endpoint(6, [10, 1, 0, 6], "2001:db8:1::6", ward[1]),
            speakers: (1..=4)
                .map(|number| Endpoint {
                    mac: mac(0x10 + number),
                    v4: [10, 1, 0, 16 + number].into(),
                    v6: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10 + u16::from(number)),
                    at: front,
                })
                .collect(),
            router: endpoint(9, [10, 1, 0, 254], "2001:db8:1::fe", core),
            remote: endpoint(9, [203, 0, 113, 7], "2001:db8:f::7", core),
            server: endpoint(9, [203, 0, 113, 5], "2001:db8:f::5", core),
            scanner: endpoint(9, [10, 2, 0, 1], "2001:db8:2::1", core),
            clerk: endpoint(9, [10, 3, 0, 1], "2001:db8:3::1", core),
            guest: endpoint(8, [10, 4, 0, 8], "2001:db8:4::8", lobby_front),
            guest_outside: endpoint(8, [203, 0, 113, 8], "2001:db8:f::8", lobby_core),
            ward,
            lobby,
            closed: plain(ELSEWHERE),
            open: [ACCESS, STORMY, CORE].map(plain).to_vec(),
        }
    }

    /// Sender and receiver of each leg. If the frame is `segment_local`, the far end is the router itself.
    pub fn legs(&self, direction: Direction, segment_local: bool) -> Vec<(Endpoint, Endpoint)> {
        let outside = if segment_local {
            self.router
        } else {
            self.remote
        };
        match direction {
            Direction::Out => vec![(self.pump, outside)],
            Direction::In => vec![(outside, self.pump)],
            Direction::BetweenZones => vec![(self.pump, self.clerk), (self.clerk, self.pump)],
            Direction::WithinZone => vec![(self.pump, self.scanner), (self.scanner, self.pump)],
            Direction::WithinSegment => vec![(self.pump, self.monitor)],
        }
    }

    /// The MAC address that a sender resolves for a receiver: the gateway's between devices of a proxied segment.
    pub fn resolved_mac(&self, from: &Endpoint, to: &Endpoint) -> Mac {
        let devices = !from.at.uplink && !to.at.uplink;
        match self.kind == Kind::Proxied && devices {
            true => Mac(GATEWAY),
            false => to.mac,
        }
    }
}

fn policy(kind: Kind, ward: &[Attachment], lobby: &[Attachment]) -> Policy {
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
        Err(rejected) => panic!("the matrix's policy is invalid: {rejected}"),
    }
}
