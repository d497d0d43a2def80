//! The proxy: the gateway takes frames for devices, and answers ARP requests and neighbour solicitations for them.

use std::net::{IpAddr, Ipv6Addr};

use cordon_policy::Mac;
use cordon_verdict::Reason;

use crate::authorise::Permit;
use crate::frame::{self, GATEWAY, Link};
use crate::identity;
use crate::packet::Packet;
use crate::protocol::{
    ARP, ICMP6, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, TARGET_LINK_ADDRESS,
};
use crate::{Forwarded, Ingress, MatchedRule, Oracle, Refusal};

/// Flags of the gateway's advertisements: solicited, not a router, no override.
const SOLICITED: u8 = 0x40;

impl Oracle {
    /// Whether a frame was sent to the gateway's MAC address, in a segment with the proxy.
    pub(crate) fn is_to_gateway(&self, at: Ingress, link: &Link) -> bool {
        self.policy.segments[at.segment].proxy && link.destination == GATEWAY
    }

    /// The MAC address of the device of this segment that an address is bound to.
    pub(crate) fn device_here(&self, at: Ingress, ip: IpAddr) -> Option<Mac> {
        let device = &self.policy.devices[identity::bound(&self.policy, ip)?];
        (device.segment == at.segment).then_some(device.mac)
    }

    /// The link layer with the device's MAC address as destination.
    pub(crate) fn resolve_proxied<'a>(
        &self,
        at: Ingress,
        link: &Link<'a>,
        packet: &Packet,
    ) -> Result<Link<'a>, Reason> {
        let device = self.device_here(at, packet.destination);
        Ok(Link {
            destination: device.ok_or(Reason::AddressBinding)?,
            proxied: true,
            ..*link
        })
    }

    /// Whether the gateway answers the sender of this frame in place of the target.
    fn proxies_for(&self, at: Ingress, link: &Link, target: IpAddr) -> bool {
        let proxy = self.policy.segments[at.segment].proxy;
        let device = self.device_here(at, target);
        proxy && !at.uplink && device.is_some_and(|device| device != link.source)
    }

    /// Whether the gateway answers an ARP packet that has passed.
    pub(crate) fn answers_arp(&self, at: Ingress, link: &Link) -> bool {
        let asks = frame::u16_at(link.payload, 6) == 1;
        let (sender, target) = (frame::ipv4(link.payload, 14), frame::ipv4(link.payload, 24));
        let probes = sender.is_unspecified() || sender == target;
        asks && !probes && self.proxies_for(at, link, target.into())
    }

    /// Whether the gateway answers a discovery message that has passed. Its option, if any, is known to be the
    /// sender's.
    pub(crate) fn answers_solicitation(
        &self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
        message: &[u8],
    ) -> bool {
        let asks = message[0] == NEIGHBOUR_SOLICITATION && message.len() == 32;
        asks && !packet.has_options
            && !packet.source.is_unspecified()
            && self.proxies_for(at, link, frame::ipv6(message, 8).into())
    }

    /// Sends the answer to the ingress attachment.
    pub(crate) fn answer(
        &mut self,
        at: Ingress,
        link: &Link,
        permit: &Permit,
    ) -> Result<(Forwarded, MatchedRule), Refusal> {
        self.learn(at, link.source)
            .map_err(|reason| (reason, MatchedRule::None))?;
        self.storm_control(at, link)
            .map_err(|reason| (reason, MatchedRule::None))?;
        Ok((Forwarded::Reply(at.attachment), permit.rule))
    }
}

/// The answer to an ARP request or a neighbour solicitation.
pub(crate) fn answer(frame: &[u8], link: &Link) -> Vec<u8> {
    let at = link.header();
    let answer = match link.ether_type {
        ARP => arp_reply(link),
        _ => advertisement(link),
    };
    let mut out = [link.source.0, GATEWAY.0].concat();
    out.extend(&frame[12..at]);
    out.extend(&answer);
    out.extend(&frame[at + answer.len()..]);
    out
}

fn arp_reply(link: &Link) -> Vec<u8> {
    let asked = link.payload;
    let mut out = asked[..6].to_vec();
    out.extend([0, 2]);
    out.extend(GATEWAY.0);
    out.extend(&asked[24..28]);
    out.extend(link.source.0);
    out.extend(&asked[14..18]);
    out
}

fn advertisement(link: &Link) -> Vec<u8> {
    let asked = link.payload;
    let (sender, target) = (frame::ipv6(asked, 8), frame::ipv6(asked, 48));
    let mut message = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, SOLICITED, 0, 0, 0];
    message.extend(target.octets());
    message.extend([TARGET_LINK_ADDRESS, 1]);
    message.extend(GATEWAY.0);
    let sum = checksum(target, sender, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    // Version, traffic class and flow label.
    let mut out = asked[..4].to_vec();
    out.extend([0, message.len() as u8, ICMP6, 255]);
    out.extend(target.octets());
    out.extend(sender.octets());
    out.extend(message);
    out
}

/// Checksum of an ICMPv6 message of even length whose checksum field is zero (RFC 8200 section 8.1).
pub(crate) fn checksum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let mut all = [from.octets(), to.octets()].concat();
    all.extend((message.len() as u32).to_be_bytes());
    all.extend([0, 0, 0, ICMP6]);
    all.extend(message);
    let words = all.chunks(2).map(|two| u64::from(frame::u16_at(two, 0)));
    let sum: u64 = words.sum();
    let once = (sum & 0xffff) + (sum >> 16);
    !((once & 0xffff) + (once >> 16)) as u16
}
