//! Identify: find the classes of sender and receiver.
//!
//! A listed device is identified by its MAC address in its segment, and may use only the IP addresses bound to it.
//! Hosts behind an uplink, and unlisted hosts, are identified by the network of their address.

use crate::abi::{Admission, Device, Network, PortRate, Station, fdb_key};
use crate::address::{Ip, MAC_GROUP};
use crate::admit::{self, Ingress, start};
use crate::packet::{Kind, Link, Packet};
use crate::protocol::UDP;
use crate::reason::Reason;
use crate::tables::Tables;

/// The class of the source of a packet.
#[inline(always)]
pub fn source<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
) -> Result<u16, Reason> {
    if packet.source.is_unspecified() && !may_be_unspecified(packet) {
        return Err(Reason::AddressBinding);
    }
    let class = sender(tables, ingress, link, packet.source)?;
    if packet.protocol == UDP && answers_dhcp(packet) && !ingress.admission.is(Admission::UPLINK) {
        let key = fdb_key(ingress.admission.segment, link.source);
        match tables.device(ingress.control.slot, key) {
            Some(device) if device.is(Device::DHCP_SERVER) => {}
            _ => return Err(Reason::DhcpGuard),
        }
    }
    Ok(class)
}

/// Whether a packet goes to the port of a DHCP client (RFC 2131 §4.1, RFC 8415 §7.2), from any port: clients do not
/// check the source port.
#[inline(always)]
fn answers_dhcp(packet: &Packet) -> bool {
    matches!(packet.destination_port, 68 | 546)
}

/// Whether the source may be unspecified: in a DHCP request (RFC 2131 §4.1) and in duplicate address detection
/// (RFC 4862 §5.4).
#[inline(always)]
fn may_be_unspecified(packet: &Packet) -> bool {
    match packet.protocol {
        UDP => {
            packet.source_port == 68
                && packet.destination_port == 67
                && packet.destination == Ip::v4(u32::MAX)
        }
        _ => packet.kind == Kind::Discovery,
    }
}

/// The class of the frame's sender, which claims the address `ip`. Packets, ARP and neighbour discovery share this
/// check.
#[inline(always)]
pub fn sender<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    ip: Ip,
) -> Result<u16, Reason> {
    let slot = ingress.control.slot;
    let segment = ingress.admission.segment;
    // Not an `Option`: the kernel's verifier refuses to spill the undefined part of one.
    let device = tables.device(slot, fdb_key(segment, link.source));
    let device = device.unwrap_or(Device::NONE);
    let uplink = ingress.admission.is(Admission::UPLINK);
    if !uplink && device.is_at(ip) && device.may_be_at(ingress.port(), ingress.attachment) {
        return Ok(device.class);
    }
    let owner = tables.address(slot, ip);

    if uplink {
        let ours = matches!(owner, Some(owner) if owner.segment == segment);
        if device.is_listed() || ours {
            return Err(Reason::DeviceOnUplink);
        }
        if let Some(owner) = owner {
            return Ok(owner.class);
        }
        let network = tables.network(slot, ip);
        return match network.segment == segment {
            // No host has a directed broadcast address: answers to it would go to every host.
            _ if network.flags & Network::BROADCAST != 0 => Err(Reason::AddressBinding),
            true => Ok(network.via_uplink),
            false => Ok(network.class),
        };
    }

    if device.is_listed() {
        if !device.may_be_at(ingress.port(), ingress.attachment) {
            return Err(Reason::PortBinding);
        }
        let own = owner.map(|owner| owner.device);
        return match owns(tables, ingress, device, ip, own) || ip.is_unspecified() {
            true => Ok(device.class),
            false => Err(Reason::AddressBinding),
        };
    }
    if !ingress.admission.is(Admission::ADMIT_UNKNOWN) {
        return Err(Reason::UnknownDevice);
    }
    if owner.is_some() {
        return Err(Reason::AddressBinding);
    }
    if ip.is_unspecified() {
        return Ok(ingress.admission.unlisted_class);
    }
    let network = tables.network(slot, ip);
    if network.flags & Network::ROUTER != 0 {
        return Err(Reason::AddressBinding);
    }
    if ip.is_link_local() {
        return Ok(ingress.admission.unlisted_class);
    }
    match is_host_range_of(&network, segment) {
        true => Ok(network.class),
        false => Err(Reason::AddressBinding),
    }
}

/// Whether a device may use an address; `owner` is the number of the device to which the address is bound.
#[inline(always)]
fn owns<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    device: Device,
    ip: Ip,
    owner: Option<u32>,
) -> bool {
    if let Some(owner) = owner {
        return owner == device.id();
    }
    let link_local = ip.is_link_local();
    if !link_local && !device.is(Device::ANY_ADDRESS) {
        return false;
    }
    let network = tables.network(ingress.control.slot, ip);
    match link_local {
        true => network.flags & Network::ROUTER == 0,
        false => is_host_range_of(&network, ingress.admission.segment),
    }
}

/// Whether the addresses of this network belong to a segment and to its hosts: directed broadcast addresses and router
/// addresses do not.
#[inline(always)]
fn is_host_range_of(network: &Network, segment: u16) -> bool {
    network.segment == segment && network.flags & (Network::BROADCAST | Network::ROUTER) == 0
}

/// Whether an address is one of the ingress segment's own: in its subnets and no directed broadcast, or link-local.
#[inline(always)]
pub fn is_on_link<T: Tables>(tables: &T, ingress: &Ingress, ip: Ip) -> bool {
    let network = tables.network(ingress.control.slot, ip);
    let own = network.segment == ingress.admission.segment;
    ip.is_link_local()
        || (own && network.flags & Network::BROADCAST == 0)
        || is_local_device(tables, ingress, ip)
}

/// Whether an address is a router's.
#[inline(always)]
pub fn is_router<T: Tables>(tables: &T, ingress: &Ingress, ip: Ip) -> bool {
    tables.network(ingress.control.slot, ip).flags & Network::ROUTER != 0
}

/// Whether an address is bound to a device of the ingress segment.
#[inline(always)]
pub fn is_local_device<T: Tables>(tables: &T, ingress: &Ingress, ip: Ip) -> bool {
    let owner = tables.address(ingress.control.slot, ip);
    matches!(owner, Some(owner) if owner.segment == ingress.admission.segment)
}

/// Whether an address is bound to a device of the ingress segment other than the sender.
#[inline(always)]
pub fn is_other_device<T: Tables>(tables: &T, ingress: &Ingress, link: &Link, ip: Ip) -> bool {
    let (slot, segment) = (ingress.control.slot, ingress.admission.segment);
    let Some(owner) = tables.address(slot, ip) else {
        return false;
    };
    let sender = tables.device(slot, fdb_key(segment, link.source));
    let sender = sender.unwrap_or(Device::NONE);
    owner.segment == segment && owner.device != sender.id()
}

/// The destination of a packet.
#[derive(Clone, Copy)]
pub struct Destination {
    /// Its class.
    pub class: u16,
    /// Whether it is an unlisted member of the ingress segment that is not behind an uplink as far as is known.
    pub member: bool,
}

impl Destination {
    const fn of(class: u16) -> Destination {
        Destination {
            class,
            member: false,
        }
    }
}

/// Identifies the destination of a packet.
#[inline(always)]
pub fn destination<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
) -> Result<Destination, Reason> {
    let slot = ingress.control.slot;
    let segment = ingress.admission.segment;
    let ip = packet.destination;
    let destination = fdb_key(segment, link.destination);
    let device = match link.destination & MAC_GROUP {
        0 => tables.device(slot, destination).unwrap_or(Device::NONE),
        _ => Device::NONE,
    };
    if device.is_at(ip) && !ip.is_group() {
        return Ok(Destination::of(device.class));
    }
    let owner = tables.address(slot, ip);
    let network = match owner {
        Some(_) => Network::UNCLASSIFIED,
        None => tables.network(slot, ip),
    };
    let broadcast = network.flags & Network::BROADCAST != 0;
    let group = ip.is_group() || broadcast;
    if group != (link.destination & MAC_GROUP != 0) {
        return Err(Reason::GroupMismatch);
    }
    if group {
        return Ok(Destination::of(network.class));
    }
    if device.is_listed() {
        let own = owner.map(|owner| owner.device);
        return match owns(tables, ingress, device, ip, own) {
            true => Ok(Destination::of(device.class)),
            false => Err(Reason::AddressBinding),
        };
    }
    if let Some(owner) = owner {
        // A device of this segment is reached by its own MAC address only: another MAC address may be at any
        // attachment.
        return match owner.segment == segment {
            true => Err(Reason::AddressBinding),
            false => Ok(Destination::of(owner.class)),
        };
    }
    let link_local = network.flags & Network::LINK_LOCAL != 0;
    if network.segment != segment && !link_local {
        return Ok(Destination::of(network.class));
    }
    if is_via_uplink(tables, ingress, destination) {
        return Ok(Destination::of(network.via_uplink));
    }
    Ok(Destination {
        class: match link_local {
            true => ingress.admission.unlisted_class,
            false => network.class,
        },
        member: true,
    })
}

/// Whether an unlisted host of the segment is behind an uplink: it was last seen there, or the segment admits listed
/// devices only.
#[inline(always)]
fn is_via_uplink<T: Tables>(tables: &T, ingress: &Ingress, key: u64) -> bool {
    !ingress.admission.is(Admission::ADMIT_UNKNOWN)
        || matches!(tables.station(key), Some(station) if is_station_via_uplink(tables, ingress, &station))
}

/// Whether the destination MAC address was last seen behind an uplink.
#[inline(always)]
pub fn is_seen_via_uplink<T: Tables>(tables: &T, ingress: &Ingress, link: &Link) -> bool {
    let key = fdb_key(ingress.admission.segment, link.destination);
    matches!(tables.station(key), Some(station) if is_station_via_uplink(tables, ingress, &station))
}

/// Whether a station is behind an uplink: by the policy in force, or, if that does not have the attachment, as it was
/// when learned.
#[inline(always)]
fn is_station_via_uplink<T: Tables>(tables: &T, ingress: &Ingress, station: &Station) -> bool {
    let slot = ingress.control.slot;
    let admission = tables.admission(slot, admit::attachment_at(tables, slot, station.at()));
    match admission.is(Admission::IN_USE) {
        true => admission.is(Admission::UPLINK),
        false => station.is_uplink(),
    }
}

/// Learns the source of an identified frame: writes its FDB entry.
#[inline(always)]
pub fn learn<T: Tables>(tables: &mut T, ingress: &Ingress, link: &Link) -> Result<(), Reason> {
    let key = fdb_key(ingress.admission.segment, link.source);
    let uplink = ingress.admission.is(Admission::UPLINK);
    let flag = if uplink { Station::UPLINK } else { 0 };
    let location = ingress.location | flag;
    let station = tables.station(key);
    if let Some(station) = station {
        if station.location == location {
            return Ok(());
        }
        // An unlisted host must not divert frames for the router to itself.
        if !uplink
            && is_station_via_uplink(tables, ingress, &station)
            && tables.device(ingress.control.slot, key).is_none()
        {
            return Err(Reason::StationMove);
        }
        tables.moved();
    }
    let since = tables.now();
    if station.is_none() && !uplink && tables.device(ingress.control.slot, key).is_none() {
        let rate = tables.rate(ingress.port()).ok_or(Reason::StationLimit)?;
        start(rate, since);
        if rate.stations >= PortRate::STATIONS {
            return Err(Reason::StationLimit);
        }
        rate.stations += 1;
    }
    tables.learn(key, Station { location, since });
    Ok(())
}
