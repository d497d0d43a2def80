//! Checks of the addresses of devices.

use std::net::IpAddr;

use crate::model::Segment;

/// A hint for text that does not parse as an IP address.
pub(crate) fn hint(word: &str) -> String {
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
    let plain = |text: &str| {
        let parts = text
            .split('.')
            .map(|part| match part.trim_start_matches('0') {
                "" if !part.is_empty() => "0",
                part => part,
            });
        parts.collect::<Vec<_>>().join(".")
    };
    let alone = word.split_once('/').map_or(word, |(address, _)| address);
    if alone != word && is_address(alone) {
        return format!("write the address without its prefix length: `{alone}`");
    }
    // Some programs read `012` as octal ten.
    if is_address(&plain(alone)) {
        return format!(
            "write the address without leading zeros: `{}`",
            plain(alone)
        );
    }
    "separate several addresses by spaces; leave the field empty for any address of the segment"
        .to_owned()
}

/// Why a device of this segment cannot have an address, as the end of a sentence that starts with the address; and a hint.
pub(crate) fn unfit(ip: IpAddr, segment: &Segment) -> Option<(String, String)> {
    let mapped = matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
    if ip.is_multicast() || ip.is_loopback() || ip.is_unspecified() || mapped {
        return Some((
            "cannot be the address of a device".to_owned(),
            "bind a unicast address of the segment".to_owned(),
        ));
    }
    let link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    if link_local {
        return Some((
            "is a link-local address".to_owned(),
            "remove it: link-local addresses need no binding".to_owned(),
        ));
    }
    let Some(subnet) = segment.subnets.iter().find(|subnet| subnet.contains(&ip)) else {
        let subnets: Vec<_> = segment.subnets.iter().map(ToString::to_string).collect();
        return Some((
            format!("is not in segment `{}`", segment.name),
            match subnets.is_empty() {
                true => format!("segment `{}` has no `subnets`", segment.name),
                false => format!("its subnets: {}", subnets.join(", ")),
            },
        ));
    };
    if segment.routers.contains(&ip) {
        return Some((
            format!("is the address of a router of segment `{}`", segment.name),
            "bind the device's own address; `routers` lists routers on the uplink side".to_owned(),
        ));
    }
    let edge = match subnet {
        ipnet::IpNet::V4(net) if net.prefix_len() <= 30 => {
            ip == IpAddr::V4(net.network()) || ip == IpAddr::V4(net.broadcast())
        }
        _ => false,
    };
    edge.then(|| {
        (
            format!("is the network or broadcast address of {subnet}"),
            "bind an address between the two".to_owned(),
        )
    })
}
