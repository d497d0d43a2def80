//! Adds IPv4 options or IPv6 extension headers to a frame.

use super::offsets::{packet, with_packet};
use super::{Rng, one, percent};

const NOP: u8 = 1;
const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];

/// The frame with options or extension headers; none if it does not hold a whole IP packet.
pub(super) fn add_headers(rng: &mut Rng, frame: &[u8]) -> Option<Vec<u8>> {
    let packet = packet(frame)?;
    match packet.first()? >> 4 {
        4 if packet[0] == 0x45 && packet.len() >= 20 => {
            let options = options(rng);
            let mut out = packet[..20].to_vec();
            out[0] = 0x45 + (options.len() / 4) as u8;
            out.extend(&options);
            out.extend(&packet[20..]);
            Some(with_packet(frame, &out))
        }
        6 if packet.len() >= 40 => {
            let (first, headers) = extensions(rng, packet[6]);
            let mut out = packet[..40].to_vec();
            out[6] = first;
            out.extend(&headers);
            out.extend(&packet[40..]);
            Some(with_packet(frame, &out))
        }
        _ => None,
    }
}

/// Random options, a multiple of four bytes.
fn options(rng: &mut Rng) -> Vec<u8> {
    let mut out = Vec::new();
    if percent(rng, 60) {
        out.extend(vec![NOP; rng.usize(..10)]);
    }
    match rng.u8(..20) {
        0..8 => out.extend(ROUTER_ALERT),
        8..11 => {
            out.extend(ROUTER_ALERT);
            out.extend(ROUTER_ALERT);
        }
        11..13 => out.extend([0, 0x99, 0x99]),
        // Record route, timestamp, loose source route, security.
        13 => out.extend([7, 7, 4, 0, 0, 0, 0]),
        14 => out.extend([68, 4, 5, 0]),
        15 => out.extend([131, 7, 4, 10, 1, 0, 1]),
        16 => out.extend([148, one(rng, &[0, 1, 3, 5, 255]), 0, 0]),
        _ => {}
    }
    if percent(rng, 40) {
        out.extend(vec![NOP; rng.usize(..6)]);
    }
    // Cut within an option, or padded.
    match percent(rng, 20) {
        true => out.truncate(out.len() / 4 * 4),
        false => out.resize(out.len().next_multiple_of(4), one(rng, &[0, NOP])),
    }
    out.truncate(40);
    out
}

/// The protocol number of the first header, and the headers. The last one's next header is `next`.
fn extensions(rng: &mut Rng, next: u8) -> (u8, Vec<u8>) {
    let kinds = match rng.u8(..100) {
        0..15 => vec![0],
        15..30 => vec![60],
        30..40 => vec![0, 60],
        40..50 => vec![44],
        50..56 => vec![0, 60, 44],
        56..61 => vec![60, 60],
        61..65 => vec![0, 60, 60, 44],
        65..68 => vec![60, 60, 60, 60],
        // Too many, out of order, or always refused.
        68..72 => vec![60; 5],
        72..75 => vec![60, 0],
        75..78 => vec![0, 0],
        78..81 => vec![44, 60],
        81..83 => vec![44, 44],
        83..85 => vec![0, 44, 60],
        85..90 => vec![one(rng, &[43, 50, 51, 135, 139, 140, 59])],
        _ => {
            let any = |rng: &mut Rng| one(rng, &[0, 43, 44, 51, 60, 60]);
            (0..rng.usize(1..=6)).map(|_| any(rng)).collect()
        }
    };
    let mut out = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let next = kinds.get(at + 1).copied().unwrap_or(next);
        out.extend(header(rng, *kind, next));
    }
    (kinds[0], out)
}

fn header(rng: &mut Rng, kind: u8, next: u8) -> Vec<u8> {
    if kind == 44 {
        // Mostly an atomic fragment (RFC 6946).
        let field = one(rng, &[0, 0, 0, 0, 0, 0, 6, 1, 8, 0x10]);
        return vec![next, 0, 0, field, 0, 0, 0, rng.u8(1..4)];
    }
    let words = match rng.u8(..40) {
        0..30 => 0,
        30..34 => rng.u8(1..4),
        34..36 => rng.u8(20..40),
        36..38 => rng.u8(40..64),
        38 => rng.u8(64..=255),
        _ => 255,
    };
    let mut out = vec![next, words];
    out.extend(one(
        rng,
        &[
            [5, 2, 0, 0, 1, 0],
            [1, 4, 0, 0, 0, 0],
            [5, 2, 0, 1, 1, 0],
            [1, 0, 5, 2, 0, 0],
        ],
    ));
    out.resize(8 + usize::from(words) * 8, 0);
    // A length beyond the header's end.
    if percent(rng, 2) {
        out[1] = out[1].wrapping_add(1);
    }
    out
}
