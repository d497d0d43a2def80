//! The canonical form of ARP (RFC 826) and of neighbour discovery (RFC 4861): everything that receivers ignore is zero.

use super::repair::checksum;
use crate::generate::frame::ICMP6;
use crate::generate::offsets::network;

/// Checks a frame that left.
///
/// # Errors
/// What is not canonical in it.
pub fn check(frame: &[u8]) -> Result<(), &'static str> {
    let at = network(frame).ok_or("no EtherType")?;
    match frame[at - 2..at] {
        [0x08, 0x06] => arp(frame, at),
        [0x86, 0xdd] => discovery(frame, at),
        _ => Err("neither ARP nor IPv6"),
    }
}

fn ensure(holds: bool, wrong: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(wrong) }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn arp(frame: &[u8], at: usize) -> Result<(), &'static str> {
    let packet = frame.get(at..at + 28).ok_or("a short ARP packet")?;
    ensure(packet[..6] == [0, 1, 8, 0, 6, 4], "not Ethernet and IPv4")?;
    let reply = match packet[6..8] {
        [0, 1] => false,
        [0, 2] => true,
        _ => return Err("neither request nor reply"),
    };
    ensure(packet[8..14] == frame[6..12], "another sender MAC address")?;
    let ignored = !reply || frame[0] & 1 == 1;
    match ignored {
        true => ensure(is_zero(&packet[18..24]), "an ignored target MAC address")?,
        false => ensure(packet[18..24] == frame[..6], "another target MAC address")?,
    }
    ensure(is_zero(&frame[at + 28..]), "padding")
}

fn discovery(frame: &[u8], at: usize) -> Result<(), &'static str> {
    let header = frame.get(at..at + 40).ok_or("a short IPv6 header")?;
    ensure(
        header[..4] == [0x60, 0, 0, 0],
        "traffic class or flow label",
    )?;
    ensure(header[6] == ICMP6, "an extension header")?;
    ensure(header[7] == 255, "another hop limit")?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let message = frame.get(at + 40..at + 40 + length).ok_or("no message")?;
    ensure(is_zero(&frame[at + 40 + length..]), "padding")?;
    if header[24] == 0xff {
        ensure(
            frame[..2] == [0x33, 0x33] && frame[2..6] == header[36..40],
            "another group MAC address",
        )?;
    }
    let pseudo = [
        &header[8..40],
        &(length as u32).to_be_bytes(),
        &[0, 0, 0, ICMP6],
    ]
    .concat();
    ensure(checksum(&[&pseudo, message]) == 0, "a wrong checksum")?;
    ensure(message[1] == 0, "a code")?;
    let (fixed, option) = match message[0] {
        133 => (8, 1),
        135 => (24, 1),
        136 => (24, 2),
        _ => return Err("another message"),
    };
    match message[0] {
        136 => ensure(
            message[4] & 0x1f == 0 && is_zero(&message[5..8]),
            "a reserved field",
        )?,
        _ => ensure(is_zero(&message[4..8]), "a reserved field")?,
    }
    ensure(length >= fixed, "a short message")?;
    if message[0] == 135 {
        let solicited = [
            &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff],
            &message[21..24],
        ]
        .concat();
        ensure(
            header[24..40] == solicited[..] || header[24..40] == message[8..24],
            "a destination that does not follow from the target",
        )?;
    }
    match &message[fixed..] {
        [] => Ok(()),
        [kind, 1, mac @ ..] if *kind == option => {
            ensure(mac == &frame[6..12], "another link-layer address")
        }
        _ => Err("another option"),
    }
}
