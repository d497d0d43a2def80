//! Segments and zones.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Attachment;
use crate::problem::SourcePosition;

/// What happens to devices that are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Their frames are dropped.
    Drop,
    /// They are unnamed members of the segment.
    Admit,
}

/// Whether verdicts take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Verdicts take effect.
    Enforce,
    /// A flow that no rule allows is forwarded as if a rule allowed it, and counted.
    Observe,
}

/// One broadcast domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// At least one. Several at one port stitch VLANs into one broadcast domain.
    pub attachments: Vec<Attachment>,
    /// Its subnets; they overlap those of no other segment.
    pub subnets: Vec<IpNet>,
    /// Whether its devices are kept apart from each other.
    pub isolate: bool,
    /// What happens to devices that are not listed.
    pub unknown: Unknown,
    /// Whether verdicts take effect.
    pub mode: Mode,
    /// Whether the gateway is an ARP and ND proxy for its devices: it answers for their addresses and forwards to them
    /// the frames that it then receives.
    pub proxy: bool,
    /// The addresses of its routers, which no device may use: in its subnets, or IPv6 link-local.
    pub routers: Vec<IpAddr>,
    /// EtherTypes besides IP and ARP that are forwarded without inspection.
    pub ether_types: Vec<u16>,
    /// Index of its zone.
    pub zone: usize,
    /// Its number in the tables, below [`MAX_SEGMENTS`](crate::MAX_SEGMENTS). It follows from the name, not from the index:
    /// when another segment is added or removed, the flows and stations of this one still belong to it.
    pub number: u16,
    /// Where it is written.
    pub position: SourcePosition,
}

impl Segment {
    /// Whether flooded frames are copied to one attachment after the other. That is so where a port has several
    /// attachments, since one port then sends several copies, and where a proxy sends a copy back to the ingress port.
    pub fn copied_one_by_one(&self) -> bool {
        let mut ports: Vec<usize> = self.attachments.iter().map(|at| at.port).collect();
        ports.sort_unstable();
        self.proxy || ports.windows(2).any(|two| two[0] == two[1])
    }
}

/// The unit of policy between areas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Indices of its segments.
    pub segments: Vec<usize>,
    /// Its networks; each is in one zone only. Of nested networks the longest prefix decides.
    pub networks: Vec<IpNet>,
    /// Whether it is inside the site.
    pub local: bool,
}
