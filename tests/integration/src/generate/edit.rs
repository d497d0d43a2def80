//! Derives frames from frames: the answer, the next one of a flow, a damaged copy.

use std::net::IpAddr;

use super::frame::{ACK, FIN, RST, SYN};
use super::offsets::{self, offsets};
use super::{Rng, one, percent};

/// Whether a frame carries a fragment.
pub(super) fn is_fragment(frame: &[u8]) -> bool {
    match offsets(frame) {
        Some(offsets) if offsets.version == 4 => {
            let flags = frame.get(offsets.ip + 6..offsets.ip + 8);
            flags.is_some_and(|flags| (flags[0] & 0x3f, flags[1]) != (0, 0))
        }
        Some(offsets) => offsets.fragment.is_some(),
        None => false,
    }
}

/// Whether a frame is decided without rules: ARP, neighbour discovery, group membership, and other non-IP frames.
pub(super) fn is_built_in(frame: &[u8]) -> bool {
    match offsets(frame) {
        None => true,
        Some(offsets) => {
            let kind = frame.get(offsets.transport).copied().unwrap_or_default();
            let is_discovery = (130..=136).contains(&kind) || kind == 143;
            offsets.protocol == 2
                || (offsets.version == 6 && offsets.protocol == 58 && is_discovery)
        }
    }
}

/// The IP version of a frame, if it carries IP.
pub(crate) fn version(frame: &[u8]) -> Option<u8> {
    offsets(frame).map(|offsets| offsets.version)
}

/// Replaces the source address of a frame by one of the same version.
pub(crate) fn set_source(frame: &mut [u8], source: IpAddr) {
    let Some(offsets) = offsets(frame) else {
        return;
    };
    let (at, octets) = match source {
        IpAddr::V4(ip) => (offsets.ip + 12, ip.octets().to_vec()),
        IpAddr::V6(ip) => (offsets.ip + 8, ip.octets().to_vec()),
    };
    if let Some(field) = frame.get_mut(at..at + octets.len()) {
        field.copy_from_slice(&octets);
    }
}

/// Sets sequence and acknowledgement numbers around the boundaries of the reset check: most segments acknowledge 2, so
/// a reset with sequence set_tcp_numbers 2 is in the window.
pub(super) fn set_tcp_numbers(rng: &mut Rng, segment: &mut [u8]) {
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

fn swap_fields(frame: &mut [u8], first: usize, second: usize, length: usize) {
    if second + length <= frame.len() {
        for at in 0..length {
            frame.swap(first + at, second + at);
        }
    }
}

/// The receiver's answer to a frame: addresses and ports swapped, with matching flags and ICMP types.
pub(crate) fn answer(rng: &mut Rng, frame: &[u8]) -> Option<Vec<u8>> {
    let mut out = frame.to_vec();
    swap_fields(&mut out, 0, 6, 6);
    let offsets = offsets(frame)?;
    match offsets.version {
        4 => swap_fields(&mut out, offsets.ip + 12, offsets.ip + 16, 4),
        _ => swap_fields(&mut out, offsets.ip + 8, offsets.ip + 24, 16),
    }
    match offsets.protocol {
        6 => {
            swap_fields(&mut out, offsets.transport, offsets.transport + 2, 2);
            let flags = out.get_mut(offsets.transport + 13)?;
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
            set_tcp_numbers(rng, &mut out[offsets.transport..]);
        }
        17 | 132 => swap_fields(&mut out, offsets.transport, offsets.transport + 2, 2),
        _ => {
            let kind = out.get_mut(offsets.transport)?;
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

/// A frame that its sender may send next.
pub(super) fn next(rng: &mut Rng, frame: &[u8]) -> Vec<u8> {
    let mut out = frame.to_vec();
    if let Some(offsets) = offsets(frame)
        && offsets.protocol == 6
        && let Some(flags) = out.get_mut(offsets.transport + 13)
    {
        *flags = one(rng, &[ACK, ACK, ACK, ACK | 8, FIN | ACK, RST, SYN]);
        set_tcp_numbers(rng, &mut out[offsets.transport..]);
    }
    if percent(rng, 30) {
        out.extend(std::iter::repeat_n(0, rng.usize(..20)));
    }
    out
}

/// The same frame with other tags.
pub(crate) fn with_tags(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut out = frame[..frame.len().min(12)].to_vec();
    for (kind, control) in tags {
        out.extend(kind.to_be_bytes());
        out.extend(control.to_be_bytes());
    }
    let ether_type = 12 + 4 * offsets::tags(frame).len();
    out.extend(frame.get(ether_type..).unwrap_or_default());
    out
}

/// Changes one to three bytes or bits, or truncates the frame.
pub(super) fn damage(rng: &mut Rng, frame: &mut Vec<u8>) {
    for _ in 0..rng.usize(1..=3) {
        if frame.is_empty() {
            return;
        }
        // Changes after the headers, in payload or padding, would have no effect.
        let at = rng.usize(..frame.len().min(100));
        match rng.u8(..4) {
            0 => frame[at] = rng.u8(..),
            1 => frame[at] ^= 1 << rng.u8(..8),
            2 => frame[at] = one(rng, &[0, 1, 4, 5, 6, 0x45, 0x46, 0x60, 0xff, 0x81, 58]),
            _ => frame.truncate(at),
        }
    }
}
