//! Who speaks, and to whom.

use std::net::IpAddr;

use cordon_policy::{Binding, Group, Mac, Unknown};
use cordon_verdict::Reason;

use crate::frame::{self, Link};
use crate::packet::Packet;
use crate::transport::{Content, Ports};
use crate::who::{self, Who};
use crate::{Ingress, Oracle};

impl Oracle {
    pub(crate) fn source(&self, at: Ingress, link: &Link, packet: &Packet) -> Result<Who, Reason> {
        if packet.source.is_unspecified() {
            let may = match packet.content {
                Content::Udp(Ports {
                    source: 68,
                    destination: 67,
                }) => packet.destination == IpAddr::from([255, 255, 255, 255]),
                Content::Discovery(_) => true,
                _ => false,
            };
            if !may {
                return Err(Reason::AddressBinding);
            }
        }
        let who = self.speaker(at, link.source, packet.source)?;
        if !at.uplink && answers_dhcp(packet) && !self.is_dhcp_server(at, link.source) {
            return Err(Reason::DhcpGuard);
        }
        Ok(who)
    }

    fn is_dhcp_server(&self, at: Ingress, mac: Mac) -> bool {
        let servers = |group: &&Group| group.name == "infrastructure:dhcp";
        let servers = self.policy.groups.iter().find(servers);
        let listed = who::listed(&self.policy, at.segment, mac);
        let (Some(servers), Some(device)) = (servers, listed) else {
            return false;
        };
        let serves = |ip: &IpAddr| servers.networks.iter().any(|net| net.contains(ip));
        self.policy.devices[device].ips.iter().any(serves)
    }

    /// Whether a device is elsewhere than at the port or the attachment that it is bound to.
    pub(crate) fn is_misplaced(&self, at: Ingress, device: usize) -> bool {
        match self.policy.devices[device].binding {
            None => false,
            Some(Binding::Port(port)) => port != at.attachment.port,
            Some(Binding::Attachment(attachment)) => attachment != at.attachment,
        }
    }

    /// Whether whoever has this MAC address may speak as this IP address here; and who that is.
    pub(crate) fn speaker(&self, at: Ingress, mac: Mac, ip: IpAddr) -> Result<Who, Reason> {
        let policy = &self.policy;
        let listed = who::listed(policy, at.segment, mac);
        let bound = who::bound(policy, ip);
        if at.uplink {
            let of_here = bound.is_some_and(|device| policy.devices[device].segment == at.segment);
            if listed.is_some() || of_here {
                return Err(Reason::DeviceOnUplink);
            }
            if who::is_group(policy, ip) {
                return Err(Reason::AddressBinding);
            }
            let own = bound.is_none() && who::in_subnets(policy, at.segment, ip);
            return Ok(match own {
                true => who::behind_uplink(policy, ip),
                false => who::address(policy, ip),
            });
        }
        if let Some(device) = listed {
            if self.is_misplaced(at, device) {
                return Err(Reason::PortBinding);
            }
            return match ip.is_unspecified() || self.owns(device, ip) {
                true => Ok(who::device(policy, device)),
                false => Err(Reason::AddressBinding),
            };
        }
        if policy.segments[at.segment].unknown != Unknown::Admit {
            return Err(Reason::UnknownDevice);
        }
        if bound.is_some() || who::is_routers(policy, ip) {
            return Err(Reason::AddressBinding);
        }
        if ip.is_unspecified() || who::is_link_local(ip) {
            return Ok(who::member(policy, at.segment));
        }
        match who::in_subnets(policy, at.segment, ip) && !who::is_group(policy, ip) {
            true => Ok(who::address(policy, ip)),
            false => Err(Reason::AddressBinding),
        }
    }

    fn owns(&self, index: usize, ip: IpAddr) -> bool {
        let device = &self.policy.devices[index];
        match who::bound(&self.policy, ip) {
            Some(owner) => owner == index,
            None if who::is_routers(&self.policy, ip) => false,
            None => {
                let any_of_segment = device.ips.is_empty()
                    && who::in_subnets(&self.policy, device.segment, ip)
                    && !who::is_group(&self.policy, ip);
                who::is_link_local(ip) || any_of_segment
            }
        }
    }

    pub(crate) fn destination(
        &self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
    ) -> Result<Who, Reason> {
        let policy = &self.policy;
        let ip = packet.destination;
        let many = who::is_group(policy, ip);
        if many != frame::is_group_mac(link.destination) {
            return Err(Reason::GroupMismatch);
        }
        if many {
            return Ok(who::address(policy, ip));
        }
        if let Some(device) = who::listed(policy, at.segment, link.destination) {
            return match self.owns(device, ip) {
                true => Ok(who::device(policy, device)),
                false => Err(Reason::AddressBinding),
            };
        }
        let bound = who::bound(policy, ip);
        if bound.is_some_and(|device| policy.devices[device].segment == at.segment) {
            return Err(Reason::AddressBinding);
        }
        let own = bound.is_none() && who::in_subnets(policy, at.segment, ip);
        let station = self.stations.get(&(at.segment, link.destination));
        let seen_behind = station.is_some_and(|station| self.is_behind(*station));
        let must_be_behind = policy.segments[at.segment].unknown != Unknown::Admit;
        Ok(match own && (seen_behind || must_be_behind) {
            true => who::behind_uplink(policy, ip),
            false => who::address(policy, ip),
        })
    }
}

fn answers_dhcp(packet: &Packet) -> bool {
    match packet.content {
        Content::Udp(ports) => [68, 546].contains(&ports.destination),
        _ => false,
    }
}
