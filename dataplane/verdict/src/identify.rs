//! Stage 3, identify: who is speaking and to whom, as classes.
//!
//! A device is its MAC address in its segment, held to the IP addresses bound to it. What is behind an
//! uplink, and what no device is listed for, is known by its network.

use crate::abi::{Admission, Device, Network, PortRate, Station, member};
use crate::address::{Ip, MAC_GROUP};
use crate::admit::{self, Ingress, start};
use crate::parse::{Kind, Link, Packet, UDP};
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
    let class = speaker(tables, ingress, link, packet.source)?;
    if packet.protocol == UDP && answers_dhcp(packet) && !ingress.admission.is(Admission::UPLINK) {
        let member = member(ingress.admission.segment, link.source);
        match tables.device(ingress.control.slot, member) {
            Some(device) if device.is(Device::DHCP_SERVER) => {}
            _ => return Err(Reason::DhcpGuard),
        }
    }
    Ok(class)
}

/// To a client's port (RFC 2131 §4.1, RFC 8415 §7.2), from whatever port: clients do not look at that.
#[inline(always)]
fn answers_dhcp(packet: &Packet) -> bool {
    matches!(packet.destination_port, 68 | 546)
}

/// Only a client that has no address yet may do without one: DHCP (RFC 2131 §4.1) and duplicate address
/// detection (RFC 4862 §5.4).
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

/// The class of whoever sent this frame and claims to be `ip`: the check that packets, ARP and
/// neighbour discovery share.
#[inline(always)]
pub fn speaker<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    ip: Ip,
) -> Result<u16, Reason> {
    let slot = ingress.control.slot;
    let segment = ingress.admission.segment;
    // Not an option: what is undefined of one must not be carried along, says the kernel's verifier.
    let device = tables.device(slot, member(segment, link.source));
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
            // Nobody's own: what is sent in its name would have everybody answer everybody.
            _ if network.flags & Network::BROADCAST != 0 => Err(Reason::AddressBinding),
            true => Ok(network.behind),
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
        return Ok(ingress.admission.anonymous);
    }
    let network = tables.network(slot, ip);
    if network.flags & Network::ROUTER != 0 {
        return Err(Reason::AddressBinding);
    }
    if ip.is_v6_link_local() {
        return Ok(ingress.admission.anonymous);
    }
    match has_hosts_of(&network, segment) {
        true => Ok(network.class),
        false => Err(Reason::AddressBinding),
    }
}

/// Whether a device may use an address; `owner` is the number of the device the address is bound to.
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
    let link_local = ip.is_v6_link_local();
    if !link_local && !device.is(Device::ANY_ADDRESS) {
        return false;
    }
    let network = tables.network(ingress.control.slot, ip);
    match link_local {
        true => network.flags & Network::ROUTER == 0,
        false => has_hosts_of(&network, ingress.admission.segment),
    }
}

/// Whether addresses of this network are a segment's, and free for its hosts: a directed broadcast address and a router's are
/// not.
#[inline(always)]
fn has_hosts_of(network: &Network, segment: u16) -> bool {
    network.segment == segment && network.flags & (Network::BROADCAST | Network::ROUTER) == 0
}

/// The class of the destination of a packet.
#[inline(always)]
pub fn destination<T: Tables>(
    tables: &T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
) -> Result<u16, Reason> {
    let slot = ingress.control.slot;
    let segment = ingress.admission.segment;
    let ip = packet.destination;
    let destination = member(segment, link.destination);
    let device = match link.destination & MAC_GROUP {
        0 => tables.device(slot, destination).unwrap_or(Device::NONE),
        _ => Device::NONE,
    };
    if device.is_at(ip) && !ip.is_group() {
        return Ok(device.class);
    }
    let owner = tables.address(slot, ip);
    let network = match owner {
        Some(_) => Network::NOWHERE,
        None => tables.network(slot, ip),
    };
    let broadcast = network.flags & Network::BROADCAST != 0;
    let group = ip.is_group() || broadcast;
    if group != (link.destination & MAC_GROUP != 0) {
        return Err(Reason::GroupMismatch);
    }
    if group {
        return Ok(network.class);
    }
    if device.is_listed() {
        let own = owner.map(|owner| owner.device);
        return match owns(tables, ingress, device, ip, own) {
            true => Ok(device.class),
            false => Err(Reason::AddressBinding),
        };
    }
    if let Some(owner) = owner {
        // A device of this very segment is reached by its own MAC address, and never by another, which might be anywhere.
        return match owner.segment == segment {
            true => Err(Reason::AddressBinding),
            false => Ok(owner.class),
        };
    }
    if network.segment == segment && is_behind_uplink(tables, ingress, destination) {
        return Ok(network.behind);
    }
    Ok(network.class)
}

/// Whether a host of the segment that is no listed device is on the wider network's side of it: where it was last
/// seen, or, where only listed devices are admitted, in any case.
#[inline(always)]
fn is_behind_uplink<T: Tables>(tables: &T, ingress: &Ingress, member: u64) -> bool {
    !ingress.admission.is(Admission::ADMIT_UNKNOWN)
        || matches!(tables.station(member), Some(station) if seen_behind(tables, ingress, &station))
}

/// Whether a station is at an uplink: by the policy in force, or as it was if that does not know the attachment.
#[inline(always)]
fn seen_behind<T: Tables>(tables: &T, ingress: &Ingress, station: &Station) -> bool {
    let slot = ingress.control.slot;
    let admission = tables.admission(slot, admit::at(tables, slot, station.at()));
    match admission.is(Admission::IN_USE) {
        true => admission.is(Admission::UPLINK),
        false => station.is_uplink(),
    }
}

/// Remembers behind which attachment the source of an identified frame is.
#[inline(always)]
pub fn learn<T: Tables>(tables: &mut T, ingress: &Ingress, link: &Link) -> Result<(), Reason> {
    let member = member(ingress.admission.segment, link.source);
    let uplink = ingress.admission.is(Admission::UPLINK);
    let flag = if uplink { Station::UPLINK } else { 0 };
    let place = ingress.place | flag;
    let known = tables.station(member);
    if let Some(known) = known {
        if known.place == place {
            return Ok(());
        }
        // A host that is no listed device must not pull the router's frames to itself.
        if !uplink
            && seen_behind(tables, ingress, &known)
            && tables.device(ingress.control.slot, member).is_none()
        {
            return Err(Reason::StationMove);
        }
        tables.moved();
    }
    let since = tables.now();
    if known.is_none() && !uplink && tables.device(ingress.control.slot, member).is_none() {
        let rate = tables.rate(ingress.port()).ok_or(Reason::StationLimit)?;
        start(rate, since);
        if rate.stations >= PortRate::STATIONS {
            return Err(Reason::StationLimit);
        }
        rate.stations += 1;
    }
    tables.learn(member, Station { place, since });
    Ok(())
}
