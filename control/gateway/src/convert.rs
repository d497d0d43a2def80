//! Conversions between the data plane's numbers, the standard library's types and the texts of the API.

use std::net::IpAddr;

use cordon_policy::protocols;
use cordon_protocol::{Endpoint, Problem};
use cordon_verdict::abi::{location_inner, location_outer, location_port};
use cordon_verdict::{Ip, Mac};

/// An endpoint of a flow or packet, without a device name.
pub fn unnamed_endpoint(ip: Ip, port: u16, protocol: u8) -> Endpoint {
    Endpoint {
        device: None,
        ip: ip_address(ip).to_string(),
        port: if is_icmp(protocol) { 0 } else { port },
    }
}

/// An L2 location by the number of its port, as `port-1.210` or `port-1.100.210`: for ports that no policy names.
pub fn location_text(location: u32) -> String {
    let port = location_port(location);
    match (location_outer(location), location_inner(location)) {
        (vlan, 0) => format!("port-{port}.{vlan}"),
        (outer, inner) => format!("port-{port}.{outer}.{inner}"),
    }
}

/// The name of an IP protocol; `ip-N` if it has none.
pub fn protocol_name(number: u8) -> String {
    protocols::name(number).map_or_else(|| format!("ip-{number}"), str::to_owned)
}

fn is_icmp(protocol: u8) -> bool {
    protocol == protocols::ICMP || protocol == protocols::ICMPV6
}

/// An address of the tables as the standard library's type.
pub fn ip_address(ip: Ip) -> IpAddr {
    if ip.is_v4() {
        IpAddr::from(ip.low32().to_be_bytes())
    } else {
        let value = u128::from(ip.hi) << 64 | u128::from(ip.lo);
        IpAddr::from(value.to_be_bytes())
    }
}

/// An address as the tables store it.
pub fn table_ip(address: IpAddr) -> Ip {
    match address {
        IpAddr::V4(address) => Ip::v4(address.into()),
        IpAddr::V6(address) => {
            let value = address.to_bits();
            Ip {
                hi: (value >> 64) as u64,
                lo: value as u64,
            }
        }
    }
}

/// A MAC address as a number, first octet highest.
pub fn mac_from_bytes(mac: [u8; 6]) -> Mac {
    mac.iter()
        .fold(0, |number, byte| number << 8 | Mac::from(*byte))
}

/// The octets of a MAC address, in wire order.
pub fn mac_bytes(mac: Mac) -> [u8; 6] {
    let [_, _, bytes @ ..] = mac.to_be_bytes();
    bytes
}

/// A MAC address as text, as `02:00:5e:21:00:11`.
pub fn mac_text(mac: Mac) -> String {
    cordon_policy::Mac(mac_bytes(mac)).to_string()
}

/// A problem of a policy, as the API reports it.
pub fn problem(problem: &cordon_policy::Problem) -> Problem {
    Problem {
        file: problem.position.file.name().to_owned(),
        line: problem.position.line,
        column: problem.position.column,
        code: problem.code.name().to_owned(),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    }
}
