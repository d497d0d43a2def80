//! Numbers of protocols, message types and options, from their specifications.

use std::net::{IpAddr, Ipv4Addr};

use cordon_policy::Mac;

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const ARP: u16 = 0x0806;
pub(crate) const IPV6: u16 = 0x86dd;
pub(crate) const VLAN_TAG: u16 = 0x8100;
pub(crate) const SERVICE_TAG: u16 = 0x88a8;
pub(crate) const PTP: u16 = 0x88f7;

pub(crate) const ICMP: u8 = 1;
pub(crate) const IGMP: u8 = 2;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP6: u8 = 58;
pub(crate) const SCTP: u8 = 132;

/// Types of ICMP (RFC 792) and ICMPv6 (RFC 4443) messages, with code 0.
pub(crate) const ECHO_REQUEST: u8 = 8;
pub(crate) const ECHO_REPLY: u8 = 0;
pub(crate) const ECHO_REQUEST6: u8 = 128;
pub(crate) const ECHO_REPLY6: u8 = 129;

/// Types of neighbour discovery messages (RFC 4861 section 4).
pub(crate) const ROUTER_SOLICITATION: u8 = 133;
pub(crate) const ROUTER_ADVERTISEMENT: u8 = 134;
pub(crate) const NEIGHBOUR_SOLICITATION: u8 = 135;
pub(crate) const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Types of neighbour discovery options (RFC 4861 section 4.6, RFC 3971 section 5.3.2).
pub(crate) const SOURCE_LINK_ADDRESS: u8 = 1;
pub(crate) const TARGET_LINK_ADDRESS: u8 = 2;
pub(crate) const NONCE: u8 = 14;

/// Type of an IGMP (RFC 9776) and of an MLD (RFC 9777) query.
pub(crate) const IGMP_QUERY: u8 = 0x11;
pub(crate) const MLD_QUERY: u8 = 130;

/// 255.255.255.255.
pub(crate) const LIMITED_BROADCAST: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);
pub(crate) const LIMITED_BROADCAST_MAC: Mac = Mac([0xff; 6]);
