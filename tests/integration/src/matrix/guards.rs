//! How each guard is violated.

use std::net::{Ipv4Addr, Ipv6Addr};

use cordon_policy::Mac;

use super::protocols::{Frames, Protocol, Talk};
use super::world::{Party, World};
use crate::generate::GATEWAY;

/// What is violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A device speaks as the address of another.
    AnothersAddress,
    /// A device speaks as an address of the wider network.
    ForeignAddress,
    /// A device is at another port than it is bound to.
    AnothersPort,
    /// A device is at another attachment than it is bound to: stitched or proxied, in another VLAN of the same port.
    AnothersPlace,
    /// An ARP packet names another sender than the frame.
    ArpSender,
    /// An ARP packet neither asks nor answers.
    ArpMalformed,
    /// An advertisement is about another's address.
    NdTarget,
    /// Discovery may have come from afar.
    NdHopLimit,
    /// Discovery names another link-layer address than the sender's.
    NdLinkAddress,
    /// A device answers DHCP clients.
    DhcpServer,
    /// A device does what only routers do.
    Router,
    /// A MAC address that is no device's, where only devices are admitted.
    Stranger,
    /// One more new MAC address than a port may show in a tick, where all are admitted.
    OneTooMany,
    /// One more frame to many than the port may let in in a tick.
    Storm,
    /// The MAC address of a device comes from the uplink.
    DeviceOutside,
    /// The IP address of a device comes from the uplink.
    AddressOutside,
    /// A MAC address that was behind the uplink is at a device-facing port.
    Moved,
    /// The source is the gateway's own MAC address.
    AsTheGateway,
}

/// Someone whom nobody knows, in the segment that admits whoever comes.
pub fn newcomer(world: &World, attempt: u8, number: u8) -> Party {
    let host = (u16::from(attempt) << 8) | u16::from(number);
    Party {
        mac: Mac([2, 7, attempt, world.kind as u8, 0, number]),
        v4: Ipv4Addr::new(10, 4, 16 + attempt, number),
        v6: Ipv6Addr::new(0x2001, 0x0db8, 4, 0, 0, 0, 7, host),
        ..world.guest
    }
}

impl Guard {
    /// Every frame is counted in the tick in which it comes.
    pub fn counts(self) -> bool {
        matches!(self, Guard::OneTooMany | Guard::Storm)
    }

    /// Who speaks to whom.
    pub fn parties(self, world: &World, protocol: Protocol, attempt: u8) -> (Party, Party) {
        let here = protocol.is_here();
        let outside = if here { world.router } else { world.remote };
        let as_ip = |who: Party, whose: Party| Party {
            v4: whose.v4,
            v6: whose.v6,
            ..who
        };
        let in_lobby = |who: Party| {
            (
                who,
                Party {
                    at: world.guest_outside.at,
                    ..world.remote
                },
            )
        };
        match self {
            Guard::AnothersAddress => (as_ip(world.pump, world.monitor), outside),
            Guard::ForeignAddress => {
                let foreign = Party {
                    v4: Ipv4Addr::new(203, 0, 113, 99),
                    v6: Ipv6Addr::new(0x2001, 0x0db8, 0xf, 0, 0, 0, 0, 0x99),
                    ..world.pump
                };
                (foreign, outside)
            }
            Guard::AnothersPort => {
                let at = world.pump.at;
                (Party { at, ..world.bound }, outside)
            }
            Guard::AnothersPlace => {
                let at = world.pump.at;
                (Party { at, ..world.placed }, outside)
            }
            Guard::Stranger => {
                let stranger = Party {
                    mac: Mac([2, 0, 0, 0, 0, 0x77]),
                    v4: Ipv4Addr::new(10, 1, 0, 0x77),
                    v6: Ipv6Addr::new(0x2001, 0x0db8, 1, 0, 0, 0, 0, 0x77),
                    ..world.pump
                };
                (stranger, outside)
            }
            Guard::OneTooMany => in_lobby(newcomer(world, attempt, 200)),
            Guard::Moved => in_lobby(world.guest),
            Guard::Storm => (world.bound, outside),
            Guard::DeviceOutside => {
                let at = world.router.at;
                let mac = world.pump.mac;
                (Party { mac, at, ..outside }, world.monitor)
            }
            Guard::AddressOutside => (as_ip(world.router, world.pump), world.monitor),
            Guard::AsTheGateway => {
                let mac = Mac(GATEWAY);
                (Party { mac, ..world.pump }, outside)
            }
            Guard::ArpSender
            | Guard::ArpMalformed
            | Guard::NdTarget
            | Guard::NdHopLimit
            | Guard::NdLinkAddress
            | Guard::DhcpServer
            | Guard::Router => (world.pump, outside),
        }
    }

    /// The frames of a cell, spoilt.
    pub fn frames(self, talk: &Talk, protocol: Protocol) -> Frames {
        let (before, mut sent) = talk.frames(protocol);
        let packet = &mut sent.payload;
        match self {
            Guard::ArpSender => packet[13] ^= 1,
            Guard::ArpMalformed => packet[7] = 3,
            // The last byte of the target.
            Guard::NdTarget => packet[40 + 23] = 2,
            Guard::NdHopLimit => packet[7] = 254,
            Guard::NdLinkAddress => *packet.last_mut().expect("is long") ^= 1,
            _ => {}
        }
        (before, sent)
    }
}
