//! The devices, servers and flows of the benchmark.
//!
//! The arithmetic is the same as in `../programs/src/generate.rs`, which writes the frames.

use std::fmt;
use std::net::Ipv4Addr;

/// The numbers of established flows: one fits the processor's cache, the other does not.
pub const FLOWS: [u32; 2] = [1_000, 60_000];
/// The number of new flows: three quarters of the default size of nftables' connection table.
pub const NEW_FLOWS: u32 = 200_000;
/// The numbers of devices.
pub const DEVICES: [u32; 2] = [10, 100_000];
/// The approximate numbers of rules for Cordon, all of them different.
pub const RULES: [u32; 2] = [10, 100_000];

/// The router at the uplink. A routing gateway has this address itself.
pub const ROUTER_MAC: Mac = Mac(0x02c0_ff00_0001);
/// The next hop of a routing gateway, on either side.
pub const SERVER_MAC: Mac = Mac(0x02c0_ff00_0002);
const DEVICE_MAC: u64 = 0x02c0_0000_0000;

const FIRST_ADDRESS: u32 = 0x0a40_0010;
const FIRST_SERVER: u32 = 0x0ac8_000a;
const FIRST_VLAN: u32 = 100;
const FIRST_PORT: u16 = 24100;

/// A kind of device.
pub struct Kind {
    /// Profile in the inventory, and group in the policy.
    pub profile: &'static str,
    /// Service in the policy.
    pub service: &'static str,
}

/// The kinds of a usual site. Device `n` has kind `n % 8`.
pub const KINDS: [Kind; 8] = [
    kind("patient-monitor", "monitor-vitals"),
    kind("infusion-pump", "pump-status"),
    kind("ventilator", "ventilator-waves"),
    kind("ecg-cart", "ecg-strips"),
    kind("ultrasound", "ultrasound-status"),
    kind("analyser", "analyser-results"),
    kind("nurse-call", "nurse-call-events"),
    kind("asset-tag", "tag-positions"),
];

const fn kind(profile: &'static str, service: &'static str) -> Kind {
    Kind { profile, service }
}

impl Kind {
    /// The UDP port of the first service of kind number `number`.
    pub fn port(number: u32) -> u16 {
        Kind::port_of(number, 0)
    }

    /// The UDP port of a service of kind number `number`; every eighth kind has the same ports.
    pub fn port_of(number: u32, service: u32) -> u16 {
        FIRST_PORT + (number & 7) as u16 + (service << 3) as u16
    }

    /// The server of kind number `number`.
    pub fn server(number: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(FIRST_SERVER + ((number & 255) << 8) + (number >> 8))
    }
}

/// The site for which a gateway is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// A number of devices of eight kinds, each kind with one service and a few other rules.
    Devices(u32),
    /// A number of rules or slightly more, one for each service of each kind, for 1,024 devices.
    Rules(u32),
    /// Ten devices without VLANs, for real hosts.
    Hosts,
}

impl Site {
    /// Rules other than those of kinds and services: NTP and DNS.
    const INFRASTRUCTURE: u32 = 2;

    /// The number of devices.
    pub fn devices(self) -> u32 {
        match self {
            Site::Devices(devices) => devices,
            Site::Rules(_) => 1024,
            Site::Hosts => 10,
        }
    }

    /// The number of kinds, a power of two.
    pub fn kinds(self) -> u32 {
        match self {
            Site::Rules(1024..) => 1024,
            _ => 8,
        }
    }

    /// The number of services of a kind.
    pub fn services(self) -> u32 {
        match self {
            Site::Rules(rules) => rules
                .saturating_sub(Site::INFRASTRUCTURE)
                .div_ceil(self.kinds())
                .max(1),
            _ => 1,
        }
    }

    /// Its name in records.
    pub fn name(self) -> String {
        match self {
            Site::Devices(devices) => devices.to_string(),
            Site::Rules(rules) => format!("rules.{rules}"),
            Site::Hosts => "hosts".to_owned(),
        }
    }

    /// The kind of a device.
    pub fn kind(self, device: Device) -> u32 {
        device.0 & (self.kinds() - 1)
    }
}

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub u64);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, _, a, b, c, d, e, g] = self.0.to_be_bytes();
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A device by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device(pub u32);

impl Device {
    /// The first `count` devices.
    pub fn all(count: u32) -> impl Iterator<Item = Device> {
        (0..count).map(Device)
    }

    /// Its MAC address.
    pub fn mac(self) -> Mac {
        Mac(DEVICE_MAC + u64::from(self.0))
    }

    /// Its IP address.
    pub fn ip(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(FIRST_ADDRESS + (self.segment().0 << 11) + (self.0 & 1023))
    }

    /// Its segment.
    pub fn segment(self) -> Segment {
        Segment(self.0 >> 10)
    }
}

/// A segment of 1,024 devices by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment(pub u32);

impl Segment {
    /// The segments of a number of devices.
    pub fn all(devices: u32) -> impl Iterator<Item = Segment> {
        (0..devices.div_ceil(1024)).map(Segment)
    }

    /// Its VLAN.
    pub fn vlan(self) -> u32 {
        FIRST_VLAN + self.0
    }

    /// The address of its /21 network.
    pub fn network(self) -> Ipv4Addr {
        Ipv4Addr::from_bits((FIRST_ADDRESS & !0x7ff) + (self.0 << 11))
    }
}

/// A number as in the names of records, for example "1k".
pub fn short(count: u32) -> String {
    match count {
        0..1000 => count.to_string(),
        _ => format!("{}k", count / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_unique_addresses_within_their_segment() {
        let mut ips = std::collections::HashSet::new();
        for device in Device::all(DEVICES[1]) {
            assert!(ips.insert(device.ip()), "{device:?}");
            assert_eq!(
                device.ip().to_bits() & !0x7ff,
                device.segment().network().to_bits()
            );
            assert!(device.segment().vlan() < 4095);
        }
    }

    #[test]
    fn the_last_devices_addresses_match_the_generator() {
        let last = Device(99_999);
        assert_eq!(last.mac().to_string(), "02:c0:00:01:86:9f");
        assert_eq!(last.ip().to_string(), "10.67.10.175");
        assert_eq!(last.segment().vlan(), 197);
        let kind = Site::Devices(100_000).kind(last);
        assert_eq!(Kind::server(kind).to_string(), "10.200.7.10");
        assert_eq!(Kind::port(kind), 24107);
    }

    #[test]
    fn all_rules_are_different() {
        let [few, many] = RULES.map(Site::Rules);
        assert_eq!((few.kinds(), few.services()), (8, 1));
        let mut rules = std::collections::HashSet::new();
        for kind in 0..many.kinds() {
            for service in 0..many.services() {
                assert!(rules.insert((Kind::server(kind), Kind::port_of(kind, service))));
            }
        }
        assert!(rules.len() + 2 >= RULES[1] as usize);
        assert_eq!(Kind::server(1023).to_string(), "10.200.255.13");
    }
}
