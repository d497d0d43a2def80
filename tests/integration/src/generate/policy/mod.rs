//! Generates the text of random policies. All of them are valid: the tests of `cordon-policy` cover invalid ones.

use std::collections::HashSet;

use cordon_policy::Sources;

use super::{Rng, one, percent};

/// Appends a line to a string, which cannot fail.
macro_rules! put {
    ($to:expr, $($what:tt)+) => { writeln!($to, $($what)+).expect("writing to a string succeeds") };
}

mod rules;
mod site;

/// Subnets for segments, with hosts that devices can be bound to. They do not overlap.
const SUBNETS: &[(&str, &[&str])] = &[
    (
        "10.1.0.0/29",
        &["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"],
    ),
    ("10.2.0.0/29", &["10.2.0.1", "10.2.0.2", "10.2.0.5"]),
    ("10.3.0.0/30", &["10.3.0.1", "10.3.0.2"]),
    ("10.4.0.0/31", &["10.4.0.0", "10.4.0.1"]),
    ("10.5.0.1/32", &["10.5.0.1"]),
    ("10.6.0.0/24", &["10.6.0.1", "10.6.0.2"]),
    (
        "2001:db8:1::/64",
        &["2001:db8:1::1", "2001:db8:1::2", "2001:db8:1::3"],
    ),
    ("2001:db8:2::/125", &["2001:db8:2::1", "2001:db8:2::2"]),
    ("2001:db8:3::1/128", &["2001:db8:3::1"]),
];

/// Networks for zones and groups: nested in each other and in the segments' subnets, equal to a subnet, wider than all;
/// multicast, wider than multicast, broadcast; all of IPv6, and IPv4-mapped and IPv4-compatible addresses.
const NETWORKS: &[&str] = &[
    "0.0.0.0/0",
    "::/0",
    "0.0.0.0/1",
    "8000::/1",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.0.0/29",
    "10.1.0.4/30",
    "10.1.0.7/32",
    "10.2.0.0/28",
    "10.3.0.0/31",
    "10.9.0.0/24",
    "10.9.0.0/28",
    "10.9.0.4/30",
    "10.9.0.5/32",
    "192.0.2.0/24",
    "2001:db8::/32",
    "2001:db8:1::/126",
    "2001:db8:9::/48",
    "2001:db8:9::4/126",
    "fe80::/10",
    "fe80::/9",
    "fe80::1/128",
    "169.254.0.0/16",
    "169.254.0.0/30",
    "169.254.0.2/32",
    "168.0.0.0/5",
    "224.0.0.0/3",
    "224.0.0.0/4",
    "239.1.0.0/16",
    "239.1.1.1/32",
    "255.255.255.255/32",
    "ff00::/8",
    "fe00::/7",
    "ff02::/16",
    "ff05::5/128",
    "::ffff:0:0/96",
    "::/80",
];

const POSTURES: [&str; 5] = ["normal", "watch", "contain", "isolate", "lockdown"];

/// The text of a random policy directory. Port `i` is the network interface `p<i>`. With `storms`, some ports have low
/// storm limits.
pub fn sources(rng: &mut Rng, storms: bool) -> Sources {
    let mut text = Text {
        rng,
        storms,
        uplinks: Vec::new(),
        segments: Vec::new(),
        facing: Vec::new(),
        proxied: Vec::new(),
        routers: HashSet::new(),
        zones: 0,
        groups: 0,
        devices: 0,
    };
    let site = text.site();
    let devices = text.devices();
    let policy = text.policy();
    Sources {
        site,
        policy: Some(policy),
        devices: Some(devices),
    }
}

struct Text<'a> {
    rng: &'a mut Rng,
    storms: bool,
    /// By port: whether it is an uplink.
    uplinks: Vec<bool>,
    /// By segment: its subnets, as indices into [`SUBNETS`].
    segments: Vec<Vec<usize>>,
    /// By segment: the ports and attachments that its devices can be bound to.
    facing: Vec<Vec<String>>,
    /// The segments with a proxy.
    proxied: Vec<usize>,
    /// Addresses of routers, which devices cannot be bound to.
    routers: HashSet<&'static str>,
    zones: usize,
    groups: usize,
    devices: usize,
}

impl Text<'_> {
    fn chance(&mut self, share: u8) -> bool {
        percent(self.rng, share)
    }

    /// Up to `most` different elements, in random order.
    fn some<'t>(&mut self, most: usize, of: &[&'t str]) -> Vec<&'t str> {
        let mut all = of.to_vec();
        self.rng.shuffle(&mut all);
        all.truncate(self.rng.usize(1..=most));
        all
    }

    /// `survives`, with the fields that the continuity list requires.
    fn terms(&mut self) -> String {
        if self.chance(45) {
            return String::new();
        }
        let survives = match self.chance(25) {
            true => "lockdown",
            false => one(self.rng, &POSTURES),
        };
        format!(", survives: {survives}, owner: radiology, reason: care")
    }
}
