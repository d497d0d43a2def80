//! ARP (RFC 826) and IPv6 neighbour discovery (RFC 4861): a host may claim its own addresses only.

use crate::abi::{Admission, Control, RULE_ARP, RULE_ND, Ruling, SEVER};
use crate::address::{Ip, MAC_GROUP};
use crate::admit::Ingress;
use crate::authorise::Denied;
use crate::frame::Frame;
use crate::identify;
use crate::packet::{Link, Packet};
use crate::reason::Reason;
use crate::tables::Tables;

/// Bytes of an ARP packet with padding; more than the minimum frame needs, where tags were removed on the way.
const LONGEST_ARP: usize = 54;

/// The addresses in an ARP packet.
#[derive(Clone, Copy)]
pub struct Claim {
    /// The sender's.
    pub sender: Ip,
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
    let target = frame.u32(at + 24).ok_or(Reason::Truncated)?;
    let operation = types as u16;
    let well_formed = types >> 16 == 0x0001_0800_0604 && (operation == 1 || operation == 2);
    let sender_mac = (sender_mac_hi as u64) << 32 | sender_mac_lo as u64;
    let claimed = Ip::v4(if sender == 0 { target } else { sender });
    if !well_formed
        || sender_mac != link.source
        || claimed.is_group()
        || claimed.is_loopback()
        || (operation == 2 && sender == 0)
        || frame.len() > at + LONGEST_ARP
    {
        return Err(Reason::Arp);
    }
    Ok(Claim {
        sender: Ip::v4(sender),
        claimed,
    })
}

/// Judges an ARP packet: the claimed address must be the sender's by its binding. Passes at every posture but sever.
#[inline(always)]
pub fn arp<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    claim: &Claim,
) -> Result<Ruling, Denied> {
    identify::sender(tables, ingress, link, claim.claimed)?;
    allow_unless_severed(ingress.control, RULE_ARP)
}

/// Judges neighbour and router discovery. The source was identified already.
#[inline(always)]
pub fn discovery<F: Frame, T: Tables>(
    frame: &F,
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
) -> Result<Ruling, Denied> {
    const ROUTER_SOLICITATION: u8 = 133;
    const ROUTER_ADVERTISEMENT: u8 = 134;
    const NEIGHBOUR_SOLICITATION: u8 = 135;
    const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

    let (at, length) = (packet.message.at as usize, packet.message.length as usize);
    if packet.destination.is_group() != (link.destination & MAC_GROUP != 0) {
        return Err(Reason::GroupMismatch.into());
    }
    // A hop limit of 255 proves that it was not routed here (RFC 4861 §7.1).
    let hops = frame.u8(link.network + 7).ok_or(Reason::Truncated)?;
    if hops != 255 {
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
    // An advertisement claims its target; so does a solicitation from `::` (duplicate address detection, RFC 4862
    // §5.4).
    let is_probe = message == NEIGHBOUR_SOLICITATION && packet.source.is_unspecified();
    if message == NEIGHBOUR_ADVERTISEMENT || is_probe {
        let target = Ip {
            hi: frame.u64(at + 8).ok_or(Reason::Truncated)?,
            lo: frame.u64(at + 16).ok_or(Reason::Truncated)?,
        };
        if target.is_group() || target.is_v4() || target.is_unspecified() {
            return Err(Reason::NeighbourDiscovery.into());
        }
        identify::sender(tables, ingress, link, target).map_err(|_| Reason::NeighbourDiscovery)?;
    }
    allow_unless_severed(ingress.control, RULE_ND)
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
