//! Faults in parsing: user space judges a changed frame.

use super::{Fault, in_frames};
use crate::generate::offsets::{network, tags};

/// Each changes the frame that user space judges.
pub(super) const FAULTS: [Fault; 8] = [
    in_frames("parse: fragments are taken for whole packets", |frame| {
        in_ipv4(frame, |packet| (packet[6], packet[7]) = (0x40, 0))
    }),
    in_frames("parse: options are ignored", |frame| {
        in_ipv4(frame, |packet| packet[0] = packet[0] & 0xf0 | 5)
    }),
    in_frames("parse: TCP is taken for SCTP", |frame| {
        in_ipv4(frame, |packet| {
            if packet[9] == 6 {
                packet[9] = 132;
            }
        })
    }),
    in_frames("parse: extension headers are ignored", |frame| {
        in_ipv6(frame, |packet| {
            if [0, 44, 60].contains(&packet[6]) {
                packet[6] = 17;
            }
        })
    }),
    in_frames("membership: the TTL is not checked", |frame| {
        in_ipv4(frame, |packet| {
            if packet[9] == 2 {
                packet[8] = 1;
            }
        })
    }),
    in_frames("related: an error matches another flow", |frame| {
        in_ipv4(frame, |packet| {
            if packet.len() > 52 && packet[9] == 1 && [3, 11, 12].contains(&packet[20]) {
                packet[48] ^= 1;
            }
        })
    }),
    in_frames("parse: an inner tag is ignored", |frame| {
        match tags(frame)[..] {
            [_, _] => [&frame[..12], &[0x81, 0], &frame[14..16], &frame[20..]].concat(),
            _ => frame.to_vec(),
        }
    }),
    in_frames("parse: a service tag is taken for a VLAN tag", |frame| {
        let mut frame = frame.to_vec();
        if frame.get(12..14) == Some(&[0x88, 0xa8]) {
            (frame[12], frame[13]) = (0x81, 0x00);
        }
        frame
    }),
];

fn in_ipv4(frame: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let at = network(&frame).unwrap_or(14);
    if frame.len() >= at + 20 && frame[at - 2..at] == [0x08, 0x00] {
        change(&mut frame[at..]);
    }
    frame
}

fn in_ipv6(frame: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let at = network(&frame).unwrap_or(14);
    if frame.len() >= at + 40 && frame[at - 2..at] == [0x86, 0xdd] {
        change(&mut frame[at..]);
    }
    frame
}
