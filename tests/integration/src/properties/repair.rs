//! Makes a changed frame consistent again: lengths, checksums and fields that repeat other fields. A sender that hides
//! data in a frame would do the same.

use crate::generate::frame::{ICMP, ICMP6, IGMP, SCTP, TCP, UDP};
use crate::generate::offsets::{network, offsets};

/// The ones' complement sum of RFC 1071.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
        }
    }
    while sum >> 16 != 0 {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

/// Repairs the fields that follow from others.
pub fn repair(frame: &mut [u8]) {
    let Some(at) = network(frame) else {
        return;
    };
    if frame[at - 2..at] == [0x08, 0x06] && frame.len() >= at + 28 {
        // The sender of an ARP packet is the source of the frame; so is the target of a reply its destination.
        frame.copy_within(6..12, at + 8);
        if frame[at + 6..at + 8] == [0, 2] && frame[0] & 1 == 0 {
            frame.copy_within(0..6, at + 18);
        }
        return;
    }
    repair_ip(frame);
}

fn repair_ip(frame: &mut [u8]) {
    let Some(headers) = offsets(frame) else {
        return;
    };
    let (ip, transport) = (headers.ip, headers.transport);
    if transport > frame.len() {
        return;
    }
    let end = match headers.version {
        4 => ip + usize::from(u16::from_be_bytes([frame[ip + 2], frame[ip + 3]])),
        _ => ip + 40 + usize::from(u16::from_be_bytes([frame[ip + 4], frame[ip + 5]])),
    };
    if end > frame.len() || end < transport {
        return;
    }
    repair_mirrored(frame, ip, transport, end, headers.protocol);
    if headers.version == 4 {
        frame[ip + 10..ip + 12].fill(0);
        let sum = checksum(&[&frame[ip..transport]]);
        frame[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
    }
    let at = match headers.protocol {
        TCP => transport + 16,
        UDP => transport + 6,
        ICMP | ICMP6 | IGMP => transport + 2,
        SCTP => return,
        _ => return,
    };
    if at + 2 > end {
        return;
    }
    frame[at..at + 2].fill(0);
    let length = (end - transport) as u32;
    let addresses = match headers.version {
        4 => ip + 12..ip + 20,
        _ => ip + 8..ip + 40,
    };
    let pseudo = [
        &frame[addresses],
        &length.to_be_bytes(),
        &[0, 0, 0, headers.protocol],
    ]
    .concat();
    let sum = match headers.protocol {
        ICMP | IGMP => checksum(&[&frame[transport..end]]),
        _ => checksum(&[&pseudo, &frame[transport..end]]),
    };
    frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// The group MAC address of the destination; the addresses that neighbour discovery repeats.
fn repair_mirrored(frame: &mut [u8], ip: usize, transport: usize, end: usize, protocol: u8) {
    let v6 = frame[ip] >> 4 == 6;
    let kind = frame.get(transport).copied().unwrap_or_default();
    if v6 && protocol == ICMP6 && (133..=136).contains(&kind) {
        let options = match kind {
            133 => 8,
            134 => 16,
            _ => 24,
        };
        let at = transport + options;
        // The link-layer address option.
        if at + 8 <= end && frame[at] != 14 {
            frame.copy_within(6..12, at + 2);
        }
        // The solicited-node address of the target.
        if kind == 135 && transport + 24 <= end && frame[ip + 24] == 0xff {
            frame.copy_within(transport + 21..transport + 24, ip + 37);
        }
    }
    if frame[0] & 1 == 0 {
        return;
    }
    match v6 {
        true if frame[ip + 24] == 0xff => {
            frame[..2].fill(0x33);
            frame.copy_within(ip + 36..ip + 40, 2);
        }
        false if frame[ip + 16] >> 4 == 0xe => {
            frame[..3].copy_from_slice(&[0x01, 0x00, 0x5e]);
            frame.copy_within(ip + 17..ip + 20, 3);
            frame[3] &= 0x7f;
        }
        _ => {}
    }
}
