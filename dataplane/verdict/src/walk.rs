//! The extended parse: IPv4 options, IPv6 extension headers and fragments. Most packets have none.

use crate::address::Ip;
use crate::frame::Frame;
use crate::packet::{FragmentInfo, Link, Walked};
use crate::parse::{self, ETHERTYPE_IPV4};
use crate::reason::Reason;

/// Extension headers that are skipped at most. No real sender uses more.
const EXTENSIONS: usize = 4;
/// IPv4 options that are read at most.
const OPTIONS: usize = 8;
/// The highest offset at which a header, or the payload after the last header, may start: 22 bytes of link layer, 40 of
/// IPv6, and room for extension headers.
const FARTHEST: usize = 256;

const HOP_BY_HOP: u8 = 0;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Parses the network layer, and skips its options or extension headers.
#[inline(always)]
pub fn headers<F: Frame>(frame: &F, link: &Link) -> Result<Walked, Reason> {
    let walked = if link.ether_type == ETHERTYPE_IPV4 {
        ipv4(frame, link.network)?
    } else {
        ipv6(frame, link.network)?
    };
    parse::addresses(walked.source, walked.destination)?;
    // Offsets count in units of 8 bytes, so all fragments but the last have a multiple of 8 (RFC 791, RFC 8200 §4.5).
    let FragmentInfo { offset, more, .. } = walked.fragment;
    let ends = offset as usize + walked.length;
    if ends > u16::MAX as usize || (more && (walked.length == 0 || walked.length % 8 != 0)) {
        return Err(Reason::Fragment);
    }
    Ok(walked)
}

#[inline(always)]
fn ipv4<F: Frame>(frame: &F, at: usize) -> Result<Walked, Reason> {
    let first = frame.u32(at).ok_or(Reason::Truncated)?;
    let identification = frame.u32(at + 4).ok_or(Reason::Truncated)?;
    let hops = frame.u8(at + 8).ok_or(Reason::Truncated)?;
    let protocol = frame.u8(at + 9).ok_or(Reason::Truncated)?;
    let source = frame.u32(at + 12).ok_or(Reason::Truncated)?;
    let destination = frame.u32(at + 16).ok_or(Reason::Truncated)?;
    let total = first as usize & 0xffff;
    let header = (first >> 24 & 0xf) as usize * 4;
    // RFC 791 reserves this bit: no legitimate sender sets it.
    let reserved = identification & 0x8000 != 0;
    if header < 20 || total < header || total > frame.len() - at || reserved {
        return Err(Reason::IpHeader);
    }
    Ok(Walked {
        source: Ip::v4(source),
        destination: Ip::v4(destination),
        protocol,
        hops,
        router_alert: header > 20 && options(frame, at + 20, at + header)?,
        at: at + header,
        length: total - header,
        fragment: FragmentInfo {
            id: identification >> 16,
            offset: (identification & 0x1fff) as u16 * 8,
            more: identification & 0x2000 != 0,
        },
    })
}

/// Allows router alert and padding only. Source routing and route recording are refused (RFC 7126). Returns whether
/// there is a router alert.
#[inline(always)]
fn options<F: Frame>(frame: &F, from: usize, end: usize) -> Result<bool, Reason> {
    let mut at = from;
    let mut alert = false;
    for _ in 0..OPTIONS {
        if at >= end {
            return Ok(alert);
        }
        match frame.u8(at).ok_or(Reason::Truncated)? {
            0 => return Ok(alert),
            1 => at += 1,
            148 => {
                if at + 4 > end || frame.u8(at + 1) != Some(4) {
                    return Err(Reason::IpOptions);
                }
                alert = true;
                at += 4;
            }
            _ => return Err(Reason::IpOptions),
        }
    }
    if at >= end {
        Ok(alert)
    } else {
        Err(Reason::IpOptions)
    }
}

#[inline(always)]
fn ipv6<F: Frame>(frame: &F, at: usize) -> Result<Walked, Reason> {
    let first = frame.u8(at).ok_or(Reason::Truncated)?;
    let length = frame.u16(at + 4).ok_or(Reason::Truncated)? as usize;
    let next = frame.u8(at + 6).ok_or(Reason::Truncated)?;
    let hops = frame.u8(at + 7).ok_or(Reason::Truncated)?;
    let source = Ip {
        hi: frame.u64(at + 8).ok_or(Reason::Truncated)?,
        lo: frame.u64(at + 16).ok_or(Reason::Truncated)?,
    };
    let destination = Ip {
        hi: frame.u64(at + 24).ok_or(Reason::Truncated)?,
        lo: frame.u64(at + 32).ok_or(Reason::Truncated)?,
    };
    if first >> 4 != 6 || length + 40 > frame.len() - at {
        return Err(Reason::IpHeader);
    }
    if source.is_v4() || destination.is_v4() {
        return Err(Reason::Martian);
    }
    let mut walked = Walked {
        source,
        destination,
        protocol: next,
        hops,
        router_alert: false,
        at: at + 40,
        length,
        fragment: FragmentInfo::WHOLE,
    };
    extensions(frame, &mut walked)?;
    Ok(walked)
}

/// Skips extension headers: hop-by-hop options in the first place, destination options, and one fragment header as the
/// last. All others are refused (RFC 8200 §4.1; RFC 5095 for routing headers).
#[inline(always)]
fn extensions<F: Frame>(frame: &F, walked: &mut Walked) -> Result<(), Reason> {
    let mut fragmented = false;
    for number in 0..=EXTENSIONS {
        let at = walked.at;
        let options = match walked.protocol {
            HOP_BY_HOP => number == 0,
            DESTINATION_OPTIONS if !fragmented => true,
            FRAGMENT if !fragmented => false,
            DESTINATION_OPTIONS | FRAGMENT | 43 | 50 | 51 | 135 | 139 | 140 => {
                return Err(Reason::Ipv6Extension);
            }
            _ => return Ok(()),
        };
        if walked.length < 8 || number == EXTENSIONS || (walked.protocol == HOP_BY_HOP && !options)
        {
            return Err(Reason::Ipv6Extension);
        }
        let header = if options {
            8 + frame.u8(at + 1).ok_or(Reason::Truncated)? as usize * 8
        } else {
            8
        };
        if header > walked.length {
            return Err(Reason::Ipv6Extension);
        }
        // The first eight bytes of the header.
        let word = frame.u64(at).ok_or(Reason::Truncated)?;
        if !options {
            fragmented = true;
            walked.fragment = FragmentInfo {
                id: word as u32,
                offset: (word >> 32) as u16 & 0xfff8,
                more: word >> 32 & 1 != 0,
            };
        } else if walked.protocol == HOP_BY_HOP && word >> 16 & 0xffff_ffff == 0x0502_0000 {
            walked.router_alert = true;
        }
        walked.protocol = (word >> 56) as u8;
        walked.at = at + header;
        walked.length -= header;
        if walked.at > FARTHEST {
            return Err(Reason::Ipv6Extension);
        }
        if walked.fragment.offset != 0 {
            // The payload of a later fragment does not start with a header.
            return Ok(());
        }
    }
    Ok(())
}
