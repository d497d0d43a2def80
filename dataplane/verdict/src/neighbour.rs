//! ARP (RFC 826) and IPv6 neighbour discovery (RFC 4861): a host may claim its own addresses only.

use crate::abi::{Admission, CONTAIN, Control, RULE_ARP, RULE_ND, Ruling, SEVER, fdb_key};
use crate::address::{Ip, MAC_GROUP, Mac};
use crate::admit::Ingress;
use crate::authorise::Denied;
use crate::canonical::PADDING;
use crate::frame::Frame;
use crate::identify;
use crate::packet::{Link, Packet};
use crate::reason::Reason;
use crate::tables::Tables;

/// Bytes of an ARP packet for IPv4 over Ethernet.
const ARP: usize = 28;

const ROUTER_SOLICITATION: u8 = 133;
pub const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

const BROADCAST: Mac = 0xffff_ffff_ffff;

/// `ff02::1` and `ff02::2` (RFC 4291 §2.7.1).
const ALL_NODES: Ip = Ip {
    hi: 0xff02 << 48,
    lo: 1,
};
const ALL_ROUTERS: Ip = Ip {
    hi: 0xff02 << 48,
    lo: 2,
};

/// The addresses in an ARP packet.
#[derive(Clone, Copy)]
pub struct Claim {
    /// The sender's.
    pub sender: Ip,
    /// The target's.
    pub target: Ip,
    /// The address that the sender claims: its own, or in a probe (RFC 5227) the target address.
    pub claimed: Ip,
}

/// The addresses of an Ethernet/IPv4 ARP request or reply whose sender is the frame's source.
#[inline(always)]
pub fn arp_claim<F: Frame>(frame: &F, link: &Link) -> Result<Claim, Reason> {
    let at = link.network;
    let types = frame.u64(at).ok_or(Reason::Truncated)?;
    let sender_mac_hi = frame.u16(at + 8).ok_or(Reason::Truncated)?;
    let sender_mac_lo = frame.u32(at + 10).ok_or(Reason::Truncated)?;
    let sender = frame.u32(at + 14).ok_or(Reason::Truncated)?;
    let target_mac_hi = frame.u16(at + 18).ok_or(Reason::Truncated)?;
    let target_mac_lo = frame.u32(at + 20).ok_or(Reason::Truncated)?;
    let target = frame.u32(at + 24).ok_or(Reason::Truncated)?;
    let operation = types as u16;
    let well_formed = types >> 16 == 0x0001_0800_0604 && (operation == 1 || operation == 2);
    let sender_mac = (sender_mac_hi as u64) << 32 | sender_mac_lo as u64;
    let target_mac = (target_mac_hi as u64) << 32 | target_mac_lo as u64;
    // Of a request it is ignored, and rewritten: see `canonical`.
    let misdirected =
        operation == 2 && link.destination & MAC_GROUP == 0 && target_mac != link.destination;
    let claimed = Ip::v4(if sender == 0 { target } else { sender });
    if !well_formed
        || sender_mac != link.source
        || claimed.is_group()
        || claimed.is_loopback()
        || (operation == 2 && sender == 0)
        || misdirected
        || frame.len() > at + ARP + PADDING
    {
        return Err(Reason::Arp);
    }
    Ok(Claim {
        sender: Ip::v4(sender),
        target: Ip::v4(target),
        claimed,
    })
}

/// Judges an ARP packet: the claimed address must be the sender's by its binding. Passes at every posture but sever; from
/// contain on across the boundary only where [`crossing`] says so.
#[inline(always)]
pub fn arp<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    claim: &Claim,
) -> Result<Ruling, Denied> {
    identify::sender(tables, ingress, link, claim.claimed)?;
    // A group MAC address other than broadcast would be the sender's choice.
    let proper = link.destination & MAC_GROUP == 0 || link.destination == BROADCAST;
    let may_cross =
        proper && !claim.sender.is_unspecified() && resolves(tables, ingress, link, claim.target);
    crossing(tables, ingress, link, RULE_ARP, may_cross)
}

/// Judges neighbour and router discovery (RFC 4861). The source was identified already.
#[inline(always)]
pub fn discovery<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
) -> Result<Ruling, Denied> {
    let (at, length) = (packet.message.at as usize, packet.message.length as usize);
    let destination = packet.destination;
    if destination.is_group() != (link.destination & MAC_GROUP != 0) {
        return Err(Reason::GroupMismatch.into());
    }
    // A hop limit of 255 proves that it was not routed here (RFC 4861 §7.1).
    let hops = frame.u8(link.network + 7).ok_or(Reason::Truncated)?;
    // RFC 2464 §7.
    let group_mac = 0x3333 << 32 | destination.lo & 0xffff_ffff;
    let exact = at == link.network + 40
        && frame.len() <= at + length + PADDING
        && (!destination.is_group() || link.destination == group_mac);
    if hops != 255 || !exact {
        return Err(Reason::NeighbourDiscovery.into());
    }
    let uplink = ingress.admission.is(Admission::UPLINK);
    let message = frame.u8(at).ok_or(Reason::Truncated)?;
    match message {
        ROUTER_SOLICITATION if length == 8 || length == 16 => {
            if length == 16 {
                own_link_address(frame, link, at + 8, 1)?;
            }
        }
        ROUTER_ADVERTISEMENT if !uplink => return Err(Reason::RaGuard.into()),
        ROUTER_ADVERTISEMENT => {}
        NEIGHBOUR_SOLICITATION if length == 24 => {}
        // A sender without an address sends the nonce of RFC 7527 instead of its link-layer address.
        NEIGHBOUR_SOLICITATION if length == 32 && packet.source.is_unspecified() => {
            if frame.u16(at + 24).ok_or(Reason::Truncated)? != 0x0e01 {
                return Err(Reason::NeighbourDiscovery.into());
            }
        }
        NEIGHBOUR_SOLICITATION if length == 32 => own_link_address(frame, link, at + 24, 1)?,
        NEIGHBOUR_ADVERTISEMENT if length == 24 => {}
        NEIGHBOUR_ADVERTISEMENT if length == 32 => own_link_address(frame, link, at + 24, 2)?,
        _ => return Err(Reason::NeighbourDiscovery.into()),
    }
    let may_cross = match message {
        NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT => {
            let target = Ip {
                hi: frame.u64(at + 8).ok_or(Reason::Truncated)?,
                lo: frame.u64(at + 16).ok_or(Reason::Truncated)?,
            };
            neighbour(tables, ingress, link, packet, message, target)?
        }
        _ => {
            let all = match message {
                ROUTER_SOLICITATION => ALL_ROUTERS,
                _ => ALL_NODES,
            };
            if destination != all && !destination.is_v6_link_local() {
                return Err(Reason::NeighbourDiscovery.into());
            }
            true
        }
    };
    crossing(tables, ingress, link, RULE_ND, may_cross)
}

/// Checks the addresses of a neighbour solicitation or advertisement. Returns whether it may cross the boundary from
/// contain on: if it resolves an address that may be beyond it, or claims one to a router.
#[inline(always)]
fn neighbour<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    message: u8,
    target: Ip,
) -> Result<bool, Reason> {
    let destination = packet.destination;
    let malformed = target.is_group() || target.is_v4() || target.is_unspecified();
    if malformed || !identify::is_on_link(tables, ingress, target) {
        return Err(Reason::NeighbourDiscovery);
    }
    let is_solicitation = message == NEIGHBOUR_SOLICITATION;
    let is_probe = is_solicitation && packet.source.is_unspecified();
    let proper = if is_solicitation {
        // RFC 4291 §2.7.1, RFC 4861 §7.1.1, §7.2.2.
        let solicited_node = Ip {
            hi: 0xff02 << 48,
            lo: 0x1_ff00_0000 | target.lo & 0xff_ffff,
        };
        destination == solicited_node || (destination == target && !is_probe)
    } else {
        destination == ALL_NODES
            || (!destination.is_group() && identify::is_on_link(tables, ingress, destination))
    };
    if !proper {
        return Err(Reason::NeighbourDiscovery);
    }
    // Of source and target at most one may be the sender's choice.
    let bound_source = identify::is_local_device(tables, ingress, packet.source);
    if is_solicitation && !is_probe {
        let fixed = bound_source || identify::is_router(tables, ingress, target);
        return Ok(fixed && resolves(tables, ingress, link, target));
    }
    // An advertisement claims its target; so does a solicitation from `::` (duplicate address detection, RFC 4862
    // §5.4).
    identify::sender(tables, ingress, link, target).map_err(|_| Reason::NeighbourDiscovery)?;
    if is_probe {
        return Ok(false);
    }
    let to_local = identify::is_local_device(tables, ingress, destination);
    let bound = identify::is_local_device(tables, ingress, target);
    let fixed = bound || bound_source || packet.source == target;
    Ok(fixed && !to_local && (bound || identify::is_router(tables, ingress, destination)))
}

/// Whether a question about `target` may have its answer beyond the boundary: the address is on-link, and bound to no other
/// device of the segment.
#[inline(always)]
fn resolves<T: Tables>(tables: &T, ingress: &Ingress, link: &Link, target: Ip) -> bool {
    identify::is_on_link(tables, ingress, target)
        && !identify::is_other_device(tables, ingress, link, target)
}

/// Passes at every posture but sever. From contain on, what a device-facing port sends stays inside, unless `may_cross`
/// holds, the destination MAC address is a group's or was seen behind an uplink, and the sender is a listed device that has sent
/// no other across in the last [`RESOLVE_TICKS`](crate::abi::Limit::RESOLVE_TICKS) ticks: the addresses in ARP and neighbour discovery must not carry more
/// data out of the site than resolving them takes.
#[inline(always)]
fn crossing<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    rule: u32,
    may_cross: bool,
) -> Result<Ruling, Denied> {
    let control = ingress.control;
    let ruling = allow_unless_severed(control, rule)?;
    if control.posture < CONTAIN || ingress.admission.is(Admission::UPLINK) {
        return Ok(ruling);
    }
    let host = fdb_key(ingress.admission.segment, link.source);
    let inside = Ruling::allow_inside(rule);
    let reaches =
        link.destination & MAC_GROUP != 0 || identify::is_seen_via_uplink(tables, ingress, link);
    if !may_cross || !reaches || tables.device(control.slot, host).is_none() {
        return Ok(inside);
    }
    let now = tables.now();
    if let Some(limit) = tables.limit(host) {
        if limit.resolved_lately(now) {
            return Ok(inside);
        }
        limit.resolve(now);
    }
    Ok(ruling)
}

/// The one option must be a link-layer address option of this type, with the frame's source MAC address.
#[inline(always)]
fn own_link_address<F: Frame>(frame: &F, link: &Link, at: usize, kind: u64) -> Result<(), Reason> {
    let option = frame.u64(at).ok_or(Reason::Truncated)?;
    match option == kind << 56 | 1 << 48 | link.source {
        true => Ok(()),
        false => Err(Reason::NeighbourDiscovery),
    }
}

/// Passes by a built-in rule at every posture but sever.
#[inline(always)]
pub fn allow_unless_severed(control: Control, rule: u32) -> Result<Ruling, Denied> {
    if control.posture >= SEVER {
        Err(Denied {
            reason: Reason::Posture,
            rule,
        })
    } else {
        Ok(Ruling::allow(rule))
    }
}
