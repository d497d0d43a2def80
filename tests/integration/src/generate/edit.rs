//! Frames made from frames: the answer, the next of a flow, the same damaged.

use std::net::IpAddr;

use super::frame::{ACK, FIN, RST, SYN};
use super::places::{self, places};
use super::{Rng, one, percent};

/// Whether a frame carries part of a packet.
pub(super) fn is_piece(frame: &[u8]) -> bool {
    match places(frame) {
        Some(places) if places.version == 4 => {
            let flags = frame.get(places.ip + 6..places.ip + 8);
            flags.is_some_and(|flags| (flags[0] & 0x3f, flags[1]) != (0, 0))
        }
        Some(places) => places.fragment.is_some(),
        None => false,
    }
}

/// Whether a frame is one that no rule decides about: ARP, discovery, membership, and what is not IP.
pub(super) fn is_built_in(frame: &[u8]) -> bool {
    match places(frame) {
        None => true,
        Some(places) => {
            let kind = frame.get(places.transport).copied().unwrap_or_default();
            let discovers = (130..=136).contains(&kind) || kind == 143;
            places.protocol == 2 || (places.version == 6 && places.protocol == 58 && discovers)
        }
    }
}

/// The IP version of a frame that carries any.
pub(super) fn version(frame: &[u8]) -> Option<u8> {
    places(frame).map(|places| places.version)
}

/// Puts another source address, of the same version, into a frame.
pub(super) fn set_source(frame: &mut [u8], source: IpAddr) {
    let Some(places) = places(frame) else { return };
    let (at, octets) = match source {
        IpAddr::V4(ip) => (places.ip + 12, ip.octets().to_vec()),
        IpAddr::V6(ip) => (places.ip + 8, ip.octets().to_vec()),
    };
    if let Some(place) = frame.get_mut(at..at + octets.len()) {
        place.copy_from_slice(&octets);
    }
}

/// Numbers of a TCP segment, around those that count: what is acknowledged is mostly 2, and resets start there.
pub(super) fn number(rng: &mut Rng, segment: &mut [u8]) {
    const FAR: u32 = 1 << 22;
    let Some(numbers) = segment.get_mut(4..12) else {
        return;
    };
    let sequence: u32 = match rng.u8(..20) {
        0..10 => 2,
        10 => 1,
        11..14 => 0,
        14 => 2 + FAR - 1,
        15 => 2 + FAR,
        16 => 1 << 31,
        17 => u32::MAX,
        _ => rng.u32(..2 * FAR),
    };
    let acknowledged: u32 = match rng.u8(..30) {
        0 => 0,
        1 => 1,
        2 => u32::MAX - 1,
        3 => 1 << 31,
        _ => 2,
    };
    numbers[..4].copy_from_slice(&sequence.to_be_bytes());
    numbers[4..].copy_from_slice(&acknowledged.to_be_bytes());
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
            *flags = one(
                rng,
                &[
                    SYN | ACK,
                    SYN | ACK,
                    ACK,
                    ACK,
                    RST | ACK,
                    RST,
                    FIN | ACK,
                    SYN,
                ],
            );
            number(rng, &mut out[places.transport..]);
        }
        17 | 132 => exchange(&mut out, places.transport, places.transport + 2, 2),
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
        *flags = one(rng, &[ACK, ACK, ACK, ACK | 8, FIN | ACK, RST, SYN]);
        number(rng, &mut out[places.transport..]);
    }
    if percent(rng, 30) {
        out.extend(std::iter::repeat_n(0, rng.usize(..20)));
    }
    out
}

/// The same frame with other tags.
pub(super) fn with_tags(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut out = frame[..frame.len().min(12)].to_vec();
    for (kind, control) in tags {
        out.extend(kind.to_be_bytes());
        out.extend(control.to_be_bytes());
    }
    let behind = 12 + 4 * places::tags(frame).len();
    out.extend(frame.get(behind..).unwrap_or_default());
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
