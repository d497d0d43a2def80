//! The tables against the rules, read one by one: for any policy, any two ends and any service, both say the same.

mod common;

use std::net::IpAddr;

use common::{ip, policy, today};
use cordon_compile::{compile, rule_number};
use cordon_policy::{
    Invariant, Mode, Origin, Place, Policy, Posture, Reach, Rule, Selector, Service, Unknown,
};
use cordon_portable::Generation;
use cordon_verdict::abi::{
    CLASS_STRANGER, POSTURES, PolicyKey, Ruling, SERVICE_OTHER, service_index,
};
use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

/// Prefixes that hold each other, segments, groups and nothing.
const NETWORKS: &[&str] = &[
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.1.0/24",
    "10.1.1.128/25",
    "10.1.1.130/32",
    "10.1.1.255/32",
    "10.1.2.0/23",
    "10.9.0.0/16",
    "224.0.0.0/3",
    "224.0.0.0/4",
    "239.1.0.0/16",
    "255.255.255.255/32",
    "::/0",
    "::fffe:0:0/95",
    "::ffff:0:0/96",
    "::ffff:10.0.0.0/104",
    "2001:db8::/32",
    "2001:db8:1::/64",
    "2001:db8:1::8/125",
    "fe00::/7",
    "ff00::/8",
    "ff02::/16",
];

const ADDRESSES: &[&str] = &[
    "8.8.8.8",
    "10.0.0.1",
    "10.1.0.1",
    "10.1.1.1",
    "10.1.1.11",
    "10.1.1.129",
    "10.1.1.130",
    "10.1.1.255",
    "10.1.2.7",
    "10.1.2.63",
    "10.1.3.9",
    "10.9.0.1",
    "10.9.0.3",
    "10.9.0.7",
    "224.0.0.1",
    "239.1.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::5",
    "::fffe:0:1",
    "2001:db8::1",
    "2001:db8:1::1",
    "2001:db8:1::9",
    "2001:db8:1::11",
    "2001:db8:2::1",
    "fe80::1",
    "ff02::1",
    "ff05::1",
];

const SERVICES: &[&str] = &[
    "any",
    "icmp",
    "dicom",
    "dns",
    "tcp/100-110",
    "tcp/105",
    "tcp/any",
    "udp/50-60",
    "active-directory",
];

/// Indices of the service table on both sides of where something changes.
fn indices() -> impl Iterator<Item = u32> {
    let tcp = [0, 53, 88, 99, 100, 104, 105, 110, 111, 11112, 65535].map(|port| service_index(6, port));
    let udp = [0, 50, 53, 60, 61, 67, 68, 88].map(|port| service_index(17, port));
    tcp.into_iter().chain(udp).chain([service_index(1, 0)])
}

const SUBNETS: [&str; 3] = [
    "10.1.1.0/24, '2001:db8:1::/64'",
    "10.1.2.0/26",
    "10.9.0.0/30",
];

const DEVICES: &str = "\
one,02:00:00:00:00:01,10.1.1.11 2001:db8:1::11,s0,p
two,02:00:00:00:00:02,,s0,q
three,02:00:00:00:00:03,10.1.2.13,s1,p
four,02:00:00:00:00:04,,s2,
five,02:00:00:00:00:05,,s0,q
";

const NAMES: &[&str] = &[
    "any",
    "broadcast",
    "s0",
    "s1",
    "s2",
    "z0",
    "z1",
    "z2",
    "g0",
    "g1",
    "g2",
    "one",
    "two",
    "four",
];

/// `site.yaml`: three segments in three zones, networks in some of them.
fn site() -> impl Strategy<Value = String> {
    let segment = (any::<bool>(), any::<bool>(), any::<bool>(), 0..3usize);
    let segments = proptest::array::uniform3(segment);
    let networks = proptest::collection::vec(0..6usize, NETWORKS.len());
    let infrastructure = select(vec![
        "",
        "infrastructure: {dhcp: [10.1.1.130], dns: [10.1.1.11]}",
    ]);
    (segments, networks, infrastructure).prop_map(|(segments, networks, infrastructure)| {
        let mut text = "segments:\n".to_owned();
        for (index, (isolate, admit, observe, _)) in segments.iter().enumerate() {
            let unknown = if *admit { "admit" } else { "drop" };
            let mode = if *observe { "observe" } else { "enforce" };
            text += &format!(
                "  s{index}: {{attach: [access0.{v}, core0.{v}], subnets: [{}], isolate: {isolate}, unknown: {unknown}, mode: {mode}}}\n",
                SUBNETS[index],
                v = index + 1,
            );
        }
        text += "zones:\n";
        for zone in 0..3 {
            let members = segments.iter().enumerate().filter(|(_, segment)| segment.3 == zone);
            let members: Vec<String> = members.map(|(index, _)| format!("s{index}")).collect();
            let within = NETWORKS.iter().zip(&networks).filter(|(_, of)| **of == zone);
            let within: Vec<String> = within.map(|(net, _)| format!("'{net}'")).collect();
            let local = !members.is_empty() || zone == 2;
            text += &format!(
                "  z{zone}: {{segments: [{}], networks: [{}], local: {local}}}\n",
                members.join(", "),
                within.join(", ")
            );
        }
        text + infrastructure
    })
}

fn rule() -> impl Strategy<Value = (Vec<Index>, Vec<Index>, Vec<&'static str>, bool, usize, bool)> {
    let end = || proptest::collection::vec(any::<Index>(), 1..3);
    let services = subsequence(SERVICES, 1..3);
    (
        end(),
        end(),
        services,
        proptest::bool::weighted(0.7),
        0..6usize,
        proptest::bool::weighted(0.1),
    )
}

/// `policy.yaml`: three groups and some rules.
fn rules() -> impl Strategy<Value = String> {
    let networks = || subsequence(NETWORKS, 1..6);
    let groups = (networks(), networks(), networks());
    let rules = proptest::collection::vec(rule(), 0..8);
    (groups, rules).prop_map(|(groups, rules)| {
        let quoted = |networks: &[&str]| networks.iter().map(|net| format!("'{net}'")).collect::<Vec<_>>().join(", ");
        let mut text = format!(
            "groups:\n  g0: {{profile: p, networks: [{}]}}\n  g1: {{devices: [two, three], networks: [{}]}}\n  g2: {{networks: [{}]}}\nrules:\n",
            quoted(&groups.0),
            quoted(&groups.1),
            quoted(&groups.2)
        );
        for (number, (from, to, services, allow, survives, expired)) in rules.iter().enumerate() {
            let names = |indices: &[Index], names: &[&'static str]| {
                let names: Vec<&str> = indices.iter().map(|index| *index.get(names)).collect();
                names.join(", ")
            };
            let senders: Vec<&str> = NAMES.iter().copied().filter(|name| *name != "broadcast").collect();
            let action = if *allow { "allow" } else { "deny" };
            let survives = match (*allow, ["normal", "watch", "contain", "isolate", "lockdown"].get(*survives)) {
                (true, Some(survives)) => format!(", survives: {survives}, owner: o, reason: r"),
                _ => String::new(),
            };
            let expires = if *expired { ", expires: 2026-09-30" } else { "" };
            text += &format!(
                "  - {{name: r{number}, from: [{}], to: [{}], service: [{}], action: {action}{survives}{expires}}}\n",
                names(from, &senders),
                names(to, NAMES),
                services.join(", ")
            );
        }
        if rules.is_empty() {
            text += "  []\n";
        }
        text
    })
}

/// An end of a flow, as the verdict comes by it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Device(usize),
    Address(IpAddr),
    Behind(IpAddr),
    Unlisted(usize),
    /// Whom no network holds.
    Stranger,
}

fn ends(policy: &Policy) -> Vec<End> {
    let devices = (0..policy.devices.len()).map(End::Device);
    let addresses: Vec<IpAddr> = ADDRESSES
        .iter()
        .map(|text| text.parse().expect("an address"))
        .collect();
    let behind = addresses.clone().into_iter().filter(|address| {
        segment_of(policy, *address).is_some() && owner(policy, *address).is_none()
    });
    let admits = |segment: &usize| policy.segments[*segment].unknown == Unknown::Admit;
    let unlisted = (0..policy.segments.len()).filter(admits);
    devices
        .chain(addresses.iter().copied().map(End::Address))
        .chain(behind.map(End::Behind))
        .chain(unlisted.map(End::Unlisted))
        .collect()
}

fn owner(policy: &Policy, address: IpAddr) -> Option<usize> {
    policy
        .devices
        .iter()
        .position(|device| device.ips.contains(&address))
}

fn segment_of(policy: &Policy, address: IpAddr) -> Option<usize> {
    let holds = |net: &IpNet| net.contains(&address);
    policy
        .segments
        .iter()
        .position(|segment| segment.subnets.iter().any(holds))
}

/// The segment whose subnet's directed broadcast it is.
fn directed(policy: &Policy, address: IpAddr) -> Option<usize> {
    policy.segments.iter().position(|segment| {
        segment.subnets.iter().any(|net| {
            net.prefix_len() <= 30 && matches!(net, IpNet::V4(_)) && net.broadcast() == address
        })
    })
}

/// What the policy's README says of an end.
#[derive(Debug, Default)]
struct Who {
    device: Option<usize>,
    segment: Option<usize>,
    zone: Option<usize>,
    groups: Vec<usize>,
    multicast: bool,
    broadcast: bool,
    directed: Option<usize>,
}

fn who(policy: &Policy, end: End) -> Who {
    let in_segment = |segment: usize| Who {
        segment: Some(segment),
        zone: Some(policy.segments[segment].zone),
        ..Who::default()
    };
    let address = match end {
        End::Stranger => return Who::default(),
        End::Unlisted(segment) => return in_segment(segment),
        End::Device(index) => return device(policy, index),
        End::Address(address) | End::Behind(address) => address,
    };
    if let Some(index) = owner(policy, address) {
        return device(policy, index);
    }
    if address.to_string() == "255.255.255.255" {
        return Who {
            broadcast: true,
            ..Who::default()
        };
    }
    if let Some(segment) = directed(policy, address) {
        return Who {
            directed: Some(segment),
            ..Who::default()
        };
    }
    let multicast: [IpNet; 2] =
        ["224.0.0.0/4", "ff00::/8"].map(|net| net.parse().expect("a network"));
    let multicast = multicast.iter().find(|net| net.contains(&address));
    let holds = |net: &&IpNet| {
        net.contains(&address) && multicast.is_none_or(|multicast| multicast.contains(*net))
    };
    let zones = policy.zones.iter().enumerate();
    let nets = zones.flat_map(|(zone, entry)| entry.networks.iter().map(move |net| (zone, net)));
    let longest = nets
        .filter(|(_, net)| holds(net))
        .max_by_key(|(_, net)| net.prefix_len());
    let groups = (0..policy.groups.len())
        .filter(|group| policy.groups[*group].networks.iter().any(|net| holds(&net)))
        .collect();
    let segment = segment_of(policy, address).filter(|_| multicast.is_none());
    let base = match (end, segment) {
        (End::Behind(_), _) => Who::default(),
        (_, Some(segment)) => in_segment(segment),
        (_, None) => Who {
            zone: longest.map(|(zone, _)| zone),
            ..Who::default()
        },
    };
    Who {
        groups,
        multicast: multicast.is_some(),
        ..base
    }
}

fn device(policy: &Policy, index: usize) -> Who {
    let device = &policy.devices[index];
    let in_group = |group: &usize| {
        let group = &policy.groups[*group];
        group.devices.contains(&index)
            || device
                .profile
                .as_ref()
                .is_some_and(|profile| group.profiles.contains(profile))
    };
    Who {
        device: Some(index),
        segment: Some(device.segment),
        zone: Some(policy.segments[device.segment].zone),
        groups: (0..policy.groups.len()).filter(in_group).collect(),
        ..Who::default()
    }
}

fn matches(selector: Selector, who: &Who) -> bool {
    match selector {
        Selector::Any => true,
        Selector::Broadcast => who.broadcast || who.directed.is_some(),
        Selector::Group(group) => who.groups.contains(&group),
        Selector::Zone(zone) => who.zone == Some(zone),
        Selector::Segment(segment) => who.segment == Some(segment),
        Selector::Device(device) => who.device == Some(device),
        Selector::Flooded(segment) => {
            who.broadcast || who.multicast || who.directed == Some(segment)
        }
    }
}

fn covers(service: Service, index: u32) -> bool {
    match service {
        Service::Any => true,
        Service::Tcp(first, last) => {
            (service_index(6, first)..=service_index(6, last)).contains(&index)
        }
        Service::Udp(first, last) => {
            (service_index(17, first)..=service_index(17, last)).contains(&index)
        }
        Service::IcmpEcho => index == service_index(1, 0),
    }
}

/// Whether it is allowed at a posture, by which rule, for a reach.
fn decided(policy: &Policy, matching: &[(usize, &Rule)], posture: Posture, reach: Reach) -> Ruling {
    let applies = |rule: &Rule, posture: Posture| {
        !rule.allow
            || posture != Posture::Sever
                && posture <= rule.survives.unwrap_or(reach.default_survives())
    };
    let first = |posture: Posture| {
        let mut rules = matching
            .iter()
            .filter(|(_, rule)| rule.origin != Origin::Observe);
        rules.find(|(_, rule)| applies(rule, posture))
    };
    let observe = matching
        .iter()
        .find(|(_, rule)| rule.origin == Origin::Observe);
    if let Some((index, rule)) = observe
        && first(Posture::Normal).is_none_or(|(_, rule)| !rule.allow)
        && applies(rule, posture)
    {
        assert!(
            policy
                .segments
                .iter()
                .any(|segment| segment.mode == Mode::Observe)
        );
        return Ruling::allow(rule_number(*index));
    }
    match first(posture) {
        Some((index, rule)) if rule.allow => Ruling::allow(rule_number(*index)),
        Some((index, _)) => Ruling::deny(rule_number(*index)),
        None => Ruling::NONE,
    }
}

/// The rules in force between two ends, in order.
fn between<'a>(policy: &'a Policy, from: &Who, to: &Who) -> Vec<(usize, &'a Rule)> {
    let rules = policy.rules.iter().enumerate();
    rules
        .filter(|(_, rule)| rule.in_force(today()))
        .filter(|(_, rule)| rule.from.iter().any(|selector| matches(*selector, from)))
        .filter(|(_, rule)| rule.to.iter().any(|selector| matches(*selector, to)))
        .collect()
}

fn expected(
    policy: &Policy,
    (from, to): (&Who, &Who),
    between: &[(usize, &Rule)],
    index: u32,
) -> [Ruling; POSTURES] {
    let covered = |rule: &Rule| rule.services.iter().any(|service| covers(*service, index));
    let rules = between.iter().copied();
    let matching: Vec<(usize, &Rule)> = rules.filter(|(_, rule)| covered(rule)).collect();
    let group = to.multicast || to.broadcast || to.directed.is_some();
    let from_inside = from.zone.is_some_and(|zone| policy.zones[zone].local);
    Posture::ALL.map(|posture| {
        if !(group && to.zone.is_none() && from_inside) {
            let reach = Reach::between(policy, from.zone, to.zone);
            return decided(policy, &matching, posture, reach);
        }
        let inside = decided(policy, &matching, posture, Reach::WithinZone);
        let outside = decided(policy, &matching, posture, Reach::AcrossBoundary);
        match (inside.allows(), outside.allows()) {
            (true, false) => Ruling::allow_inside(inside.rule()),
            _ => inside,
        }
    })
}

/// The class the verdict finds for an end.
fn class(policy: &Policy, generation: &Generation, end: End) -> u16 {
    let address = match end {
        End::Device(index) => {
            let mut all = generation.devices.values();
            return all
                .find(|device| device.id as usize == index)
                .expect("is listed")
                .class;
        }
        End::Unlisted(segment) => {
            let mut all = generation.admissions.values();
            return all
                .find(|admission| usize::from(admission.segment) == segment)
                .expect("is attached")
                .anonymous;
        }
        End::Stranger => return CLASS_STRANGER,
        End::Address(address) | End::Behind(address) => address,
    };
    if let Some(owner) = generation.addresses.get(&ip(address)) {
        return owner.class;
    }
    let network = generation.network(ip(address));
    let segment = segment_of(policy, address).map(|segment| segment as u16);
    // Of a multicast address nobody asks for the segment.
    if !ip(address).is_group() {
        let found = network
            .map(|network| network.segment)
            .filter(|segment| *segment != u16::MAX);
        assert_eq!(found, segment, "the segment of {address}");
    }
    match (network, end) {
        (Some(network), End::Behind(_)) => network.behind,
        (Some(network), _) => network.class,
        (None, _) => CLASS_STRANGER,
    }
}

fn found(generation: &Generation, from: u16, to: u16, index: u32) -> [Ruling; POSTURES] {
    let service = generation.services[index as usize];
    let row = |service| {
        generation.policy.get(&PolicyKey {
            from,
            to,
            service,
            pad: 0,
        })
    };
    row(service)
        .or_else(|| row(SERVICE_OTHER))
        .map_or([Ruling::NONE; POSTURES], |row| row.rulings)
}

/// Some invariants.
fn invariants() -> impl Strategy<Value = String> {
    let name = || select(NAMES);
    let from = name().prop_filter("sends", |name| *name != "broadcast");
    let posture = select(Posture::ALL.to_vec());
    let expect = select(vec!["allow", "deny", "deny"]);
    let invariant = (from, name(), select(SERVICES), posture, expect);
    proptest::collection::vec(invariant, 1..6).prop_map(|invariants| {
        let lines = invariants.iter().map(|(from, to, service, at, expect)| {
            format!(
                "  - {{from: {from}, to: {to}, service: {service}, at: {at}, expect: {expect}}}\n"
            )
        });
        format!("invariants:\n{}", lines.collect::<String>())
    })
}

/// Whether an invariant is broken by some flow; and whether it is by one between two ends that are surely not the
/// same host.
fn broken(policy: &Policy, ends: &[(End, Who)], invariant: &Invariant) -> (bool, bool) {
    let host = |end: End| match end {
        End::Address(address) => owner(policy, address).map_or(end, End::Device),
        end => end,
    };
    let meant = |who: &Who, selectors: &[Selector]| {
        selectors.iter().any(|selector| matches(*selector, who))
    };
    let services: Vec<u32> = indices()
        .filter(|index| {
            invariant
                .services
                .iter()
                .any(|service| covers(*service, *index))
        })
        .collect();
    let senders = ends.iter().filter(|(_, who)| {
        let group = who.multicast || who.broadcast || who.directed.is_some();
        !group && meant(who, &invariant.from)
    });
    let (mut any, mut surely) = (false, false);
    for (from, from_is) in senders {
        for (to, to_is) in ends.iter().filter(|(_, who)| meant(who, &invariant.to)) {
            let between: Vec<(usize, &Rule)> = between(policy, from_is, to_is)
                .into_iter()
                .filter(|(_, rule)| rule.origin != Origin::Observe)
                .collect();
            for index in &services {
                let ruling =
                    expected(policy, (from_is, to_is), &between, *index)[invariant.at as usize];
                let kept = match invariant.allow {
                    true => ruling.allows() && !ruling.is_inside(),
                    false => !ruling.allows(),
                };
                any |= !kept;
                surely |= !kept && host(*from) != host(*to);
            }
        }
    }
    (any, surely)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn tables_say_what_the_rules_say(site in site(), rules in rules()) {
        let policy = policy(&site, &rules, DEVICES);
        let generation = compile(&policy, today()).expect("has no invariants").generation;
        let ends: Vec<(End, Who, u16)> = ends(&policy)
            .into_iter()
            .map(|end| (end, who(&policy, end), class(&policy, &generation, end)))
            .collect();
        for (from, from_is, from_class) in &ends {
            for (to, to_is, to_class) in &ends {
                let between = between(&policy, from_is, to_is);
                for index in indices() {
                    let expected = expected(&policy, (from_is, to_is), &between, index);
                    let found = found(&generation, *from_class, *to_class, index);
                    prop_assert_eq!(found, expected, "{:?} to {:?} by {}\n{}\n{}", from, to, index, site, rules);
                }
            }
        }
    }
    #[test]
    fn invariants_are_broken_by_whom_they_say(site in site(), rules in rules(), invariants in invariants()) {
        let policy = policy(&site, &format!("{rules}{invariants}"), DEVICES);
        let said: Vec<Place> = match compile(&policy, today()) {
            Ok(_) => Vec::new(),
            Err(rejected) => rejected.problems.iter().map(|problem| problem.place).collect(),
        };
        let ends: Vec<(End, Who)> = ends(&policy)
            .into_iter()
            .map(|end| (end, who(&policy, end)))
            .chain([(End::Stranger, Who::default())])
            .collect();
        for invariant in &policy.invariants {
            let (any, surely) = broken(&policy, &ends, invariant);
            let said = said.contains(&invariant.place);
            prop_assert!(said || !surely, "not said: {:?}\n{}\n{}", invariant, site, rules);
            prop_assert!(any || !said, "said in vain: {:?}\n{}\n{}", invariant, site, rules);
        }
    }
}
