//! ICMP errors (RFC 792, RFC 4443): an error passes if it answers a packet that this gateway let pass.
//!
//! The packet that the error quotes must belong to a flow in force. The error must come from where that packet went,
//! and go back to where it came from; a quoted TCP sequence number must be near the last acknowledgement. This is
//! enough for traceroute and path MTU discovery. To forge an error, a host must know all of that and be on the path.

use crate::abi::{Admission, Ruling, path_attachment, path_mac};
use crate::address::Ip;
use crate::admit::Ingress;
use crate::authorise::Denied;
use crate::flow::FlowId;
use crate::frame::Frame;
use crate::identify;
use crate::packet::{Kind, Link, Message, Packet, Walked};
use crate::protocol;
use crate::reason::Reason;
use crate::tables::Tables;
use crate::track::{self, DirectionState};

/// The packet length in bytes that every host accepts (RFC 791), and the smallest MTU of an IPv6 link (RFC 8200 §5).
const MIN_MTU: u32 = 576;
const MIN_MTU_V6: u32 = 1280;

/// Judges an ICMP error: the ruling by which it passes, and its egress attachment.
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
    identify::sender(tables, ingress, link, walked.source)?;
    check_size(frame, walked)?;
    let quoted = quoted(frame, walked)?;
    // Hosts send no errors about packets to a group (RFC 1122 §3.2.2, RFC 4443 §2.4).
    let not_to_host = quoted.destination.is_unspecified() || quoted.destination.is_group();
    if quoted.source != walked.destination || not_to_host {
        return Err(Reason::IcmpError.into());
    }
    let flow_id = FlowId::in_segment(ingress.admission.segment, &quoted);
    let Some(state) = track::direction_state(tables, &flow_id) else {
        return Err(Reason::IcmpError.into());
    };
    let DirectionState { judged, path, .. } = state;
    let ruling = Ruling(judged as u32);
    let sent = quoted.kind != Kind::Tcp || track::is_near(quoted.sequence, state.acknowledged);
    // From a device-facing port only the receiver itself may send an error; behind an uplink routers do too.
    let may_send = ingress.admission.is(Admission::UPLINK) || path_mac(path.to) == link.source;
    let answers = (judged >> 32) as u32 == ingress.control.epoch
        && path.from != 0
        && path_attachment(path.to) == ingress.attachment
        && path_mac(path.from) == link.destination
        && sent
        && may_send;
    if !answers {
        // Does not name the flow's rule, which may be one of an earlier policy.
        return Err(Reason::IcmpError.into());
    }
    Ok((ruling, path_attachment(path.from)))
}

/// Checks that the error is no longer than hosts send, and that a path MTU in it is not below the minimum.
#[inline(always)]
fn check_size<F: Frame>(frame: &F, walked: &Walked) -> Result<(), Reason> {
    const TOO_BIG: u16 = 0x0304;
    const TOO_BIG_V6: u8 = 2;
    let wrong = Reason::IcmpError;
    let v4 = walked.source.is_v4();
    let min_mtu = if v4 { MIN_MTU } else { MIN_MTU_V6 };
    if walked.length > min_mtu as usize {
        return Err(wrong);
    }
    let kind = frame.u16(walked.at).ok_or(wrong)?;
    let mtu = frame.u32(walked.at + 4).ok_or(wrong)?;
    let mtu = match v4 {
        // Older routers leave the MTU at 0 (RFC 1191 §4).
        true if kind == TOO_BIG && mtu & 0xffff != 0 => mtu & 0xffff,
        false if (kind >> 8) as u8 == TOO_BIG_V6 => mtu,
        _ => return Ok(()),
    };
    if mtu < min_mtu { Err(wrong) } else { Ok(()) }
}

/// The quoted packet: its IP header, and the eight bytes after it that every error quotes.
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
        protocol::TCP => {
            packet.kind = Kind::Tcp;
            packet.sequence = frame.u32(at + 4).ok_or(wrong)?;
        }
        protocol::UDP => {}
        protocol::SCTP => packet.kind = Kind::Sctp,
        protocol::ICMP | protocol::ICMPV6 => {
            packet.source_port = identifier;
            packet.destination_port = identifier;
            packet.kind = match (protocol, ports >> 16) {
                (protocol::ICMP, 0x0800) | (protocol::ICMPV6, 0x8000) => Kind::EchoRequest,
                (protocol::ICMP, 0x0000) | (protocol::ICMPV6, 0x8100) => Kind::EchoReply,
                _ => return Err(wrong),
            };
        }
        _ => return Err(wrong),
    }
    Ok(packet)
}
