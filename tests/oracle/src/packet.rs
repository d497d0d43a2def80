//! The network layer, parsed in the order of the specification's checks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cordon_verdict::Reason;

use crate::frame::{self, Link};
use crate::transport::{self, Content};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub hop_limit: u8,
    pub protocol: u8,
    /// Bytes of its header and payload.
    pub length: usize,
    /// It has IPv4 options or IPv6 extension headers.
    pub has_options: bool,
    /// Content of a leading hop-by-hop options header, after its first two bytes.
    pub hop_by_hop: Option<&'a [u8]>,
    /// Set for fragments.
    pub fragment: Option<Fragment>,
    pub content: Content<'a>,
}

/// The position of a fragment in its packet. `offset` and `length` in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub identification: u32,
    pub offset: usize,
    pub length: usize,
    pub more: bool,
}

impl Fragment {
    pub(crate) fn end(&self) -> usize {
        self.offset + self.length
    }

    fn check(&self) -> Result<(), Reason> {
        let unaligned = !self.length.is_multiple_of(8) || self.length == 0;
        if self.end() > 65535 || (self.more && unaligned) {
            return Err(Reason::Fragment);
        }
        Ok(())
    }
}

impl Packet<'_> {
    /// Whether it is a first fragment.
    pub(crate) fn is_first(&self) -> bool {
        self.fragment.is_some_and(|fragment| fragment.offset == 0)
    }
}

pub(crate) fn ip4<'a>(link: &Link<'a>) -> Result<Packet<'a>, Reason> {
    let bytes = link.payload;
    if bytes.len() < 20 {
        return Err(Reason::Truncated);
    }
    let (version, header) = (bytes[0] >> 4, usize::from(bytes[0] & 0x0f) * 4);
    let total = usize::from(frame::u16_at(bytes, 2));
    let flags = frame::u16_at(bytes, 6);
    let reserved = flags & 0x8000 != 0;
    if version != 4 || header < 20 || total < header || total > bytes.len() || reserved {
        return Err(Reason::IpHeader);
    }
    options(&bytes[20..header])?;
    let (source, destination) = (frame::ipv4(bytes, 12), frame::ipv4(bytes, 16));
    let bad_source = source.is_multicast() || source == Ipv4Addr::BROADCAST || source.is_loopback();
    let bad_destination = destination.is_loopback() || destination == Ipv4Addr::UNSPECIFIED;
    if bad_source || bad_destination || source == destination {
        return Err(Reason::Martian);
    }
    let payload = &bytes[header..total];
    let offset = usize::from(flags & 0x1fff) * 8;
    let more = flags & 0x2000 != 0;
    let fragment = (offset != 0 || more).then_some(Fragment {
        identification: frame::u16_at(bytes, 4).into(),
        offset,
        length: payload.len(),
        more,
    });
    Ok(Packet {
        source: source.into(),
        destination: destination.into(),
        hop_limit: bytes[8],
        protocol: bytes[9],
        length: total,
        has_options: header > 20,
        hop_by_hop: None,
        fragment,
        content: content(fragment, payload, |first| {
            transport::on_ip4(bytes[9], payload, first)
        })?,
    })
}

/// Checks IPv4 options: router alert, no-operation and end of options are allowed, at most 8.
fn options(mut rest: &[u8]) -> Result<(), Reason> {
    for _ in 0..8 {
        match rest {
            [] | [0, ..] => return Ok(()),
            [1, next @ ..] | [148, 4, _, _, next @ ..] => rest = next,
            _ => return Err(Reason::IpOptions),
        }
    }
    match rest {
        [] => Ok(()),
        _ => Err(Reason::IpOptions),
    }
}

pub(crate) fn ip6<'a>(link: &Link<'a>) -> Result<Packet<'a>, Reason> {
    let bytes = link.payload;
    if bytes.len() < 40 {
        return Err(Reason::Truncated);
    }
    let length = usize::from(frame::u16_at(bytes, 4));
    if bytes[0] >> 4 != 6 || 40 + length > bytes.len() {
        return Err(Reason::IpHeader);
    }
    let (source, destination) = (frame::ipv6(bytes, 8), frame::ipv6(bytes, 24));
    if is_mapped(source) || is_mapped(destination) {
        return Err(Reason::Martian);
    }
    let headers = extensions(link, &bytes[..40 + length])?;
    let bad_source = source.is_multicast() || source.is_loopback();
    let bad_destination = destination.is_loopback() || destination.is_unspecified();
    if bad_source || bad_destination || source == destination {
        return Err(Reason::Martian);
    }
    let payload = headers.payload;
    Ok(Packet {
        source: source.into(),
        destination: destination.into(),
        hop_limit: bytes[7],
        protocol: headers.next,
        length: 40 + length,
        has_options: headers.any,
        hop_by_hop: headers.hop_by_hop,
        fragment: headers.fragment,
        content: content(headers.fragment, payload, |first| {
            transport::on_ip6(headers.next, payload, first)
        })?,
    })
}

/// Whether it is IPv4-mapped: in ::ffff:0:0/96.
pub(crate) fn is_mapped(ip: Ipv6Addr) -> bool {
    ip.segments()[..6] == [0, 0, 0, 0, 0, 0xffff]
}

/// The extension headers of an IPv6 packet.
struct Extensions<'a> {
    any: bool,
    hop_by_hop: Option<&'a [u8]>,
    /// None for an unfragmented packet, also if it has a fragment header.
    fragment: Option<Fragment>,
    /// Protocol number after the last of them.
    next: u8,
    payload: &'a [u8],
}

fn extensions<'a>(link: &Link, packet: &'a [u8]) -> Result<Extensions<'a>, Reason> {
    let bad = Err(Reason::Ipv6Extension);
    let mut headers = Extensions {
        any: false,
        hop_by_hop: None,
        fragment: None,
        next: packet[6],
        payload: &packet[40..],
    };
    let mut count = 0;
    let mut last = false;
    while [0, 43, 44, 50, 51, 60, 135, 139, 140].contains(&headers.next) {
        let header = headers.payload;
        if last || count == 4 || header.len() < 8 {
            return bad;
        }
        let length = match headers.next {
            44 => 8,
            _ => 8 + usize::from(header[1]) * 8,
        };
        if length > header.len() {
            return bad;
        }
        headers.payload = &header[length..];
        let offset = link.header() + packet.len() - headers.payload.len();
        if offset > 256 {
            return bad;
        }
        match headers.next {
            0 if count == 0 => headers.hop_by_hop = Some(&header[2..length]),
            60 => {}
            44 => {
                last = true;
                let field = frame::u16_at(header, 2);
                let fragment = Fragment {
                    identification: frame::u32_at(header, 4),
                    offset: usize::from(field & 0xfff8),
                    length: headers.payload.len(),
                    more: field & 1 != 0,
                };
                if fragment.offset != 0 || fragment.more {
                    headers.fragment = Some(fragment);
                }
            }
            _ => return bad,
        }
        headers.any = true;
        headers.next = header[0];
        count += 1;
        if headers
            .fragment
            .is_some_and(|fragment| fragment.offset != 0)
        {
            break;
        }
    }
    Ok(headers)
}

/// Parses the transport layer; later fragments have none.
fn content<'a>(
    fragment: Option<Fragment>,
    payload: &'a [u8],
    read: impl Fn(bool) -> Result<Content<'a>, Reason>,
) -> Result<Content<'a>, Reason> {
    let Some(fragment) = fragment else {
        return read(false);
    };
    fragment.check()?;
    if fragment.offset != 0 {
        return Ok(Content::LaterFragment);
    }
    debug_assert_eq!(fragment.length, payload.len());
    match read(true)? {
        Content::Discovery(_) | Content::Membership(_) | Content::Error(_) => Err(Reason::Fragment),
        content => Ok(content),
    }
}
