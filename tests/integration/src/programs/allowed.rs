//! Evaluates the rules of a policy for one flow, at posture normal and independent of the compiler.

use std::net::IpAddr;

use cordon_lab::{TCP, UDP};
use cordon_policy::{Policy, Selector, Service};

/// The identity of a host under a policy.
struct Identity<'a> {
    policy: &'a Policy,
    ip: IpAddr,
    device: Option<usize>,
    segment: Option<usize>,
    zone: Option<usize>,
}

/// Whether a rule lets one host open a flow to another.
pub fn allowed(policy: &Policy, from: IpAddr, to: IpAddr, protocol: u8, port: u16) -> bool {
    let (from, to) = (Identity::of(policy, from), Identity::of(policy, to));
    let is_served = |service: &Service| match (*service, protocol) {
        (Service::Any, _) => true,
        (Service::Tcp(first, last), TCP) | (Service::Udp(first, last), UDP) => {
            (first..=last).contains(&port)
        }
        _ => false,
    };
    let mut matching = policy.rules.iter().filter(|rule| {
        rule.from.iter().any(|end| from.matches(*end))
            && rule.to.iter().any(|end| to.matches(*end))
            && rule.services.iter().any(is_served)
    });
    matching.next().is_some_and(|rule| rule.allow)
}

impl<'a> Identity<'a> {
    fn of(policy: &'a Policy, ip: IpAddr) -> Identity<'a> {
        let devices = &policy.devices;
        let device = devices.iter().position(|device| device.ips.contains(&ip));
        let segment = device.map(|device| devices[device].segment).or_else(|| {
            let mut segments = policy.segments.iter();
            segments.position(|segment| segment.subnets.iter().any(|net| net.contains(&ip)))
        });
        let networks = policy
            .zones
            .iter()
            .enumerate()
            .flat_map(|(zone, known)| known.networks.iter().map(move |net| (zone, net)));
        let holds = networks.filter(|(_, net)| net.contains(&ip));
        let longest = holds
            .max_by_key(|(_, net)| net.prefix_len())
            .map(|(zone, _)| zone);
        Identity {
            policy,
            ip,
            device,
            segment,
            zone: segment
                .map(|segment| policy.segments[segment].zone)
                .or(longest),
        }
    }

    fn matches(&self, selector: Selector) -> bool {
        match selector {
            Selector::Any => true,
            Selector::Zone(zone) => self.zone == Some(zone),
            Selector::Segment(segment) => self.segment == Some(segment),
            Selector::Device(device) => self.device == Some(device),
            Selector::Group(group) => self.belongs_to(group),
            // No single host matches these.
            Selector::Broadcast | Selector::Flooded(_) => false,
        }
    }

    fn belongs_to(&self, group: usize) -> bool {
        let group = &self.policy.groups[group];
        let Some(device) = self.device else {
            return group.networks.iter().any(|net| net.contains(&self.ip));
        };
        let profile = self.policy.devices[device].profile.as_ref();
        group.devices.contains(&device)
            || profile.is_some_and(|profile| group.profiles.contains(profile))
    }
}
