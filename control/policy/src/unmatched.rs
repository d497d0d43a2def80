//! Warnings about devices that a group probably should contain but does not: because a profile is misspelt, or because
//! networks do not match listed devices.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::Policy;
use crate::problem::{Code, File, Problems, SourcePosition, typo_distance};

/// Limit of pairs of profiles that are compared. Larger inventories are exported by programs, which do not mistype.
const COMPARED: usize = 1 << 16;
/// Longer profiles are not compared.
const LENGTH: usize = 63;
/// Limit of devices that are looked at in one network of a group.
const MAX_DEVICES: usize = 4096;

/// Warns of profiles of devices that no group has, but whose spelling is close to one of a group.
pub(crate) fn profiles(policy: &Policy, problems: &mut Problems) {
    let named = policy.groups.iter().flat_map(|group| &group.profiles);
    let named: BTreeSet<&str> = named.map(String::as_str).collect();
    // By profile: the first device with it, and the number of devices.
    let mut others: HashMap<&str, (usize, usize)> = HashMap::new();
    for (index, device) in policy.devices.iter().enumerate() {
        if let Some(profile) = device.profile.as_deref()
            && profile.len() <= LENGTH
            && !named.contains(profile)
        {
            others.entry(profile).or_insert((index, 0)).1 += 1;
        }
    }
    let mut others: Vec<_> = others.into_iter().collect();
    others.sort_unstable_by_key(|(_, (first, _))| *first);
    let known: Vec<_> = named
        .into_iter()
        .filter(|profile| profile.len() <= LENGTH)
        .map(|profile| (words(profile), profile))
        .collect();
    let most = COMPARED / known.len().max(1);
    for (profile, (first, count)) in others.into_iter().take(most) {
        let own = words(profile);
        let near = known
            .iter()
            .filter_map(|(words, profile)| Some((distance(&own, words)?, *profile)))
            .min();
        let Some((_, meant)) = near else { continue };
        let devices = match count {
            1 => "1 device has".to_owned(),
            count => format!("{count} devices have"),
        };
        problems
            .add(
                policy.devices[first].position,
                Code::Warning,
                format!(
                    "no group has the profile `{}`, which {devices}",
                    profile.escape_debug()
                ),
            )
            .hint(format!("did you mean `{}`?", meant.escape_debug()));
    }
}

fn words(profile: &str) -> Vec<String> {
    let lower = profile.to_lowercase();
    let words = lower.split([' ', '-', '_', '.']);
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The edit distance of two profiles, if one could be a typing error of the other. Words are compared one by one, so that
/// `mr-scanner` is not close to `ct-scanner`.
fn distance(one: &[String], other: &[String]) -> Option<usize> {
    if one.concat() == other.concat() {
        return Some(0);
    }
    let pairs = one.iter().zip(other);
    (one.len() == other.len())
        .then(|| pairs.map(|(one, other)| word_distance(one, other)).sum())
        .flatten()
}

fn word_distance(one: &str, other: &str) -> Option<usize> {
    fn digits(word: &str) -> impl Iterator<Item = char> {
        word.chars().filter(char::is_ascii_digit)
    }
    // Abbreviations and numbers have to be equal: `ct` and `mr`, `pump1` and `pump2` are different things.
    let code = one.len().min(other.len()) <= 3 || !digits(one).eq(digits(other));
    match one == other {
        true => Some(0),
        false if code => None,
        false => typo_distance(one, other),
    }
}

/// Warns of listed devices with an address inside a group's networks, which do not match listed devices. Networks that
/// contain a whole subnet have a warning of their own.
pub(crate) fn addresses(policy: &Policy, problems: &mut Problems) {
    let bound: LazyCell<BTreeMap<IpAddr, usize>, _> = LazyCell::new(|| {
        let devices = policy.devices.iter().enumerate();
        devices
            .flat_map(|(index, device)| device.ips.iter().map(move |ip| (*ip, index)))
            .collect()
    });
    // Subnets do not overlap: the only one that can contain a network is the last that starts at or before it.
    let subnets = policy.segments.iter().flat_map(|segment| &segment.subnets);
    let subnets: BTreeMap<IpAddr, &IpNet> = subnets.map(|net| (net.network(), net)).collect();
    let inside = |net: &&IpNet| {
        let last = subnets.range(..=net.network()).next_back();
        last.is_some_and(|(_, subnet)| subnet.contains(*net) && *subnet != *net)
    };
    for group in &policy.groups {
        let mut networks = group.networks.iter().filter(inside).peekable();
        if networks.peek().is_none() {
            continue;
        }
        let named: HashSet<usize> = group.devices.iter().copied().collect();
        let profiles: HashSet<&String> = group.profiles.iter().collect();
        let has = |index: &usize| {
            let profile = policy.devices[*index].profile.as_ref();
            named.contains(index) || profile.is_some_and(|profile| profiles.contains(profile))
        };
        for net in networks {
            let mut within = bound
                .range(net.network()..=net.broadcast())
                .take(MAX_DEVICES);
            let Some((ip, index)) = within.find(|(_, index)| !has(index)) else {
                continue;
            };
            let (group, device) = (&group.name, &policy.devices[*index].name);
            problems
                .add(
                    SourcePosition::start_of(File::Policy),
                    Code::Warning,
                    format!("{ip} is in the networks of group `{group}`, but it is bound to device `{device}`, and networks do not match listed devices"),
                )
                .hint(format!("add the device to the group: `devices: [{device}]`"));
        }
    }
}
