//! What is wrong with an address that is to be a device's, and what to do.

use std::net::IpAddr;

use crate::model::Segment;

/// What to do about what is no address.
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
        return format!("an address is written without its prefix: `{alone}`");
    }
    // Some read `012` as ten.
    if is_address(&plain(alone)) {
        return format!(
            "a part of an address has no zeros in front: `{}`",
            plain(alone)
        );
    }
    "several addresses are separated by spaces; a device without any may use all of its segment's"
        .to_owned()
}

/// Why an address cannot be a device's in this segment, and what to do.
pub(crate) fn unfit(ip: IpAddr, segment: &Segment) -> Option<(String, String)> {
    let mapped = matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
    if ip.is_multicast() || ip.is_loopback() || ip.is_unspecified() || mapped {
        return Some((
            "is no device's address".to_owned(),
            "a device has a unicast address of its segment".to_owned(),
        ));
    }
    let link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    if link_local {
        return Some((
            "is a link-local address".to_owned(),
            "link-local addresses need no binding: every device may use its own".to_owned(),
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
            format!("is a router's of segment `{}`", segment.name),
            "a device has an address of its own; `routers` are behind the uplink".to_owned(),
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
