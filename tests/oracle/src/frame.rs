//! The link layer: Ethernet header and VLAN tags, and how fields are read.

use std::net::{Ipv4Addr, Ipv6Addr};

use cordon_policy::{Attachment, Mac};
use cordon_verdict::Reason;

use crate::protocol::{PTP, SERVICE_TAG, VLAN_TAG};

/// The gateway's own MAC address, with which it acts as proxy for devices.
pub(crate) const GATEWAY: Mac = Mac([0x02, 0x43, 0x4f, 0x52, 0x44, 0x4e]);

/// A VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// TPID.
    pub kind: u16,
    /// TCI: priority (PCP), drop eligibility (DEI), VLAN ID.
    pub control: u16,
}

impl Tag {
    pub(crate) fn vlan(self) -> u16 {
        self.control & 0x0fff
    }

    /// PCP and DEI, in their position in the TCI.
    pub(crate) fn priority(self) -> u16 {
        self.control & 0xf000
    }
}

/// The Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link<'a> {
    /// The device's address where `proxied`.
    pub destination: Mac,
    pub source: Mac,
    /// The only tag, or the outer of two.
    pub outer: Option<Tag>,
    /// The inner of two tags.
    pub inner: Option<Tag>,
    pub ether_type: u16,
    pub payload: &'a [u8],
    /// The frame was sent to the gateway's MAC address as proxy of the destination.
    pub proxied: bool,
}

/// The result of parsing the link layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head<'a> {
    /// A frame to a reserved bridge address, or PTP: not a frame of a segment, and not parsed further.
    LinkControl,
    Frame(Link<'a>),
}

pub(crate) fn is_group_mac(mac: Mac) -> bool {
    mac.0[0] & 1 == 1
}

/// A big-endian 16-bit field.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// A big-endian 32-bit field.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) << 16 | u32::from(u16_at(bytes, at + 2))
}

pub(crate) fn mac(bytes: &[u8], at: usize) -> Mac {
    Mac(std::array::from_fn(|index| bytes[at + index]))
}

pub(crate) fn ipv4(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::from(std::array::from_fn::<u8, 4, _>(|index| bytes[at + index]))
}

pub(crate) fn ipv6(bytes: &[u8], at: usize) -> Ipv6Addr {
    Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|index| bytes[at + index]))
}

impl Link<'_> {
    /// The attachment of the frame at a port. A priority tag (VLAN 0) counts as untagged.
    pub(crate) fn attachment(&self, port: usize) -> Attachment {
        Attachment {
            port,
            vlan: self.outer.map_or(0, Tag::vlan),
            inner: self.inner.map_or(0, Tag::vlan),
        }
    }

    /// Offset of the network layer in the frame.
    pub(crate) fn header(&self) -> usize {
        let tags = [self.outer, self.inner];
        14 + 4 * tags.iter().flatten().count()
    }
}

/// The tag at an offset of a frame, and the EtherType after it.
fn tag(frame: &[u8], at: usize) -> Result<(Tag, u16), Reason> {
    if frame.len() < at + 6 {
        return Err(Reason::Truncated);
    }
    let tag = Tag {
        kind: u16_at(frame, at),
        control: u16_at(frame, at + 2),
    };
    Ok((tag, u16_at(frame, at + 4)))
}

pub(crate) fn head(frame: &[u8]) -> Result<Head<'_>, Reason> {
    if frame.len() < 14 {
        return Err(Reason::Truncated);
    }
    let (destination, source) = (mac(frame, 0), mac(frame, 6));
    if is_group_mac(source) || source.0 == [0; 6] || source == GATEWAY {
        return Err(Reason::SourceMac);
    }
    if destination.0[..5] == [0x01, 0x80, 0xc2, 0x00, 0x00] && destination.0[5] <= 0x0f {
        return Ok(Head::LinkControl);
    }
    let mut link = Link {
        destination,
        source,
        outer: None,
        inner: None,
        ether_type: u16_at(frame, 12),
        payload: &[],
        proxied: false,
    };
    if [VLAN_TAG, SERVICE_TAG].contains(&link.ether_type) {
        let (outer, next) = tag(frame, 12)?;
        link.outer = Some(outer);
        link.ether_type = next;
        match (outer.kind, next) {
            (_, VLAN_TAG) => {
                let (inner, next) = tag(frame, 16)?;
                link.inner = Some(inner);
                link.ether_type = next;
                let is_priority_tagged = outer.vlan() == 0 || inner.vlan() == 0;
                if is_priority_tagged || [VLAN_TAG, SERVICE_TAG].contains(&next) {
                    return Err(Reason::VlanStack);
                }
            }
            (SERVICE_TAG, _) | (_, SERVICE_TAG) => return Err(Reason::VlanStack),
            _ => {}
        }
    }
    if link.ether_type == PTP && link.outer.is_none() {
        return Ok(Head::LinkControl);
    }
    link.payload = &frame[link.header()..];
    Ok(Head::Frame(link))
}
