//! Services: IP protocols and ports.

use std::fmt;
use std::time::Duration;

use crate::protocols;

/// A protocol and a range of its destination ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Every protocol that the gateway tracks.
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
        let name = |protocol| protocols::name(protocol).unwrap_or("ip");
        match (self, self.ports()) {
            (_, Some((protocol, first, last))) if first == last => {
                write!(f, "{}/{first}", name(protocol))
            }
            (_, Some((protocol, first, last))) => write!(f, "{}/{first}-{last}", name(protocol)),
            (Service::Any, None) => f.write_str("any"),
            (_, None) => f.write_str(name(protocols::ICMP)),
        }
    }
}

impl Service {
    /// The protocol number and the first and last port, of a service with ports.
    pub const fn ports(self) -> Option<(u8, u16, u16)> {
        match self {
            Service::Tcp(first, last) => Some((protocols::TCP, first, last)),
            Service::Udp(first, last) => Some((protocols::UDP, first, last)),
            Service::Sctp(first, last) => Some((protocols::SCTP, first, last)),
            Service::Any | Service::IcmpEcho => None,
        }
    }

    /// Whether a flow with this protocol number and destination port is of this service.
    pub const fn matches(self, protocol: u8, port: u16) -> bool {
        match (self, self.ports()) {
            (_, Some((of, first, last))) => of == protocol && first <= port && port <= last,
            (Service::IcmpEcho, None) => matches!(protocol, protocols::ICMP | protocols::ICMPV6),
            (_, None) => true,
        }
    }
}

/// Protocols and ports under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedService {
    /// The name.
    pub name: String,
    /// Its protocols and ports.
    pub entries: Vec<Service>,
    /// Idle timeout of its flows; none: the default of the protocol.
    pub idle: Option<Duration>,
}
