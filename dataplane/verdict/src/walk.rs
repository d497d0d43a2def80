//! Stage 1, the long way: options, extension headers and fragments, which most packets have none of.

use crate::address::Ip;
use crate::frame::Frame;
use crate::parse::{self, ETHERTYPE_IPV4, Link};
use crate::reason::Reason;

/// Extension headers that are walked over. More than any sender has a use for.
const EXTENSIONS: usize = 4;
/// Options that are looked at.
const OPTIONS: usize = 8;
/// Where a header, and what is behind the last, starts at the latest: 14 + 8 bytes of link, 40 of IPv6, and room for
/// extensions.
const FARTHEST: usize = 256;

const HOP_BY_HOP: u8 = 0;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// The network layer, whatever was in front of the transport layer.
#[derive(Clone, Copy)]
pub struct Walked {
    pub source: Ip,
    pub destination: Ip,
    pub protocol: u8,
    /// Time to live, or hop limit.
    pub hops: u8,
    /// Whether it carries the router alert option (RFC 2113, RFC 2711).
    pub router_alert: bool,
    /// Where what is carried starts, and how many bytes of it are here.
    pub at: usize,
    pub length: usize,
    pub piece: Piece,
}

/// What part of a packet a frame carries.
#[derive(Clone, Copy)]
pub struct Piece {
    /// The packet's identification.
    pub id: u32,
    /// Where it belongs, in bytes.
    pub offset: u16,
    /// Whether more follow.
    pub more: bool,
}

impl Piece {
    const WHOLE: Piece = Piece {
        id: 0,
        offset: 0,
        more: false,
    };

    /// All of it.
    #[inline(always)]
    pub const fn is_whole(&self) -> bool {
        self.offset == 0 && !self.more
    }
}

/// Walks over everything in front of the transport layer.
#[inline(always)]
pub fn headers<F: Frame>(frame: &F, link: &Link) -> Result<Walked, Reason> {
    let walked = if link.ether_type == ETHERTYPE_IPV4 {
        ipv4(frame, link.network)?
    } else {
        ipv6(frame, link.network)?
    };
    parse::addresses(walked.source, walked.destination)?;
    // What more fragments follow ends where the next begins, and offsets count in eights (RFC 791, RFC 8200 §4.5).
    let Piece { offset, more, .. } = walked.piece;
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
    // The bit that RFC 791 reserves marks nothing good.
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
        piece: Piece {
            id: identification >> 16,
            offset: (identification & 0x1fff) as u16 * 8,
            more: identification & 0x2000 != 0,
        },
    })
}

/// Nothing but router alert and padding: routes recorded or dictated by the sender have no place here (RFC 7126).
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
        piece: Piece::WHOLE,
    };
    extensions(frame, &mut walked)?;
    Ok(walked)
}

/// Hop-by-hop options in front, destination options, and one fragment header as the last; nothing else (RFC 8200 §4.1,
/// RFC 5095 for routing headers).
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
            walked.piece = Piece {
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
        if walked.piece.offset != 0 {
            // What a later fragment carries is not to be read as a header.
            return Ok(());
        }
    }
    Ok(())
}
