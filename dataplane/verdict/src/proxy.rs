//! Proxy ARP and proxy neighbour discovery: the gateway answers for a segment's devices with its own MAC address, and
//! forwards the frames that it gets to the devices. For switches that isolate their ports from each other, and to keep
//! requests out of segments with many VLANs.
//!
//! A frame's destination is resolved to the MAC address of the device at ingress, so that every stage sees the device;
//! at egress the source becomes the gateway's MAC address. Answers are made in place, from the bytes of the request:
//! they need no daemon.

use crate::abi::{Admission, GATEWAY};
use crate::address::Ip;
use crate::admit::Ingress;
use crate::canonical::{fold, halves, sum};
use crate::frame::Frame;
use crate::packet::{Link, Packet};
use crate::parse::ETHERTYPE_ARP;
use crate::protocol::ICMPV6;
use crate::reason::Reason;
use crate::tables::Tables;

/// Whether a frame is sent to the gateway's MAC address, in a segment with a proxy.
#[inline(always)]
pub fn is_for_gateway(ingress: &Ingress, link: &Link) -> bool {
    ingress.admission.is(Admission::PROXY) && link.destination == GATEWAY
}

/// Resolves the destination of a frame that is sent to the gateway: sets the MAC address of the device with this
/// address.
#[inline(always)]
pub fn resolve<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    link: &mut Link,
    destination: Ip,
) -> Result<(), Reason> {
    if !is_for_gateway(ingress, link) {
        return Ok(());
    }
    let mac = tables.proxy(ingress.control.slot, ingress.admission.segment, destination);
    if mac == 0 {
        return Err(Reason::AddressBinding);
    }
    link.destination = mac;
    link.proxied = true;
    link.force_rewrite = crate::abi::STACKED;
    Ok(())
}

/// Whether the gateway answers an ARP packet that passes, from this sender address.
#[inline(always)]
pub fn answers_arp<F: Frame, T: Tables>(
    frame: &F,
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    sender: Ip,
) -> Result<bool, Reason> {
    if !ingress.admission.is(Admission::PROXY) {
        return Ok(false);
    }
    let operation = frame.u16(link.network + 6).ok_or(Reason::Truncated)?;
    let target = Ip::v4(frame.u32(link.network + 24).ok_or(Reason::Truncated)?);
    let asks = operation == 1 && !sender.is_unspecified() && sender != target;
    answers(tables, ingress, link, asks, target)
}

/// Whether the gateway answers a neighbour discovery packet that passes.
#[inline(always)]
pub fn answers_discovery<F: Frame, T: Tables>(
    frame: &F,
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
) -> Result<bool, Reason> {
    if !ingress.admission.is(Admission::PROXY) {
        return Ok(false);
    }
    let at = packet.message.at as usize;
    // A solicitation with one option: with a source address, that is the sender's link-layer address.
    let asks = frame.u8(at).ok_or(Reason::Truncated)? == 135
        && packet.message.length == 32
        && at == link.network + 40
        && !packet.source.is_unspecified();
    let mut target = Ip { hi: 0, lo: 0 };
    if asks {
        target.hi = frame.u64(at + 8).ok_or(Reason::Truncated)?;
        target.lo = frame.u64(at + 16).ok_or(Reason::Truncated)?;
    }
    answers(tables, ingress, link, asks, target)
}

/// The gateway answers a device that asks for another device of its segment. Other frames to the gateway's MAC address
/// have no receiver, and are refused.
#[inline(always)]
fn answers<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    asks: bool,
    target: Ip,
) -> Result<bool, Reason> {
    if asks && !ingress.admission.is(Admission::UPLINK) {
        let mac = tables.proxy(ingress.control.slot, ingress.admission.segment, target);
        if mac != 0 && mac != link.source {
            return Ok(true);
        }
    }
    match link.proxied || link.destination == GATEWAY {
        true => Err(Reason::AddressBinding),
        false => Ok(false),
    }
}

/// Turns a request into its answer.
#[inline(always)]
pub fn answer<F: Frame>(frame: &mut F, link: &Link, packet: Option<&Packet>) -> Option<()> {
    frame.set_u64(0, link.source << 16 | GATEWAY >> 32)?;
    frame.set_u32(8, GATEWAY as u32)?;
    match packet {
        Some(packet) if link.ether_type != ETHERTYPE_ARP => advertise(frame, link, packet),
        _ => reply(frame, link),
    }
}

/// An ARP reply (RFC 826): the target is at the gateway's MAC address.
#[inline(always)]
fn reply<F: Frame>(frame: &mut F, link: &Link) -> Option<()> {
    let at = link.network;
    let sender = frame.u32(at + 14)?;
    let target = frame.u32(at + 24)?;
    frame.set_u16(at + 6, 2)?;
    frame.set_u64(at + 8, GATEWAY << 16 | target as u64 >> 16)?;
    frame.set_u16(at + 16, target as u16)?;
    frame.set_u16(at + 18, (link.source >> 32) as u16)?;
    frame.set_u64(at + 20, link.source << 32 | sender as u64)
}

/// A neighbour advertisement (RFC 4861 §4.4) with the flag S only: solicited, not from a router, no override. Of the
/// IPv6 header only the addresses change.
#[inline(always)]
fn advertise<F: Frame>(frame: &mut F, link: &Link, packet: &Packet) -> Option<()> {
    let network = link.network;
    let at = network + 40;
    let requester = packet.source;
    let target = Ip {
        hi: frame.u64(at + 8)?,
        lo: frame.u64(at + 16)?,
    };
    frame.set_u64(network + 8, target.hi)?;
    frame.set_u64(network + 16, target.lo)?;
    frame.set_u64(network + 24, requester.hi)?;
    frame.set_u64(network + 32, requester.lo)?;
    let checksum = checksum(requester, target);
    let types = 0x8800_0000 | checksum as u64;
    frame.set_u64(at, types << 32 | SOLICITED)?;
    frame.set_u64(at + 24, LINK_ADDRESS)
}

const SOLICITED: u64 = 0x4000_0000;
/// The option with the target's link-layer address.
const LINK_ADDRESS: u64 = 0x0201 << 48 | GATEWAY;

/// The checksum of the advertisement with its pseudo header (RFC 8200 §8.1); all 32 bytes of the message are known.
#[inline(always)]
fn checksum(requester: Ip, target: Ip) -> u16 {
    // The target is the source address and is in the message.
    let addresses = sum(requester) + 2 * sum(target);
    let pseudo = 32 + ICMPV6 as u64;
    let message = 0x8800_0000 + SOLICITED + halves(LINK_ADDRESS);
    !fold(addresses + pseudo + message)
}
