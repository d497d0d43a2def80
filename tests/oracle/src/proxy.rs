//! The gateway stands in for devices: it takes what is for them, and answers who asks where they are.

use std::net::{IpAddr, Ipv6Addr};

use cordon_policy::Mac;
use cordon_verdict::Reason;

use crate::authorise::Passed;
use crate::frame::{self, GATEWAY, Link};
use crate::packet::Packet;
use crate::who;
use crate::{Decided, Ingress, Leaves, Oracle, Refused};

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// What an advertisement from the gateway says of itself: that it was asked for, and no more.
const SOLICITED: u8 = 0x40;

impl Oracle {
    /// Whether a frame came to the gateway, in a segment that asks it to stand in.
    pub(crate) fn is_to_gateway(&self, at: Ingress, link: &Link) -> bool {
        self.policy.segments[at.segment].proxy && link.destination == GATEWAY
    }

    /// The MAC address of the device of this segment that an address is bound to.
    fn device_here(&self, at: Ingress, ip: IpAddr) -> Option<Mac> {
        let device = &self.policy.devices[who::bound(&self.policy, ip)?];
        (device.segment == at.segment).then_some(device.mac)
    }

    /// The link layer as it is behind the proxy.
    pub(crate) fn stand_in<'a>(
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

    /// Whether the gateway answers for a target, to whoever has sent this.
    fn answers_for(&self, at: Ingress, link: &Link, target: IpAddr) -> bool {
        let proxy = self.policy.segments[at.segment].proxy;
        let device = self.device_here(at, target);
        proxy && !at.uplink && device.is_some_and(|device| device != link.source)
    }

    /// Of ARP that has passed.
    pub(crate) fn answers_arp(&self, at: Ingress, link: &Link) -> bool {
        let asks = frame::word(link.payload, 6) == 1;
        let (sender, target) = (frame::ipv4(link.payload, 14), frame::ipv4(link.payload, 24));
        let probes = sender.is_unspecified() || sender == target;
        asks && !probes && self.answers_for(at, link, target.into())
    }

    /// Of discovery that has passed: any option of a solicitation from an address is its sender's own.
    pub(crate) fn answers_solicitation(
        &self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
        message: &[u8],
    ) -> bool {
        let asks = message[0] == SOLICITATION && message.len() == 32;
        asks && !packet.adorned
            && !packet.source.is_unspecified()
            && self.answers_for(at, link, frame::ipv6(message, 8).into())
    }

    /// The answer leaves where the question came in.
    pub(crate) fn answer(
        &mut self,
        at: Ingress,
        link: &Link,
        passed: &Passed,
    ) -> Result<(Leaves, Decided), Refused> {
        self.learn(at, link.source)
            .map_err(|reason| (reason, Decided::Nothing))?;
        self.storm(at, link)
            .map_err(|reason| (reason, Decided::Nothing))?;
        Ok((Leaves::Answered(at.attachment), passed.rule))
    }
}

/// What is answered to a frame that asks.
pub(crate) fn answer(frame: &[u8], link: &Link) -> Vec<u8> {
    let at = link.header();
    let answer = match link.ether_type {
        0x0806 => arp_reply(link),
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
    let mut message = vec![ADVERTISEMENT, 0, 0, 0, SOLICITED, 0, 0, 0];
    message.extend(target.octets());
    message.extend([2, 1]);
    message.extend(GATEWAY.0);
    let sum = checksum(target, sender, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    // Version, traffic class and flow label.
    let mut out = asked[..4].to_vec();
    out.extend([0, message.len() as u8, 58, 255]);
    out.extend(target.octets());
    out.extend(sender.octets());
    out.extend(message);
    out
}

/// Of an ICMPv6 message of even length whose own checksum is zero (RFC 8200, section 8.1).
fn checksum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let mut all = [from.octets(), to.octets()].concat();
    all.extend((message.len() as u32).to_be_bytes());
    all.extend([0, 0, 0, 58]);
    all.extend(message);
    let words = all.chunks(2).map(|two| u64::from(frame::word(two, 0)));
    let sum: u64 = words.sum();
    let once = (sum & 0xffff) + (sum >> 16);
    !((once & 0xffff) + (once >> 16)) as u16
}
