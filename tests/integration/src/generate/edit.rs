//! Frames made from frames: the answer, the next of a flow, the same damaged.

use super::frame::{ACK, FIN, RST, SYN};
use super::{Rng, one, percent};

/// Where things are in a frame that carries IP, as far as it does.
struct Places {
    version: u8,
    ip: usize,
    transport: usize,
    protocol: u8,
}

fn places(frame: &[u8]) -> Option<Places> {
    let tagged = frame.get(12..14)? == [0x81, 0x00];
    let ip = if tagged { 18 } else { 14 };
    match frame.get(ip)? >> 4 {
        4 => Some(Places {
            version: 4,
            ip,
            transport: ip + 20,
            protocol: *frame.get(ip + 9)?,
        }),
        6 => Some(Places {
            version: 6,
            ip,
            transport: ip + 40,
            protocol: *frame.get(ip + 6)?,
        }),
        _ => None,
    }
}

/// Whether a frame is ARP, or neighbour or router discovery.
pub(super) fn resolves(frame: &[u8]) -> bool {
    match places(frame) {
        None => true,
        Some(places) => {
            let kind = frame.get(places.transport).copied().unwrap_or_default();
            places.version == 6 && places.protocol == 58 && (133..=136).contains(&kind)
        }
    }
}

fn exchange(frame: &mut [u8], first: usize, second: usize, length: usize) {
    if second + length <= frame.len() {
        for at in 0..length {
            frame.swap(first + at, second + at);
        }
    }
}

/// What the receiver of a frame would answer: ends exchanged, flags and types to match.
pub(super) fn answer(rng: &mut Rng, frame: &[u8]) -> Option<Vec<u8>> {
    let mut out = frame.to_vec();
    exchange(&mut out, 0, 6, 6);
    let places = places(frame)?;
    match places.version {
        4 => exchange(&mut out, places.ip + 12, places.ip + 16, 4),
        _ => exchange(&mut out, places.ip + 8, places.ip + 24, 16),
    }
    match places.protocol {
        6 => {
            exchange(&mut out, places.transport, places.transport + 2, 2);
            let flags = out.get_mut(places.transport + 13)?;
            *flags = one(rng, &[SYN | ACK, SYN | ACK, ACK, RST | ACK, FIN | ACK, SYN]);
        }
        17 => exchange(&mut out, places.transport, places.transport + 2, 2),
        _ => {
            let kind = out.get_mut(places.transport)?;
            *kind = match *kind {
                8 => 0,
                0 => 8,
                128 => 129,
                129 => 128,
                135 => 136,
                other => other,
            };
        }
    }
    Some(out)
}

/// What the sender of a frame may send next.
pub(super) fn next(rng: &mut Rng, frame: &[u8]) -> Vec<u8> {
    let mut out = frame.to_vec();
    if let Some(places) = places(frame)
        && places.protocol == 6
        && let Some(flags) = out.get_mut(places.transport + 13)
    {
        *flags = one(rng, &[ACK, ACK, ACK | 8, FIN | ACK, RST, SYN]);
    }
    if percent(rng, 30) {
        out.extend(std::iter::repeat_n(0, rng.usize(..20)));
    }
    out
}

/// The same frame in another VLAN.
pub(super) fn in_vlan(rng: &mut Rng, frame: &[u8], vlan: u16) -> Vec<u8> {
    let tagged = frame.get(12..14) == Some(&[0x81, 0x00]) && frame.len() >= 16;
    let mut out = frame[..frame.len().min(12)].to_vec();
    // An untagged frame, or one with a tag that only has a priority.
    if vlan != 0 || percent(rng, 20) {
        out.extend([0x81, 0x00]);
        out.extend((vlan | u16::from(rng.u8(..16)) << 12).to_be_bytes());
    }
    out.extend(
        frame
            .get(if tagged { 16 } else { 12 }..)
            .unwrap_or_default(),
    );
    out
}

/// One to three bytes or bits changed, or the frame cut.
pub(super) fn damage(rng: &mut Rng, frame: &mut Vec<u8>) {
    for _ in 0..rng.usize(1..=3) {
        if frame.is_empty() {
            return;
        }
        // What is at the end is payload or padding: nearly all of what can be damaged is before it.
        let at = rng.usize(..frame.len().min(100));
        match rng.u8(..4) {
            0 => frame[at] = rng.u8(..),
            1 => frame[at] ^= 1 << rng.u8(..8),
            2 => frame[at] = one(rng, &[0, 1, 4, 5, 6, 0x45, 0x46, 0x60, 0xff, 0x81, 58]),
            _ => frame.truncate(at),
        }
    }
}
