//! Identities of the source and the destination of a packet.

use std::net::IpAddr;

use cordon_policy::{Binding, Group, Mac, Unknown};
use cordon_verdict::Reason;

use crate::frame::{self, Link};
use crate::identity::{self, Identity};
use crate::packet::Packet;
use crate::protocol::LIMITED_BROADCAST;
use crate::transport::{Content, Ports};
use crate::{Ingress, Oracle};

impl Oracle {
    pub(crate) fn source(
        &self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
    ) -> Result<Identity, Reason> {
        if packet.source.is_unspecified() {
            let may = match packet.content {
                Content::Udp(Ports {
                    source: 68,
                    destination: 67,
                }) => packet.destination == LIMITED_BROADCAST,
                Content::Discovery(_) => true,
                _ => false,
            };
            if !may {
                return Err(Reason::AddressBinding);
            }
        }
        let sender = self.sender_identity(at, link.source, packet.source)?;
        if !at.uplink && answers_dhcp(packet) && !self.is_dhcp_server(at, link.source) {
            return Err(Reason::DhcpGuard);
        }
        Ok(sender)
    }

    fn is_dhcp_server(&self, at: Ingress, mac: Mac) -> bool {
        let servers = |group: &&Group| group.name == "infrastructure:dhcp";
        let servers = self.policy.groups.iter().find(servers);
        let listed = identity::listed(&self.policy, at.segment, mac);
        let (Some(servers), Some(device)) = (servers, listed) else {
            return false;
        };
        let serves = |ip: &IpAddr| servers.networks.iter().any(|net| net.contains(ip));
        self.policy.devices[device].ips.iter().any(serves)
    }

    /// Whether a device is at another port or attachment than the one it is bound to.
    pub(crate) fn violates_binding(&self, at: Ingress, device: usize) -> bool {
        match self.policy.devices[device].binding {
            None => false,
            Some(Binding::Port(port)) => port != at.attachment.port,
            Some(Binding::Attachment(attachment)) => attachment != at.attachment,
        }
    }

    /// The identity of a sender, if the host with this MAC address may use this IP address here.
    pub(crate) fn sender_identity(
        &self,
        at: Ingress,
        mac: Mac,
        ip: IpAddr,
    ) -> Result<Identity, Reason> {
        let policy = &self.policy;
        let listed = identity::listed(policy, at.segment, mac);
        let bound = identity::bound(policy, ip);
        if at.uplink {
            let bound_here =
                bound.is_some_and(|device| policy.devices[device].segment == at.segment);
            if listed.is_some() || bound_here {
                return Err(Reason::DeviceOnUplink);
            }
            if identity::is_group(policy, ip) {
                return Err(Reason::AddressBinding);
            }
            let own = bound.is_none() && identity::in_subnets(policy, at.segment, ip);
            return Ok(match own {
                true => identity::via_uplink(policy, ip),
                false => identity::address(policy, ip),
            });
        }
        if let Some(device) = listed {
            if self.violates_binding(at, device) {
                return Err(Reason::PortBinding);
            }
            return match ip.is_unspecified() || self.owns(device, ip) {
                true => Ok(identity::device(policy, device)),
                false => Err(Reason::AddressBinding),
            };
        }
        if policy.segments[at.segment].unknown != Unknown::Admit {
            return Err(Reason::UnknownDevice);
        }
        if bound.is_some() || identity::is_router_address(policy, ip) {
            return Err(Reason::AddressBinding);
        }
        if ip.is_unspecified() || identity::is_usable_link_local(ip) {
            return Ok(identity::member(policy, at.segment));
        }
        match identity::in_subnets(policy, at.segment, ip) && !identity::is_group(policy, ip) {
            true => Ok(identity::address(policy, ip)),
            false => Err(Reason::AddressBinding),
        }
    }

    fn owns(&self, index: usize, ip: IpAddr) -> bool {
        let device = &self.policy.devices[index];
        match identity::bound(&self.policy, ip) {
            Some(owner) => owner == index,
            None if identity::is_router_address(&self.policy, ip) => false,
            None => {
                let any_of_segment = device.ips.is_empty()
                    && identity::in_subnets(&self.policy, device.segment, ip)
                    && !identity::is_group(&self.policy, ip);
                identity::is_usable_link_local(ip) || any_of_segment
            }
        }
    }

    /// The identity of the destination, and whether it is taken for an unlisted member of the ingress segment.
    pub(crate) fn destination(
        &self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
    ) -> Result<(Identity, bool), Reason> {
        let policy = &self.policy;
        let ip = packet.destination;
        let group = identity::is_group(policy, ip);
        if group != frame::is_group_mac(link.destination) {
            return Err(Reason::GroupMismatch);
        }
        if group {
            return Ok((identity::address(policy, ip), false));
        }
        if let Some(device) = identity::listed(policy, at.segment, link.destination) {
            return match self.owns(device, ip) {
                true => Ok((identity::device(policy, device), false)),
                false => Err(Reason::AddressBinding),
            };
        }
        let bound = identity::bound(policy, ip);
        if bound.is_some_and(|device| policy.devices[device].segment == at.segment) {
            return Err(Reason::AddressBinding);
        }
        let own = bound.is_none() && identity::in_subnets(policy, at.segment, ip);
        let seen_via_uplink = self.is_seen_via_uplink(at, link.destination);
        let must_be_via_uplink = policy.segments[at.segment].unknown != Unknown::Admit;
        let is_via_uplink = seen_via_uplink || must_be_via_uplink;
        if bound.is_none() && identity::is_unwritten_link_local(policy, ip) {
            return Ok(match is_via_uplink {
                true => (Identity::default(), false),
                false => (identity::member(policy, at.segment), true),
            });
        }
        Ok(match own && is_via_uplink {
            true => (identity::via_uplink(policy, ip), false),
            false => (identity::address(policy, ip), own),
        })
    }
}

fn answers_dhcp(packet: &Packet) -> bool {
    match packet.content {
        Content::Udp(ports) => [68, 546].contains(&ports.destination),
        _ => false,
    }
}
