//! Address resolution leaves the gateway in one canonical form: ARP and neighbour discovery are rewritten in place, so that
//! fields which receivers ignore, and padding, carry no data across the site's boundary.

use crate::address::{Ip, MAC_GROUP};
use crate::frame::Frame;
use crate::neighbour::{NEIGHBOUR_ADVERTISEMENT, ROUTER_ADVERTISEMENT};
use crate::packet::{Link, Packet};

/// Bytes that may follow an ARP or neighbour discovery packet: Ethernet's padding, and room for tags that were removed.
pub const PADDING: usize = 26;

/// Zeroes the target MAC address of a request, and of a reply to a group, which receivers ignore (RFC 826), and the padding.
/// [`None`] if the frame is too short.
#[inline(always)]
pub fn arp<F: Frame>(frame: &mut F, link: &Link) -> Option<()> {
    const REQUEST: u16 = 1;
    let at = link.network;
    if frame.u16(at + 6)? == REQUEST || link.destination & MAC_GROUP != 0 {
        frame.set_u16(at + 18, 0)?;
        frame.set_u32(at + 20, 0)?;
    }
    clear(frame, at + 28)
}

/// Zeroes traffic class, flow label, reserved fields (RFC 4861 §4.1, §4.3, §4.4) and padding, and computes the checksum
/// again (RFC 4443 §2.3). Router advertisements, which only uplinks send, stay as they are.
#[inline(always)]
pub fn discovery<F: Frame>(frame: &mut F, link: &Link, packet: &Packet) -> Option<()> {
    /// The R, S and O flags of an advertisement.
    const FLAGS: u32 = 0xe000_0000;
    let network = link.network;
    let at = network + 40;
    let length = packet.message.length as usize;
    let message = frame.u8(at)?;
    if message == ROUTER_ADVERTISEMENT {
        return Some(());
    }
    frame.set_u32(network, 6 << 28)?;
    let flags = match message {
        NEIGHBOUR_ADVERTISEMENT => frame.u32(at + 4)? & FLAGS,
        _ => 0,
    };
    frame.set_u32(at + 4, flags)?;
    let mut sum = sum(packet.source) + sum(packet.destination) + length as u64 + 58;
    sum += ((message as u64) << 24) + flags as u64;
    // Messages are 8, 16, 24 or 32 bytes long.
    let mut offset = 8;
    while offset < 32 {
        if offset < length {
            sum += halves(frame.u64(at + offset)?);
        }
        offset += 8;
    }
    frame.set_u16(at + 2, !fold(sum))?;
    clear(frame, at + length)
}

/// Zeroes the last bytes of a frame, at most [`PADDING`].
#[inline(always)]
fn clear<F: Frame>(frame: &mut F, from: usize) -> Option<()> {
    let end = frame.len();
    let mut at = from;
    for _ in 0..PADDING / 2 {
        if at + 2 > end {
            break;
        }
        frame.set_u16(at, 0)?;
        at += 2;
    }
    if at < end {
        let last = frame.u16(end - 2)?;
        frame.set_u16(end - 2, last & 0xff00)?;
    }
    Some(())
}

/// The ones' complement sum of an address in 32-bit halves, not folded yet.
#[inline(always)]
pub fn sum(ip: Ip) -> u64 {
    halves(ip.hi) + halves(ip.lo)
}

/// The sum of the two halves of a word: ones' complement sums of 16 bits come out the same (RFC 1071 §2).
#[inline(always)]
pub fn halves(word: u64) -> u64 {
    (word >> 32) + (word & 0xffff_ffff)
}

/// Folds a ones' complement sum to 16 bits (RFC 1071 §4.1).
#[inline(always)]
pub fn fold(sum: u64) -> u16 {
    let sum = halves(sum);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    sum as u16
}
