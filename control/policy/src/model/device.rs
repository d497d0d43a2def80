//! Devices and groups.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::Binding;
use crate::problem::SourcePosition;

/// A MAC address, in network byte order.
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

/// A MAC address in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its MAC address.
    pub mac: Mac,
    /// The addresses bound to it; empty: it may use any address of its segment that is not bound to another device.
    pub ips: Vec<IpAddr>,
    /// Index of its segment.
    pub segment: usize,
    /// Where it must be attached; none: at any attachment of its segment.
    pub binding: Option<Binding>,
    /// Its profile.
    pub profile: Option<String>,
    /// The clinical function that it serves.
    pub function: Option<String>,
    /// How critical it is for care.
    pub criticality: Option<String>,
    /// Where it is written.
    pub position: SourcePosition,
}

/// Devices and networks under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Devices with these profiles are members.
    pub profiles: Vec<String>,
    /// Indices of further devices that are members.
    pub devices: Vec<usize>,
    /// Addresses in these networks are members, unless they are bound to a device. Multicast networks match
    /// destinations only.
    pub networks: Vec<IpNet>,
}
