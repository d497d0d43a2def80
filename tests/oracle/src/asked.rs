//! Questions to a group, which anyone may answer for a while.

use std::net::IpAddr;

use cordon_policy::Mac;

use crate::authorise::Passed;
use crate::flow::{self, End};
use crate::frame::{self, Link};
use crate::packet::Packet;
use crate::transport::Content;
use crate::who;
use crate::{Decided, Ingress, Oracle};

/// How long a question is remembered, in ticks.
const PATIENCE: u64 = 10;

/// Segment, who asked, and the port that was asked.
pub(crate) type Question = (usize, End, u16);

/// By what a question passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    mac: Mac,
    rule: Decided,
    inside: bool,
    /// It goes no further than its segment.
    stays: bool,
    epoch: u64,
    tick: u64,
}

/// Whether what is sent to many at this address stays in the segment: no multicast, or one that no router forwards.
fn stays(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_multicast() || ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.segments()[0] & 0xf == 2,
    }
}

impl Oracle {
    /// A packet has passed: it may be such a question.
    pub(crate) fn ask(&mut self, segment: usize, link: &Link, packet: &Packet, passed: &Passed) {
        let is_udp = matches!(packet.content, Content::Udp(_));
        if !is_udp || !frame::is_group_mac(link.destination) || packet.source.is_unspecified() {
            return;
        }
        let (from, to) = flow::ends(packet);
        let asked = Asked {
            mac: link.source,
            rule: passed.rule,
            inside: passed.inside,
            stays: stays(packet.destination),
            epoch: self.epoch,
            tick: self.tick,
        };
        self.questions.insert((segment, from, to.1), asked);
    }

    /// The rule by which a packet that would be refused passes, as the answer to such a question.
    pub(crate) fn answers_question(
        &self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
    ) -> Option<Decided> {
        let is_udp = matches!(packet.content, Content::Udp(_));
        if !is_udp || frame::is_group_mac(link.destination) {
            return None;
        }
        let (from, to) = flow::ends(packet);
        let asked = self.questions.get(&(at.segment, to, from.1))?;
        let present = asked.epoch == self.epoch && self.tick - asked.tick <= PATIENCE;
        let of_here = who::is_link_local(packet.source)
            || who::in_subnets(&self.policy, at.segment, packet.source);
        let from_outside = (at.uplink && asked.inside) || (asked.stays && !of_here);
        (present && asked.mac == link.destination && !from_outside).then_some(asked.rule)
    }
}
