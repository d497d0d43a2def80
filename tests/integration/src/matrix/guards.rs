//! Builds frames that violate each guard.

use std::net::{Ipv4Addr, Ipv6Addr};

use cordon_policy::Mac;

use super::frames::{Exchange, Frames};
use super::protocols::Protocol;
use super::topology::{Endpoint, Topology};
use crate::generate::GATEWAY;
use crate::generate::frame::{ICMP6, group_mac};

/// A violation of a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A device sends from the address of another device.
    SpoofedAddress,
    /// A device sends from an address of the wider network.
    ForeignAddress,
    /// A device is at a port to which it is not bound.
    WrongPort,
    /// A device is at an attachment to which it is not bound: in stitched and proxied segments, in another VLAN of its
    /// port.
    WrongAttachment,
    /// The sender hardware address of an ARP packet is not the frame's source.
    ArpSender,
    /// The operation of an ARP packet is neither request nor reply.
    ArpMalformed,
    /// The target hardware address of an ARP reply is not the host to which the frame goes.
    ArpTarget,
    /// A neighbour advertisement has another host's address as its target.
    NdTarget,
    /// The hop limit of neighbour discovery is not 255 (RFC 4861).
    NdHopLimit,
    /// A link-layer address option of neighbour discovery is not the sender's.
    NdLinkAddress,
    /// Neighbour discovery goes to a group that no host asked for.
    NdDestination,
    /// Neighbour discovery goes to a multicast address, but to the MAC address of another (RFC 2464).
    NdMulticastMac,
    /// The target of a neighbour solicitation is not on-link.
    NdOffLink,
    /// Neighbour discovery has an extension header.
    NdExtension,
    /// More bytes follow neighbour discovery than a minimum frame needs.
    NdPadding,
    /// A membership report is longer than its records.
    MembershipLength,
    /// A device sends DHCP server messages.
    DhcpServer,
    /// A device sends router advertisements or membership queries.
    Router,
    /// An unlisted host is in a segment that admits only devices.
    UnlistedHost,
    /// One new MAC address more than a port may learn within a tick, in a segment that admits unlisted hosts.
    StationLimit,
    /// One broadcast or multicast frame more than the port admits within a tick.
    Storm,
    /// A frame from the uplink has the MAC address of a device.
    DeviceOnUplink,
    /// A frame from the uplink has the IP address of a device.
    AddressOnUplink,
    /// A MAC address that was learned at the uplink is at a device-facing port.
    StationMove,
    /// The source is the gateway's own MAC address.
    GatewayMac,
}

/// A new unlisted host in the segment that admits unlisted hosts.
pub fn newcomer(topology: &Topology, attempt: u8, number: u8) -> Endpoint {
    let host = (u16::from(attempt) << 8) | u16::from(number);
    Endpoint {
        mac: Mac([2, 7, attempt, topology.kind as u8, 0, number]),
        v4: Ipv4Addr::new(10, 4, 16 + attempt, number),
        v6: Ipv6Addr::new(0x2001, 0x0db8, 4, 0, 0, 0, 7, host),
        ..topology.guest
    }
}

impl Guard {
    /// Whether the guard is a rate limit, which counts frames within a tick.
    pub fn is_rate_limit(self) -> bool {
        matches!(self, Guard::StationLimit | Guard::Storm)
    }

    /// Sender and receiver.
    pub fn endpoints(
        self,
        topology: &Topology,
        protocol: Protocol,
        attempt: u8,
    ) -> (Endpoint, Endpoint) {
        let outside = if protocol.is_segment_local() {
            topology.router
        } else {
            topology.remote
        };
        let with_ips_of = |sender: Endpoint, owner: Endpoint| Endpoint {
            v4: owner.v4,
            v6: owner.v6,
            ..sender
        };
        let in_lobby = |sender: Endpoint| {
            (
                sender,
                Endpoint {
                    at: topology.guest_outside.at,
                    ..topology.remote
                },
            )
        };
        match self {
            Guard::SpoofedAddress => (with_ips_of(topology.pump, topology.monitor), outside),
            Guard::ForeignAddress => {
                let foreign = Endpoint {
                    v4: Ipv4Addr::new(203, 0, 113, 99),
                    v6: Ipv6Addr::new(0x2001, 0x0db8, 0xf, 0, 0, 0, 0, 0x99),
                    ..topology.pump
                };
                (foreign, outside)
            }
            Guard::WrongPort => {
                let at = topology.pump.at;
                (
                    Endpoint {
                        at,
                        ..topology.bound
                    },
                    outside,
                )
            }
            Guard::WrongAttachment => {
                let at = topology.pump.at;
                (
                    Endpoint {
                        at,
                        ..topology.placed
                    },
                    outside,
                )
            }
            Guard::UnlistedHost => {
                let unlisted = Endpoint {
                    mac: Mac([2, 0, 0, 0, 0, 0x77]),
                    v4: Ipv4Addr::new(10, 1, 0, 0x77),
                    v6: Ipv6Addr::new(0x2001, 0x0db8, 1, 0, 0, 0, 0, 0x77),
                    ..topology.pump
                };
                (unlisted, outside)
            }
            Guard::StationLimit => in_lobby(newcomer(topology, attempt, 200)),
            Guard::StationMove => in_lobby(topology.guest),
            Guard::Storm => (topology.bound, outside),
            Guard::DeviceOnUplink => {
                let at = topology.router.at;
                let mac = topology.pump.mac;
                (Endpoint { mac, at, ..outside }, topology.monitor)
            }
            Guard::AddressOnUplink => (
                with_ips_of(topology.router, topology.pump),
                topology.monitor,
            ),
            Guard::GatewayMac => {
                let mac = Mac(GATEWAY);
                (
                    Endpoint {
                        mac,
                        ..topology.pump
                    },
                    outside,
                )
            }
            Guard::ArpSender
            | Guard::ArpMalformed
            | Guard::ArpTarget
            | Guard::NdTarget
            | Guard::NdDestination
            | Guard::NdMulticastMac
            | Guard::NdOffLink
            | Guard::NdExtension
            | Guard::NdPadding
            | Guard::MembershipLength
            | Guard::NdHopLimit
            | Guard::NdLinkAddress
            | Guard::DhcpServer
            | Guard::Router => (topology.pump, outside),
        }
    }

    /// The frames of a cell, changed to violate the guard.
    pub fn frames(self, exchange: &Exchange, protocol: Protocol) -> Frames {
        let (before, mut sent) = exchange.frames(protocol);
        let packet = &mut sent.payload;
        match self {
            Guard::ArpSender => packet[13] ^= 1,
            Guard::ArpMalformed => packet[7] = 3,
            // The last byte of the target address.
            Guard::NdTarget => packet[40 + 23] = 2,
            Guard::ArpTarget => packet[18] ^= 0x10,
            Guard::NdDestination => {
                let group = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, 1);
                packet[24..40].copy_from_slice(&group.octets());
                sent.macs.0 = group_mac(group.into());
            }
            Guard::NdMulticastMac => sent.macs.0.0[5] ^= 1,
            // The fourth group of the address: another network, with the same solicited-node address.
            Guard::NdOffLink => packet[40 + 8 + 7] ^= 1,
            Guard::NdExtension => {
                packet[6] = 60;
                packet[5] += 8;
                packet.splice(40..40, [ICMP6, 0, 1, 4, 0, 0, 0, 0]);
            }
            Guard::NdPadding => packet.extend([0; 27]),
            Guard::MembershipLength => match packet[0] >> 4 {
                // Its padding becomes part of the message.
                4 => packet[3] += 4,
                _ => {
                    packet[5] += 4;
                    packet.extend([0; 4]);
                }
            },
            Guard::NdHopLimit => packet[7] = 254,
            Guard::NdLinkAddress => *packet.last_mut().expect("the packet is not empty") ^= 1,
            _ => {}
        }
        (before, sent)
    }
}
