//! The gateway stands in for a segment's devices: it says that their addresses are at its own MAC address, and carries what
//! is sent there to them. For switches that let nobody speak to their neighbour but through the gateway, and to spare many
//! VLANs the questions.
//!
//! The MAC address of the device is put in where a frame comes in, so that every stage sees who it is for; the gateway's
//! where it leaves. Answers are made here, of the question's own bytes: they need nobody in user space.

use crate::abi::{Admission, GATEWAY};
use crate::address::Ip;
use crate::admit::Ingress;
use crate::frame::Frame;
use crate::parse::{ETHERTYPE_ARP, Link, Packet};
use crate::reason::Reason;
use crate::tables::Tables;

/// Whether a frame is sent to the gateway, in a segment where it stands in for devices.
#[inline(always)]
pub fn is_for_gateway(ingress: &Ingress, link: &Link) -> bool {
    ingress.admission.is(Admission::PROXY) && link.destination == GATEWAY
}

/// Of a frame that is sent to the gateway, puts in the MAC address of the device it is for.
#[inline(always)]
pub fn stand_in<T: Tables>(
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
    link.beyond = crate::abi::STACKED;
    Ok(())
}

/// Whether the gateway answers an ARP packet that passes, of this sender.
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

/// Whether the gateway answers a packet of discovery that passes.
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
    // A solicitation with one option behind it, which is the sender's own address unless it has none.
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

/// Answers where a device asks for another of its segment. What is sent to the gateway and not answered is for nobody.
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

/// Turns a question into its answer.
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

/// A neighbour advertisement (RFC 4861 §4.4): solicited, no router, does not override what is known. The IPv6 header stays
/// but for its addresses.
#[inline(always)]
fn advertise<F: Frame>(frame: &mut F, link: &Link, packet: &Packet) -> Option<()> {
    let network = link.network;
    let at = network + 40;
    let asker = packet.source;
    let target = Ip {
        hi: frame.u64(at + 8)?,
        lo: frame.u64(at + 16)?,
    };
    frame.set_u64(network + 8, target.hi)?;
    frame.set_u64(network + 16, target.lo)?;
    frame.set_u64(network + 24, asker.hi)?;
    frame.set_u64(network + 32, asker.lo)?;
    let checksum = checksum(asker, target);
    let types = 0x8800_0000 | checksum as u64;
    frame.set_u64(at, types << 32 | SOLICITED)?;
    frame.set_u64(at + 24, LINK_ADDRESS)
}

const SOLICITED: u64 = 0x4000_0000;
/// The option with the target's link-layer address.
const LINK_ADDRESS: u64 = 0x0201 << 48 | GATEWAY;

/// The checksum of the advertisement with its pseudo header (RFC 8200 §8.1): 32 bytes, all of them known.
#[inline(always)]
fn checksum(asker: Ip, target: Ip) -> u16 {
    // Halves of 32 bits: ones' complement sums of 16 bits come out the same.
    let halves = |word: u64| (word >> 32) + (word & 0xffff_ffff);
    let addresses = halves(asker.hi) + halves(asker.lo);
    // Once as the source, once in the message.
    let targets = 2 * (halves(target.hi) + halves(target.lo));
    let pseudo = 32 + 58;
    let message = 0x8800_0000 + SOLICITED + halves(LINK_ADDRESS);
    let sum = halves(addresses + targets + pseudo + message);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    !(sum as u16)
}
