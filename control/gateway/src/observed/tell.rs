//! What is known of observed segments, in the words of the policy in force.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, UNIX_EPOCH};

use cordon_policy::{Mode, Place, Service};
use cordon_protocol as wire;
use cordon_protocol::{ObservedSegment, ObservedTalk, Party, WouldDrop};
use cordon_verdict::Reason;

use super::Observed;
use super::ledger::{Host, Said, Sum, Talk};
use crate::clock;
use crate::engine::Gateway;
use crate::explain::ends::{End, Ends, of_address};
use crate::explain::packet::Packet;
use crate::explain::{Fate, fate};
use crate::names::Named;

/// The last second that RFC 3339 has: a clock may be as wrong as it likes.
const LATEST: u64 = 253_402_300_799;

impl Observed {
    /// What each observed segment let be, by name.
    pub fn segments(&self, named: &Named) -> Vec<ObservedSegment> {
        let observed = named.policy.segments.iter();
        let observed = observed.filter(|segment| segment.mode == Mode::Observe);
        let ledger = self.ledger();
        let mut sums: BTreeMap<&str, (HashSet<&Host>, Sum)> = observed
            .map(|segment| (segment.name.as_str(), Default::default()))
            .collect();
        for (talk, said) in ledger.talks() {
            if let Some((hosts, sum)) = sums.get_mut(talk.segment.as_str()) {
                hosts.insert(talk.host());
                sum.flows += said.flows;
                sum.bytes += said.bytes;
            }
        }
        sums.into_iter()
            .map(|(segment, (hosts, sum))| ObservedSegment {
                segment: segment.to_owned(),
                hosts: hosts.len() as u64,
                flows: sum.flows,
                bytes: sum.bytes,
            })
            .collect()
    }

    /// By name of the segment, since the daemon started; those that are not observed are left out.
    pub fn sums(&self, named: &Named) -> Vec<(String, Sum)> {
        let ledger = self.ledger();
        let observed = named.policy.segments.iter();
        let observed = observed.filter(|segment| segment.mode == Mode::Observe);
        observed
            .map(|segment| (segment.name.clone(), ledger.sum(&segment.name)))
            .collect()
    }

    /// By name of the device, how many flows enforcement would have dropped.
    pub fn by_device(&self) -> HashMap<String, u64> {
        let mut devices = HashMap::new();
        for (talk, said) in self.ledger().talks() {
            if let Some(device) = &talk.host().device {
                *devices.entry(device.clone()).or_default() += said.flows;
            }
        }
        devices
    }

    /// Everything that is known, the newest first.
    pub fn view(&self, gateway: &Gateway) -> wire::Observed {
        let Some(named) = gateway.engine().current() else {
            return wire::Observed {
                segments: Vec::new(),
                talks: Vec::new(),
                unnoted: 0,
            };
        };
        // What is in the table by now belongs to the answer.
        self.look(gateway, &named);
        let segments = self.segments(&named);
        let names = Names::new(&named);
        let ledger = self.ledger();
        let mut talks: Vec<(&Talk, &Said)> = ledger.talks().collect();
        talks.sort_by(|(one, a), (other, b)| {
            let order = b.last.cmp(&a.last).then(b.flows.cmp(&a.flows));
            order.then_with(|| {
                (&one.from.ip, &one.to.ip, one.port).cmp(&(
                    &other.from.ip,
                    &other.to.ip,
                    other.port,
                ))
            })
        });
        wire::Observed {
            segments,
            talks: talks
                .into_iter()
                .map(|(talk, said)| told(&names, talk, said))
                .collect(),
            unnoted: ledger.unnoted,
        }
    }
}

/// The devices and rules of a policy by name.
pub struct Names<'a> {
    /// The policy.
    pub named: &'a Named,
    devices: HashMap<&'a str, usize>,
    places: HashMap<&'a str, Place>,
}

impl<'a> Names<'a> {
    /// Of a policy.
    pub fn new(named: &'a Named) -> Names<'a> {
        let devices = named.policy.devices.iter().enumerate();
        let rules = named.policy.rules.iter();
        Names {
            named,
            devices: devices
                .map(|(index, device)| (device.name.as_str(), index))
                .collect(),
            places: rules.map(|rule| (rule.name.as_str(), rule.place)).collect(),
        }
    }

    fn end(&self, talk: &Talk, host: &Host) -> End {
        let device = host
            .device
            .as_deref()
            .and_then(|name| self.devices.get(name));
        match device {
            Some(index) => End::Device(*index, host.ip),
            // It has no address yet, and asks for one where it is.
            None if host.ip.is_unspecified() => {
                let mut segments = self.named.policy.segments.iter();
                let here = segments.position(|segment| segment.name == talk.segment);
                here.map_or(End::Outside(host.ip), |here| End::Member(here, host.ip))
            }
            None => of_address(self.named, host.ip),
        }
    }

    /// What the policy says of a talk, as far as names and addresses tell.
    pub fn fate(&self, talk: &Talk) -> Fate {
        let ends = Ends {
            from: self.end(talk, &talk.from),
            to: self.end(talk, &talk.to),
        };
        match packet(talk) {
            Some(packet) => fate(self.named, &ends, packet),
            None => Fate::Unknown,
        }
    }

    fn party(&self, talk: &Talk, host: &Host) -> Party {
        let end = self.end(talk, host);
        // What is said to everybody is said in its segment.
        let zone = end.zone(self.named).filter(|_| !end.is_group());
        Party {
            device: host.device.clone(),
            ip: host.ip.to_string(),
            zone: zone.map(|zone| self.named.policy.zones[zone].name.clone()),
        }
    }
}

fn packet(talk: &Talk) -> Option<Packet> {
    Some(match talk.protocol {
        6 => Packet::Tcp(talk.port),
        17 => Packet::Udp(talk.port),
        132 => Packet::Sctp(talk.port),
        1 | 58 => Packet::Echo,
        _ => return None,
    })
}

/// As it crosses the wire.
fn told(names: &Names, talk: &Talk, said: &Said) -> ObservedTalk {
    let named = names.named;
    let time = |seconds: u64| clock::rfc3339(UNIX_EPOCH + Duration::from_secs(seconds.min(LATEST)));
    let place = said.rule.as_deref().and_then(|name| names.places.get(name));
    let reason = match said.rule {
        Some(_) => Reason::Rule,
        None => Reason::NoRule,
    };
    ObservedTalk {
        segment: talk.segment.clone(),
        inside: talk.inside,
        from: names.party(talk, &talk.from),
        to: names.party(talk, &talk.to),
        service: packet(talk).map_or_else(
            || format!("ip-{}", talk.protocol),
            |packet| packet.to_string(),
        ),
        service_name: packet(talk).and_then(|packet| service_name(named, packet)),
        would_drop: WouldDrop {
            reason: reason.name().to_owned(),
            rule: said.rule.clone(),
            place: place.map(ToString::to_string),
        },
        flows: said.flows,
        bytes: said.bytes,
        first: time(said.first),
        last: time(said.last),
    }
}

/// The name of the narrowest service that a packet is of; of several, the first: `https` rather than `dicomweb`.
fn service_name(named: &Named, packet: Packet) -> Option<String> {
    let width = |service: &Service| match (*service, packet) {
        (Service::Tcp(first, last), Packet::Tcp(port))
        | (Service::Udp(first, last), Packet::Udp(port))
        | (Service::Sctp(first, last), Packet::Sctp(port))
            if (first..=last).contains(&port) =>
        {
            Some(u32::from(last - first))
        }
        _ => None,
    };
    let services = named.policy.services.iter().enumerate();
    let services = services.filter_map(|(index, service)| {
        let width = service.entries.iter().filter_map(width).min()?;
        Some((width, service.entries.len(), index, &service.name))
    });
    services.min().map(|(.., name)| name.clone())
}
