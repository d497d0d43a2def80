//! What a frame says: the link layer, and how to read it.

use std::net::{Ipv4Addr, Ipv6Addr};

use cordon_policy::Mac;
use cordon_verdict::Reason;

pub(crate) const VLAN_TAG: u16 = 0x8100;
pub(crate) const SERVICE_TAG: u16 = 0x88a8;
pub(crate) const PTP: u16 = 0x88f7;

/// The Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link<'a> {
    pub destination: Mac,
    pub source: Mac,
    /// The tag control information: priority, drop eligibility, VLAN ID.
    pub tag: Option<u16>,
    pub ether_type: u16,
    pub payload: &'a [u8],
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
    /// The VLAN that the frame is in, 0 for untagged.
    pub(crate) fn vlan(&self) -> u16 {
        self.tag.map_or(0, |tag| tag & 0x0fff)
    }

    /// Where the network layer starts in the frame.
    pub(crate) fn header(&self) -> usize {
        if self.tag.is_some() { 18 } else { 14 }
    }
}

pub(crate) fn head(frame: &[u8]) -> Result<Head<'_>, Reason> {
    if frame.len() < 14 {
        return Err(Reason::Truncated);
    }
    let (destination, source) = (mac(frame, 0), mac(frame, 6));
    if is_group_mac(source) || source.0 == [0; 6] {
        return Err(Reason::SourceMac);
    }
    if destination.0[..5] == [0x01, 0x80, 0xc2, 0x00, 0x00] && destination.0[5] <= 0x0f {
        return Ok(Head::LinkControl);
    }
    let mut tag = None;
    let mut ether_type = word(frame, 12);
    let mut payload = &frame[14..];
    if ether_type == VLAN_TAG {
        if frame.len() < 18 {
            return Err(Reason::Truncated);
        }
        tag = Some(word(frame, 14));
        ether_type = word(frame, 16);
        payload = &frame[18..];
    }
    if ether_type == VLAN_TAG || ether_type == SERVICE_TAG {
        return Err(Reason::VlanStack);
    }
    if ether_type == PTP && tag.is_none() {
        return Ok(Head::LinkControl);
    }
    Ok(Head::Frame(Link {
        destination,
        source,
        tag,
        ether_type,
        payload,
    }))
}
