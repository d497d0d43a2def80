//! Splits a packet into fragments: in order, out of order, overlapping, without the first, without the last.

use super::offsets::{offsets, packet, with_packet};
use super::{Rng, one};

/// A fragment: offset and length in bytes.
struct Fragment {
    offset: usize,
    more: bool,
    bytes: Vec<u8>,
}

/// The frames of a packet's fragments. None if the frame does not hold a whole IP packet, or already holds a fragment.
pub(super) fn split(rng: &mut Rng, frame: &[u8]) -> Vec<Vec<u8>> {
    let (Some(offsets), Some(packet)) = (offsets(frame), packet(frame)) else {
        return Vec::new();
    };
    let header = offsets.transport - offsets.ip;
    if packet.len() <= header {
        return Vec::new();
    }
    let is_fragment = offsets.version == 4 && (packet[6] & 0x3f, packet[7]) != (0, 0);
    if is_fragment {
        return Vec::new();
    }
    let mut payload = packet[header..].to_vec();
    lengthen(rng, offsets.protocol, &mut payload);
    let identification = rng.u8(1..=6);
    let build = |fragment: &Fragment| match offsets.version {
        4 => fragment4(&packet[..header], identification, fragment),
        _ => fragment6(
            &packet[..header],
            (offsets.protocol, last_next_header(packet)),
            identification,
            fragment,
        ),
    };
    let fragments = cut(rng, &payload);
    let fragments = corrupt(rng, fragments);
    fragments
        .iter()
        .map(|fragment| with_packet(frame, &build(fragment)))
        .collect()
}

/// Extends the payload, so that it can be split. The length in a UDP header is that of the whole datagram.
fn lengthen(rng: &mut Rng, protocol: u8, payload: &mut Vec<u8>) {
    let length = payload.len().max(rng.usize(24..100));
    payload.resize(length, 0xfa);
    if protocol == 17 {
        payload[4..6].copy_from_slice(&(length as u16).to_be_bytes());
    }
}

fn cut(rng: &mut Rng, payload: &[u8]) -> Vec<Fragment> {
    let mut fragments = Vec::new();
    let mut offset = 0;
    while offset < payload.len() {
        let length = one(rng, &[8, 16, 24, 24, 32, 32, 40]);
        let end = (offset + length).min(payload.len());
        fragments.push(Fragment {
            offset,
            more: end < payload.len(),
            bytes: payload[offset..end].to_vec(),
        });
        offset = end;
    }
    fragments
}

/// Corrupts nearly half of the lists of fragments.
fn corrupt(rng: &mut Rng, mut fragments: Vec<Fragment>) -> Vec<Fragment> {
    let any = rng.usize(..fragments.len());
    match rng.u8(..100) {
        0..55 => {}
        55..62 => rng.shuffle(&mut fragments),
        62..67 => {
            fragments.remove(0);
        }
        67..73 => fragments[any].offset = fragments[any].offset.saturating_sub(8),
        73..76 => fragments[any].offset += 8,
        76..81 => fragments[any].more ^= true,
        81..85 => fragments[any].bytes.extend([0xee; 8]),
        85..88 => {
            fragments[any].bytes.pop();
        }
        88..90 => fragments[any].bytes.clear(),
        90..93 => fragments[any].offset = one(rng, &[0xfff8, 0xfff0, 0xffd8]),
        93..96 => {
            let again = Fragment {
                bytes: fragments[any].bytes.clone(),
                ..fragments[any]
            };
            fragments.push(again);
        }
        96..98 => fragments.reverse(),
        _ => fragments.truncate(any),
    }
    fragments
}

fn fragment4(header: &[u8], identification: u8, fragment: &Fragment) -> Vec<u8> {
    let mut out = header.to_vec();
    (out[4], out[5]) = (0, identification);
    let field = (fragment.offset / 8) as u16 | if fragment.more { 0x2000 } else { 0 };
    out[6..8].copy_from_slice(&field.to_be_bytes());
    out.extend(&fragment.bytes);
    out
}

/// The offset of the last header's next-header field, in which the fragment header is named.
fn last_next_header(packet: &[u8]) -> usize {
    let (mut at, mut here) = (6, 40);
    while [0, 44, 60].contains(&packet[at]) && packet.len() >= here + 8 {
        let words = match packet[at] {
            44 => 0,
            _ => usize::from(packet[here + 1]),
        };
        (at, here) = (here, here + 8 + 8 * words);
    }
    at
}

fn fragment6(
    headers: &[u8],
    (protocol, next_header_at): (u8, usize),
    identification: u8,
    fragment: &Fragment,
) -> Vec<u8> {
    let mut out = headers.to_vec();
    out[next_header_at] = 44;
    out.extend([protocol, 0]);
    let field = fragment.offset as u16 | u16::from(fragment.more);
    out.extend(field.to_be_bytes());
    out.extend([0, 0, 0, identification]);
    out.extend(&fragment.bytes);
    out
}
