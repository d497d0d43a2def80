//! A packet in several pieces: in order, out of order, overlapping, without the first, without an end.

use super::places::{packet, places, with_packet};
use super::{Rng, one};

/// What a piece says of itself.
struct Piece {
    offset: usize,
    more: bool,
    bytes: Vec<u8>,
}

/// The frames that the packet of a frame comes in; none if there is no whole IP packet in it, or if it is in pieces.
pub(super) fn split(rng: &mut Rng, frame: &[u8]) -> Vec<Vec<u8>> {
    let (Some(places), Some(packet)) = (places(frame), packet(frame)) else {
        return Vec::new();
    };
    let header = places.transport - places.ip;
    if packet.len() <= header {
        return Vec::new();
    }
    let in_pieces = places.version == 4 && (packet[6] & 0x3f, packet[7]) != (0, 0);
    if in_pieces {
        return Vec::new();
    }
    let mut payload = packet[header..].to_vec();
    lengthen(rng, places.protocol, &mut payload);
    let identification = rng.u8(1..=6);
    let build = |piece: &Piece| match places.version {
        4 => piece4(&packet[..header], identification, piece),
        _ => piece6(
            &packet[..header],
            (places.protocol, last_next(packet)),
            identification,
            piece,
        ),
    };
    let pieces = cut(rng, &payload);
    let pieces = amiss(rng, pieces);
    pieces
        .iter()
        .map(|piece| with_packet(frame, &build(piece)))
        .collect()
}

/// So that there is something to cut. A UDP datagram's length is that of all pieces.
fn lengthen(rng: &mut Rng, protocol: u8, payload: &mut Vec<u8>) {
    let length = payload.len().max(rng.usize(24..100));
    payload.resize(length, 0xfa);
    if protocol == 17 {
        payload[4..6].copy_from_slice(&(length as u16).to_be_bytes());
    }
}

fn cut(rng: &mut Rng, payload: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut offset = 0;
    while offset < payload.len() {
        let length = one(rng, &[8, 16, 24, 24, 32, 32, 40]);
        let end = (offset + length).min(payload.len());
        pieces.push(Piece {
            offset,
            more: end < payload.len(),
            bytes: payload[offset..end].to_vec(),
        });
        offset = end;
    }
    pieces
}

/// Nearly half of the time something is wrong with them.
fn amiss(rng: &mut Rng, mut pieces: Vec<Piece>) -> Vec<Piece> {
    let any = rng.usize(..pieces.len());
    match rng.u8(..100) {
        0..55 => {}
        55..62 => rng.shuffle(&mut pieces),
        62..67 => {
            pieces.remove(0);
        }
        67..73 => pieces[any].offset = pieces[any].offset.saturating_sub(8),
        73..76 => pieces[any].offset += 8,
        76..81 => pieces[any].more ^= true,
        81..85 => pieces[any].bytes.extend([0xee; 8]),
        85..88 => {
            pieces[any].bytes.pop();
        }
        88..90 => pieces[any].bytes.clear(),
        90..93 => pieces[any].offset = one(rng, &[0xfff8, 0xfff0, 0xffd8]),
        93..96 => {
            let again = Piece {
                bytes: pieces[any].bytes.clone(),
                ..pieces[any]
            };
            pieces.push(again);
        }
        96..98 => pieces.reverse(),
        _ => pieces.truncate(any),
    }
    pieces
}

fn piece4(header: &[u8], identification: u8, piece: &Piece) -> Vec<u8> {
    let mut out = header.to_vec();
    (out[4], out[5]) = (0, identification);
    let field = (piece.offset / 8) as u16 | if piece.more { 0x2000 } else { 0 };
    out[6..8].copy_from_slice(&field.to_be_bytes());
    out.extend(&piece.bytes);
    out
}

/// Where the last header says what comes next: it is to say that a fragment header does.
fn last_next(packet: &[u8]) -> usize {
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

fn piece6(
    headers: &[u8],
    (protocol, last_next): (u8, usize),
    identification: u8,
    piece: &Piece,
) -> Vec<u8> {
    let mut out = headers.to_vec();
    out[last_next] = 44;
    out.extend([protocol, 0]);
    let field = piece.offset as u16 | u16::from(piece.more);
    out.extend(field.to_be_bytes());
    out.extend([0, 0, 0, identification]);
    out.extend(&piece.bytes);
    out
}
