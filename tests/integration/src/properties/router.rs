//! The core router: it sends what leaves by an uplink back, to the segment to which the destination belongs.

use std::net::IpAddr;

use super::continuity::addresses;
use super::host::{Host, ROUTER};
use super::site::Site;
use crate::generate::edit;
use crate::generate::frame::BROADCAST;
use crate::generate::offsets::network;

/// The frame that the router sends to another segment, with its ingress port and that segment; none if it does not route
/// this frame.
pub fn route(
    site: &Site,
    hosts: &[Host],
    from: usize,
    left: &[u8],
) -> Option<(u16, Vec<u8>, usize)> {
    if left.get(..6)? != ROUTER.0 {
        return None;
    }
    let (source, to) = addresses(left)?;
    if is_link_local(source) || is_link_local(to) {
        return None;
    }
    let host = hosts
        .iter()
        .find(|host| host.ips.contains(&to) && !host.remote);
    let segment = match host {
        Some(host) => host.segment,
        None => site
            .policy
            .segments
            .iter()
            .position(|one| one.subnets.iter().any(|net| net.contains(&to)))?,
    };
    if segment == from {
        return None;
    }
    let at = *site.attachments(segment, true).first()?;
    let mut frame = edit::with_tags(left, &site.tags(at));
    frame[..6].copy_from_slice(&host.map_or(BROADCAST, |host| host.mac).0);
    frame[6..12].copy_from_slice(&ROUTER.0);
    let ip = network(&frame)?;
    let hops = match frame.get(ip)? >> 4 {
        4 => ip + 8,
        _ => ip + 7,
    };
    *frame.get_mut(hops)? = frame.get(hops)?.checked_sub(1).filter(|hops| *hops > 0)?;
    Some((at.port as u16, frame, segment))
}

/// Routers do not forward link-local addresses (RFC 4291 §2.5.6, RFC 3927 §7).
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}
