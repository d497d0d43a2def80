//! Random policies.

use cordon_policy::{Posture, protocols};
use cordon_verdict::abi::service_index;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

/// Prefixes that contain each other, subnets of segments, and group addresses.
pub const NETWORKS: &[&str] = &[
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

pub const ADDRESSES: &[&str] = &[
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
    "fe00::1",
    "ff02::1",
    "ff05::1",
];

pub const SERVICES: &[&str] = &[
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

/// Indices of the service table on both sides of every boundary of [`SERVICES`].
pub fn indices() -> impl Iterator<Item = u32> {
    let tcp = [0, 53, 88, 99, 100, 104, 105, 110, 111, 11112, 65535]
        .map(|port| service_index(protocols::TCP, port));
    let udp = [0, 50, 53, 60, 61, 67, 68, 88].map(|port| service_index(protocols::UDP, port));
    tcp.into_iter()
        .chain(udp)
        .chain([service_index(protocols::ICMP, 0)])
}

pub const SUBNETS: [&str; 3] = [
    "10.1.1.0/24, '2001:db8:1::/64'",
    "10.1.2.0/26",
    "10.9.0.0/30",
];

pub const DEVICES: &str = "\
one,02:00:00:00:00:01,10.1.1.11 2001:db8:1::11,s0,p
two,02:00:00:00:00:02,,s0,q
three,02:00:00:00:00:03,10.1.2.13,s1,p
four,02:00:00:00:00:04,,s2,
five,02:00:00:00:00:05,,s0,q
";

pub const NAMES: &[&str] = &[
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

/// A `site.yaml` with three segments in three zones, and networks in some of the zones.
pub fn site() -> impl Strategy<Value = String> {
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
                "  s{index}: {{attach: [access0.{v}, access0.9.{v}, core0.{v}], subnets: [{}], isolate: {isolate}, unknown: {unknown}, mode: {mode}}}\n",
                SUBNETS[index],
                v = index + 1,
            );
        }
        text += "zones:\n";
        for zone in 0..3 {
            let members = segments.iter().enumerate().filter(|(_, segment)| segment.3 == zone);
            let members: Vec<String> = members.map(|(index, _)| format!("s{index}")).collect();
            let inside = NETWORKS.iter().zip(&networks).filter(|(_, of)| **of == zone);
            let inside: Vec<String> = inside.map(|(net, _)| format!("'{net}'")).collect();
            let local = !members.is_empty() || zone == 2;
            text += &format!(
                "  z{zone}: {{segments: [{}], networks: [{}], local: {local}}}\n",
                members.join(", "),
                inside.join(", ")
            );
        }
        text + infrastructure
    })
}

pub fn rule()
-> impl Strategy<Value = (Vec<Index>, Vec<Index>, Vec<&'static str>, bool, usize, bool)> {
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

/// A `policy.yaml` with three groups and up to seven rules.
pub fn rules() -> impl Strategy<Value = String> {
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

/// One to five invariants.
pub fn invariants() -> impl Strategy<Value = String> {
    let name = || select(NAMES);
    let from = name().prop_filter("is a sender", |name| *name != "broadcast");
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
