//! A validated policy. Made by [`crate::load`] and [`crate::from_sources`] only; what it says is consistent:
//! every index points at something, every name is unique, every limit is kept.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use crate::problem::Place;

/// How far a scope is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Posture {
    /// Everything the rules allow.
    Normal,
    /// Without what is written `survives: normal`; more is logged.
    Watch,
    /// Cut off from the wider network.
    Contain,
    /// Zones are cut off from each other too.
    Isolate,
    /// Only the continuity list is left.
    Lockdown,
    /// Nothing is left but the gateway's own management.
    Sever,
}

impl Posture {
    /// From the most open to the most closed.
    pub const ALL: [Posture; 6] = [
        Posture::Normal,
        Posture::Watch,
        Posture::Contain,
        Posture::Isolate,
        Posture::Lockdown,
        Posture::Sever,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Posture::Normal => "normal",
            Posture::Watch => "watch",
            Posture::Contain => "contain",
            Posture::Isolate => "isolate",
            Posture::Lockdown => "lockdown",
            Posture::Sever => "sever",
        }
    }

    /// What is left at it, in one sentence.
    pub const fn help(self) -> &'static str {
        match self {
            Posture::Normal => "everything that the rules allow",
            Posture::Watch => {
                "all but what is written `survives: normal`, vendor access for example"
            }
            Posture::Contain => "the site is cut off from the wider network and goes on inside",
            Posture::Isolate => "zones are cut off from each other too",
            Posture::Lockdown => "only the continuity list is left",
            Posture::Sever => "nothing is left but the gateway's own management",
        }
    }

    /// From its number, 0 to 5; none if there is no such posture.
    pub fn from_number(number: u8) -> Option<Posture> {
        Posture::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for Posture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Posture {
    type Err = String;

    fn from_str(text: &str) -> Result<Posture, String> {
        let found = Posture::ALL
            .into_iter()
            .find(|posture| posture.name() == text);
        found.ok_or_else(|| {
            let names: Vec<_> = Posture::ALL.iter().map(|posture| posture.name()).collect();
            format!("`{text}` is no posture; there is: {}", names.join(", "))
        })
    }
}

/// How far a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Both ends are in one zone of the site.
    WithinZone,
    /// Both ends are in the site, in different zones.
    BetweenZones,
    /// One end is outside the site.
    AcrossBoundary,
}

impl Reach {
    /// The reach between two zones, by index; none stands for what no zone names, which is outside.
    pub fn between(policy: &Policy, from: Option<usize>, to: Option<usize>) -> Reach {
        let local = |zone: Option<usize>| zone.is_some_and(|zone| policy.zones[zone].local);
        match (local(from), local(to)) {
            (true, true) if from == to => Reach::WithinZone,
            (true, true) => Reach::BetweenZones,
            _ => Reach::AcrossBoundary,
        }
    }

    /// The posture that a rule survives where it does not say so itself.
    pub const fn default_survives(self) -> Posture {
        match self {
            Reach::WithinZone => Posture::Isolate,
            Reach::BetweenZones => Posture::Contain,
            Reach::AcrossBoundary => Posture::Watch,
        }
    }

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Reach::WithinZone => "within the zone",
            Reach::BetweenZones => "between zones",
            Reach::AcrossBoundary => "across the site boundary",
        }
    }
}

/// A day, without a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The day, if there is such a one.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Date> {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u8::from(leap),
            1..=12 => 31,
            _ => return None,
        };
        ((1..=days).contains(&day) && (1970..=9999).contains(&year)).then_some(Date {
            year,
            month,
            day,
        })
    }
}

impl FromStr for Date {
    type Err = ();

    fn from_str(text: &str) -> Result<Date, ()> {
        let mut parts = text.split('-');
        let mut part = |digits: usize| -> Result<u16, ()> {
            let part = parts.next().ok_or(())?;
            let plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            if plain {
                part.parse().map_err(|_| ())
            } else {
                Err(())
            }
        };
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        if parts.next().is_some() {
            return Err(());
        }
        Date::new(year, month as u8, day as u8).ok_or(())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A MAC address, in the order of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = ();

    /// `02:00:5e:10:00:01`, `02-00-5E-10-00-01` or `0200.5e10.0001`.
    fn from_str(text: &str) -> Result<Mac, ()> {
        let separated = |separator: char, group: usize, groups: usize| {
            let parts: Vec<_> = text.split(separator).collect();
            parts.len() == groups && parts.iter().all(|part| part.len() == group)
        };
        if !(separated(':', 2, 6) || separated('-', 2, 6) || separated('.', 4, 3)) {
            return Err(());
        }
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        if digits.len() != 12 {
            return Err(());
        }
        let value = u64::from_str_radix(&digits, 16).map_err(|_| ())?;
        let [_, _, mac @ ..] = value.to_be_bytes();
        Ok(Mac(mac))
    }
}

/// A whole policy, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The site's name.
    pub site: String,
    /// At most 15; a port's number is its index.
    pub ports: Vec<Port>,
    /// At most 4096; a segment's number is its index.
    pub segments: Vec<Segment>,
    /// Every segment is in exactly one.
    pub zones: Vec<Zone>,
    /// At most 131072.
    pub devices: Vec<Device>,
    /// Those written, then those of the infrastructure.
    pub groups: Vec<Group>,
    /// Those written, in file order, then those of the infrastructure, those of the segments, those of observed
    /// segments: the first that matches decides. What it means in full is in this crate's README.
    pub rules: Vec<Rule>,
    /// To be checked by whoever works out what the rules come to.
    pub invariants: Vec<Invariant>,
    /// What a service's name means here: the catalogue, with what the policy overrides and adds.
    pub services: Vec<NamedService>,
}

/// A NIC that carries traffic under policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// The network interface.
    pub device: String,
    /// Whether it faces the wider network.
    pub uplink: bool,
    /// Broadcast and multicast frames that may come in a second; 0 for any number.
    pub storm: u32,
    /// Link-control protocols that may come in and leave.
    pub pass: Vec<LinkControl>,
    /// The type of the outer of two VLAN tags.
    pub outer_tag: OuterTag,
}

/// The type of the outer of two VLAN tags; the inner one is always 802.1Q's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OuterTag {
    /// 802.1ad, a service tag: EtherType 0x88a8.
    Dot1ad,
    /// 802.1Q: EtherType 0x8100, as switches have it that know no other.
    Dot1q,
}

/// What bridges keep to themselves unless a port is set to let it pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkControl {
    /// Spanning tree.
    Stp,
    /// Link aggregation.
    Lacp,
    /// Port authentication (802.1X).
    Eapol,
    /// Link-layer discovery.
    Lldp,
    /// Precision time over Ethernet.
    Ptp,
}

/// A port, and the VLAN tags that frames have there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attachment {
    /// Index of the port.
    pub port: usize,
    /// VLAN ID, of two tags that of the outer one; 0 for untagged.
    pub vlan: u16,
    /// VLAN ID of the inner of two tags; 0 if there are no two.
    pub inner: u16,
}

/// Where a device must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// At the port with this index, whatever the VLAN.
    Port(usize),
    /// At this attachment.
    Attachment(Attachment),
}

impl Binding {
    /// Whether it may be at an attachment.
    pub fn allows(self, attachment: Attachment) -> bool {
        match self {
            Binding::Port(port) => port == attachment.port,
            Binding::Attachment(only) => only == attachment,
        }
    }
}

impl Attachment {
    /// As it is written, at a port of this name.
    pub fn at(self, port: &str) -> String {
        match (self.vlan, self.inner) {
            (0, _) => port.to_owned(),
            (vlan, 0) => format!("{port}.{vlan}"),
            (outer, inner) => format!("{port}.{outer}.{inner}"),
        }
    }
}

/// What becomes of a device that is not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Its frames are dropped.
    Drop,
    /// It is a member of the segment without a name.
    Admit,
}

/// Whether verdicts are put into effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are.
    Enforce,
    /// What no rule allows is let through as if one did, and counted.
    Observe,
}

/// One broadcast domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// At least one. Several at one port stitch VLANs into one broadcast domain.
    pub attachments: Vec<Attachment>,
    /// Its addresses; in no other segment's.
    pub subnets: Vec<IpNet>,
    /// Whether its devices are kept apart from each other.
    pub isolate: bool,
    /// What becomes of devices that are not listed.
    pub unknown: Unknown,
    /// Whether verdicts are put into effect.
    pub mode: Mode,
    /// Whether the gateway stands in for its devices: answers for their addresses, and carries to them what is sent
    /// to it.
    pub proxy: bool,
    /// The addresses of its routers, which no device may speak as: of its subnets, or IPv6 link-local.
    pub routers: Vec<IpAddr>,
    /// EtherTypes beside IP and ARP that pass unread.
    pub ether_types: Vec<u16>,
    /// Index of its zone.
    pub zone: usize,
    /// Its number in the tables, below [`SEGMENTS`](crate::SEGMENTS): by its name, and not by its place in the list, so that
    /// flows and stations of a segment are still its own when another is added or removed.
    pub number: u16,
    /// Where it is written.
    pub place: Place,
}

impl Segment {
    /// Whether what is flooded in it is copied one by one: to a port with several attachments a frame goes several
    /// times, and where the gateway stands in for devices, also back to where it came from.
    pub fn copied_one_by_one(&self) -> bool {
        let mut ports: Vec<usize> = self.attachments.iter().map(|at| at.port).collect();
        ports.sort_unstable();
        self.proxy || ports.windows(2).any(|two| two[0] == two[1])
    }
}

/// The unit of policy between areas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Indices of its segments.
    pub segments: Vec<usize>,
    /// Its networks; in no other zone's. Of nested ones the longest prefix counts.
    pub networks: Vec<IpNet>,
    /// Whether it is inside the site.
    pub local: bool,
}

/// A MAC address in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its MAC address.
    pub mac: Mac,
    /// The addresses bound to it; none: any of its segment's that is nobody else's.
    pub ips: Vec<IpAddr>,
    /// Index of its segment.
    pub segment: usize,
    /// Where it must be; none: at any attachment of its segment.
    pub binding: Option<Binding>,
    /// Its profile.
    pub profile: Option<String>,
    /// What care it serves.
    pub function: Option<String>,
    /// How much depends on it.
    pub criticality: Option<String>,
    /// Where it is written.
    pub place: Place,
}

/// Devices and networks under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Devices of these profiles are in it.
    pub profiles: Vec<String>,
    /// Indices of devices that are in it.
    pub devices: Vec<usize>,
    /// Addresses that are in it, unless they are bound to a device. Multicast prefixes are destinations.
    pub networks: Vec<IpNet>,
}

/// What one end of a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// Everything, broadcast and multicast included.
    Any,
    /// 255.255.255.255 and the directed broadcasts of all segments.
    Broadcast,
    /// By index.
    Group(usize),
    /// By index.
    Zone(usize),
    /// By index: its devices, and the addresses of its subnets.
    Segment(usize),
    /// By index.
    Device(usize),
    /// All that floods in a segment, by index: 255.255.255.255, the directed broadcasts of its subnets, and
    /// multicast. Only in the rule that the segment itself stands for.
    Flooded(usize),
}

/// A protocol, and the destination ports of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Every protocol that is understood.
    Any,
    /// TCP, from the first to the last port.
    Tcp(u16, u16),
    /// UDP, from the first to the last port.
    Udp(u16, u16),
    /// SCTP, from the first to the last port.
    Sctp(u16, u16),
    /// ICMP and ICMPv6 echo.
    IcmpEcho,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Service::Any => f.write_str("any"),
            Service::IcmpEcho => f.write_str("icmp"),
            Service::Tcp(first, last) if first == last => write!(f, "tcp/{first}"),
            Service::Tcp(first, last) => write!(f, "tcp/{first}-{last}"),
            Service::Udp(first, last) if first == last => write!(f, "udp/{first}"),
            Service::Udp(first, last) => write!(f, "udp/{first}-{last}"),
            Service::Sctp(first, last) if first == last => write!(f, "sctp/{first}"),
            Service::Sctp(first, last) => write!(f, "sctp/{first}-{last}"),
        }
    }
}

impl Service {
    /// Whether it holds a protocol and destination port, of those that are understood.
    pub const fn holds(self, protocol: u8, port: u16) -> bool {
        let (of, first, last) = match self {
            Service::Any => return true,
            Service::IcmpEcho => return matches!(protocol, 1 | 58),
            Service::Tcp(first, last) => (6, first, last),
            Service::Udp(first, last) => (17, first, last),
            Service::Sctp(first, last) => (132, first, last),
        };
        of == protocol && first <= port && port <= last
    }
}

/// Protocols and ports under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedService {
    /// The name.
    pub name: String,
    /// What it holds.
    pub entries: Vec<Service>,
    /// How long its flows may be silent; none: as is usual for the protocol.
    pub idle: Option<Duration>,
}

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is written in `policy.yaml`.
    Written,
    /// From `infrastructure` in `site.yaml`.
    Infrastructure,
    /// A segment that is not isolated, which may talk within itself.
    Segment,
    /// An observed segment: what no other rule allows at `normal`, counted instead of dropped. Two rules, one for
    /// each way.
    Observe,
}

/// What is allowed, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Who may open a flow; matches if one does.
    pub from: Vec<Selector>,
    /// To whom; matches if one does.
    pub to: Vec<Selector>,
    /// By what; matches if one does.
    pub services: Vec<Service>,
    /// How long flows may be silent, for those of its services that say so. Where two are about the same port, the
    /// longer time counts.
    pub idle: Vec<(Service, Duration)>,
    /// Whether it allows. What denies does so at every posture.
    pub allow: bool,
    /// The highest posture at which it applies; none: by reach.
    pub survives: Option<Posture>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Why it is there.
    pub reason: Option<String>,
    /// The last day on which it applies.
    pub expires: Option<Date>,
    /// Where it is written.
    pub place: Place,
    /// Where it comes from.
    pub origin: Origin,
}

impl Rule {
    /// Whether it is on the continuity list.
    pub fn continuity(&self) -> bool {
        self.allow
            && self
                .survives
                .is_some_and(|survives| survives >= Posture::Contain)
    }

    /// Whether it still applies on a day.
    pub fn in_force(&self, today: Date) -> bool {
        self.expires.is_none_or(|last| today <= last)
    }
}

/// What the rules must come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// Who opens.
    pub from: Vec<Selector>,
    /// To whom.
    pub to: Vec<Selector>,
    /// By what.
    pub services: Vec<Service>,
    /// At which posture.
    pub at: Posture,
    /// Whether all of it is to be allowed, or nothing of it.
    pub allow: bool,
    /// Where it is written.
    pub place: Place,
}

impl Policy {
    /// What a selector is called in the policy.
    pub fn selector_name(&self, selector: Selector) -> &str {
        match selector {
            Selector::Any => "any",
            Selector::Broadcast => "broadcast",
            Selector::Group(index) => &self.groups[index].name,
            Selector::Zone(index) => &self.zones[index].name,
            Selector::Segment(index) | Selector::Flooded(index) => &self.segments[index].name,
            Selector::Device(index) => &self.devices[index].name,
        }
    }

    /// An attachment as it is written: `access0.210`, `access0.100.210` with two tags, or `access0` for untagged.
    pub fn attachment_name(&self, attachment: Attachment) -> String {
        attachment.at(&self.ports[attachment.port].name)
    }

    /// What a service is: a name of the policy or the catalogue, or `any`, `icmp`, `tcp/104`, `udp/5000-5010`.
    pub fn service(&self, word: &str) -> Option<Vec<Service>> {
        let named = self.services.iter().find(|service| service.name == word);
        named
            .map(|service| service.entries.clone())
            .or_else(|| crate::services::inline(word).map(|service| vec![service]))
    }
}
