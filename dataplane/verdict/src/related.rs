//! ICMP errors (RFC 792, RFC 4443): one passes if it answers a packet that this gateway let pass.
//!
//! The packet quoted inside must be of a flow in force, the error must come from where that packet went, and go back
//! to where it came from; of TCP it must have been sent lately, by its number. Traceroute and path MTU discovery need no
//! more; an error that a stranger makes up needs to know all of that and to be in the path.

use crate::abi::{Admission, Ruling, way_attachment, way_mac};
use crate::address::Ip;
use crate::admit::Ingress;
use crate::authorise::Denied;
use crate::frame::Frame;
use crate::identify;
use crate::parse::{self, Kind, Link, Message, Packet};
use crate::reason::Reason;
use crate::tables::Tables;
use crate::track::{self, Crossed};
use crate::walk::Walked;

/// Bytes that every host takes in one packet, and that no path need take less than.
const LEAST: u32 = 576;
const LEAST_V6: u32 = 1280;

/// Judges an ICMP error: by which rule it passes, and to which attachment.
#[inline(always)]
pub fn error<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    walked: &Walked,
) -> Result<(Ruling, u16), Denied> {
    if walked.source.is_unspecified() {
        return Err(Reason::AddressBinding.into());
    }
    identify::speaker(tables, ingress, link, walked.source)?;
    measure(frame, walked)?;
    let quoted = quoted(frame, walked)?;
    // Of what was said to a group nobody has an error to tell (RFC 1122 §3.2.2, RFC 4443 §2.4).
    let to_nobody = quoted.destination.is_unspecified() || quoted.destination.is_group();
    if quoted.source != walked.destination || to_nobody {
        return Err(Reason::IcmpError.into());
    }
    let track = track::of(ingress.admission.segment, &quoted);
    let Some(crossed) = track::direction(tables, &track) else {
        return Err(Reason::IcmpError.into());
    };
    let Crossed { judged, way, .. } = crossed;
    let ruling = Ruling(judged as u32);
    let sent = quoted.kind != Kind::Tcp || track::is_near(quoted.sequence, crossed.acknowledged);
    // Among devices nobody but the receiver has an error to tell; behind an uplink there are routers.
    let heard = ingress.admission.is(Admission::UPLINK) || way_mac(way.to) == link.source;
    let answers = (judged >> 32) as u32 == ingress.control.epoch
        && way.from != 0
        && way_attachment(way.to) == ingress.attachment
        && way_mac(way.from) == link.destination
        && sent
        && heard;
    if !answers {
        // Without the flow's rule, which may be one of an earlier policy.
        return Err(Reason::IcmpError.into());
    }
    Ok((ruling, way_attachment(way.from)))
}

/// An error says no more than it needs to, and no path takes less than every host must (RFC 791, RFC 8200 §5).
#[inline(always)]
fn measure<F: Frame>(frame: &F, walked: &Walked) -> Result<(), Reason> {
    const TOO_BIG: u16 = 0x0304;
    const TOO_BIG_V6: u8 = 2;
    let wrong = Reason::IcmpError;
    let v4 = walked.source.is_v4();
    let least = if v4 { LEAST } else { LEAST_V6 };
    if walked.length > least as usize {
        return Err(wrong);
    }
    let kind = frame.u16(walked.at).ok_or(wrong)?;
    let mtu = frame.u32(walked.at + 4).ok_or(wrong)?;
    let mtu = match v4 {
        // Older routers say nothing (RFC 1191, section 4).
        true if kind == TOO_BIG && mtu & 0xffff != 0 => mtu & 0xffff,
        false if (kind >> 8) as u8 == TOO_BIG_V6 => mtu,
        _ => return Ok(()),
    };
    if mtu < least { Err(wrong) } else { Ok(()) }
}

/// The packet inside: its addresses, and the eight bytes behind them that every error quotes.
#[inline(always)]
fn quoted<F: Frame>(frame: &F, walked: &Walked) -> Result<Packet, Reason> {
    let at = walked.at + 8;
    let length = walked.length.saturating_sub(8);
    let v4 = walked.source.is_v4();
    let wrong = Reason::IcmpError;
    let (source, destination, protocol, header) = if v4 {
        let first = frame.u8(at).ok_or(wrong)?;
        let fragment = frame.u16(at + 6).ok_or(wrong)?;
        let header = (first & 0xf) as usize * 4;
        if first >> 4 != 4 || header < 20 || fragment & 0x1fff != 0 {
            return Err(wrong);
        }
        (
            Ip::v4(frame.u32(at + 12).ok_or(wrong)?),
            Ip::v4(frame.u32(at + 16).ok_or(wrong)?),
            frame.u8(at + 9).ok_or(wrong)?,
            header,
        )
    } else {
        let first = frame.u8(at).ok_or(wrong)?;
        if first >> 4 != 6 {
            return Err(wrong);
        }
        let address = |at| {
            Some(Ip {
                hi: frame.u64(at)?,
                lo: frame.u64(at + 8)?,
            })
        };
        (
            address(at + 8).ok_or(wrong)?,
            address(at + 24).ok_or(wrong)?,
            frame.u8(at + 6).ok_or(wrong)?,
            40,
        )
    };
    if length < header + 8 {
        return Err(wrong);
    }
    let at = at + header;
    let ports = frame.u32(at).ok_or(wrong)?;
    let identifier = frame.u16(at + 4).ok_or(wrong)?;
    let mut packet = Packet {
        source,
        destination,
        protocol,
        source_port: (ports >> 16) as u16,
        destination_port: ports as u16,
        kind: Kind::Udp,
        flags: 0,
        sequence: 0,
        acknowledgement: 0,
        message: Message { at: 0, length: 0 },
        fragment: 0,
    };
    match protocol {
        parse::TCP => {
            packet.kind = Kind::Tcp;
            packet.sequence = frame.u32(at + 4).ok_or(wrong)?;
        }
        parse::UDP => {}
        parse::SCTP => packet.kind = Kind::Sctp,
        parse::ICMP | parse::ICMPV6 => {
            packet.source_port = identifier;
            packet.destination_port = identifier;
            packet.kind = match (protocol, ports >> 16) {
                (parse::ICMP, 0x0800) | (parse::ICMPV6, 0x8000) => Kind::EchoRequest,
                (parse::ICMP, 0x0000) | (parse::ICMPV6, 0x8100) => Kind::EchoReply,
                _ => return Err(wrong),
            };
        }
        _ => return Err(wrong),
    }
    Ok(packet)
}
