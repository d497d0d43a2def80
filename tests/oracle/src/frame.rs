//! What a frame says: the link layer, and how to read it.

use std::net::{Ipv4Addr, Ipv6Addr};

use cordon_policy::{Attachment, Mac};
use cordon_verdict::Reason;

pub(crate) const VLAN_TAG: u16 = 0x8100;
pub(crate) const SERVICE_TAG: u16 = 0x88a8;
pub(crate) const PTP: u16 = 0x88f7;
/// The MAC address of the gateway itself, as which it stands in for devices.
pub(crate) const GATEWAY: Mac = Mac([0x02, 0x43, 0x4f, 0x52, 0x44, 0x4e]);

/// A VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Its EtherType.
    pub kind: u16,
    /// Priority, drop eligibility, VLAN ID.
    pub control: u16,
}

impl Tag {
    pub(crate) fn vlan(self) -> u16 {
        self.control & 0x0fff
    }

    /// Priority and drop eligibility, where they are in a tag.
    pub(crate) fn priority(self) -> u16 {
        self.control & 0xf000
    }
}

/// The Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link<'a> {
    /// Behind the proxy.
    pub destination: Mac,
    pub source: Mac,
    /// The only one, or the first of two.
    pub outer: Option<Tag>,
    /// The second of two.
    pub inner: Option<Tag>,
    pub ether_type: u16,
    pub payload: &'a [u8],
    /// It came to the gateway, which stands in for the destination.
    pub proxied: bool,
}

/// What a frame is at first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head<'a> {
    /// Bridges keep it to themselves: nothing more of it is read as a frame of a segment.
    LinkControl,
    Frame(Link<'a>),
}

pub(crate) fn is_group_mac(mac: Mac) -> bool {
    mac.0[0] & 1 == 1
}

/// 16 bits in the order of the network.
pub(crate) fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// 32 bits in the order of the network.
pub(crate) fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from(word(bytes, at)) << 16 | u32::from(word(bytes, at + 2))
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
    /// Where the frame is, at a port. A tag without a VLAN leaves it untagged.
    pub(crate) fn place(&self, port: usize) -> Attachment {
        Attachment {
            port,
            vlan: self.outer.map_or(0, Tag::vlan),
            inner: self.inner.map_or(0, Tag::vlan),
        }
    }

    /// Where the network layer starts in the frame.
    pub(crate) fn header(&self) -> usize {
        let tags = [self.outer, self.inner];
        14 + 4 * tags.iter().flatten().count()
    }
}

/// The tag at this place of a frame, and the EtherType behind it.
fn tag(frame: &[u8], at: usize) -> Result<(Tag, u16), Reason> {
    if frame.len() < at + 6 {
        return Err(Reason::Truncated);
    }
    let tag = Tag {
        kind: word(frame, at),
        control: word(frame, at + 2),
    };
    Ok((tag, word(frame, at + 4)))
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
        ether_type: word(frame, 12),
        payload: &[],
        proxied: false,
    };
    if [VLAN_TAG, SERVICE_TAG].contains(&link.ether_type) {
        let (outer, behind) = tag(frame, 12)?;
        link.outer = Some(outer);
        link.ether_type = behind;
        match (outer.kind, behind) {
            (_, VLAN_TAG) => {
                let (inner, behind) = tag(frame, 16)?;
                link.inner = Some(inner);
                link.ether_type = behind;
                let a_priority_tag = outer.vlan() == 0 || inner.vlan() == 0;
                if a_priority_tag || [VLAN_TAG, SERVICE_TAG].contains(&behind) {
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
