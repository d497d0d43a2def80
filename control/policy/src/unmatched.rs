//! Devices that a group was probably meant to hold, and does not: for a profile that is spelt otherwise, or because they
//! are listed.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::Policy;
use crate::problem::{Code, File, Place, Problems, slip};

/// Pairs of profiles that are compared: whoever has more has a program that writes them, and it does not mistype.
const COMPARED: usize = 1 << 16;
/// Longer profiles are not compared.
const LENGTH: usize = 63;
/// Devices in one network of a group that are looked at.
const LOOKED_AT: usize = 4096;

/// Notes profiles that no group has, but nearly.
pub(crate) fn profiles(policy: &Policy, problems: &mut Problems) {
    let named = policy.groups.iter().flat_map(|group| &group.profiles);
    let named: BTreeSet<&str> = named.map(String::as_str).collect();
    // The first device that has it, and how many have.
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
            .filter_map(|(words, profile)| Some((apart(&own, words)?, *profile)))
            .min();
        let Some((_, meant)) = near else { continue };
        let who = match count {
            1 => "1 device has".to_owned(),
            count => format!("{count} devices have"),
        };
        problems
            .add(
                policy.devices[first].place,
                Code::Warning,
                format!(
                    "no group has the profile `{}`, which {who}",
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

/// How far two profiles are apart, if one could be a slip for the other. Word by word, since `mr-scanner` is none for
/// `ct-scanner`.
fn apart(one: &[String], other: &[String]) -> Option<usize> {
    if one.concat() == other.concat() {
        return Some(0);
    }
    let pairs = one.iter().zip(other);
    (one.len() == other.len())
        .then(|| pairs.map(|(one, other)| word_apart(one, other)).sum())
        .flatten()
}

fn word_apart(one: &str, other: &str) -> Option<usize> {
    fn digits(word: &str) -> impl Iterator<Item = char> {
        word.chars().filter(char::is_ascii_digit)
    }
    // An abbreviation in other letters, or another number, means another thing.
    let code = one.len().min(other.len()) <= 3 || !digits(one).eq(digits(other));
    match one == other {
        true => Some(0),
        false if code => None,
        false => slip(one, other),
    }
}

/// Notes listed devices with an address inside a group's networks, which say nothing of them. Of networks that hold a
/// whole subnet that is said anyway.
pub(crate) fn addresses(policy: &Policy, problems: &mut Problems) {
    let bound: LazyCell<BTreeMap<IpAddr, usize>, _> = LazyCell::new(|| {
        let devices = policy.devices.iter().enumerate();
        devices
            .flat_map(|(index, device)| device.ips.iter().map(move |ip| (*ip, index)))
            .collect()
    });
    // They do not overlap: what a network is inside of can only be the last that starts before it.
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
            let mut within = bound.range(net.network()..=net.broadcast()).take(LOOKED_AT);
            let Some((ip, index)) = within.find(|(_, index)| !has(index)) else {
                continue;
            };
            let (group, device) = (&group.name, &policy.devices[*index].name);
            problems
                .add(
                    Place::top(File::Policy),
                    Code::Warning,
                    format!("{ip}, in the networks of group `{group}`, is device `{device}`, which networks do not match"),
                )
                .hint(format!("name it in the group: `devices: [{device}]`"));
        }
    }
}
