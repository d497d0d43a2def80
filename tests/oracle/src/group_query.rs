//! UDP queries to a multicast or broadcast address: for some ticks, any host may answer them by unicast.

use std::net::IpAddr;

use cordon_policy::Mac;

use crate::authorise::Permit;
use crate::flow::{self, End};
use crate::frame::{self, Link};
use crate::identity;
use crate::packet::Packet;
use crate::transport::Content;
use crate::{Ingress, MatchedRule, Oracle};

/// How long a query may be answered, in ticks.
const QUERY_LIFETIME: u64 = 10;

/// Segment, endpoint that sent the query, and destination port of the query.
pub(crate) type QueryKey = (usize, End, u16);

/// The sender of a query and the rule that allowed it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupQuery {
    mac: Mac,
    rule: MatchedRule,
    inside: bool,
    /// No router forwards its destination address.
    segment_only: bool,
    epoch: u64,
    tick: u64,
}

/// Whether a packet to this group address stays in its segment: broadcast, or link-local multicast.
fn is_segment_only(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_multicast() || ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.segments()[0] & 0xf == 2,
    }
}

impl Oracle {
    /// Records an allowed packet if it is such a query.
    pub(crate) fn record_query(
        &mut self,
        segment: usize,
        link: &Link,
        packet: &Packet,
        permit: &Permit,
    ) {
        let is_udp = matches!(packet.content, Content::Udp(_));
        if !is_udp || !frame::is_group_mac(link.destination) || packet.source.is_unspecified() {
            return;
        }
        let (from, to) = flow::ends(packet);
        let query = GroupQuery {
            mac: link.source,
            rule: permit.rule,
            inside: permit.inside,
            segment_only: is_segment_only(packet.destination),
            epoch: self.epoch,
            tick: self.tick,
        };
        self.queries.insert((segment, from, to.1), query);
    }

    /// The permit of the query that this packet answers: its rule, and inside if it stayed inside. The caller asks only for packets that no rule of their own
    /// allows.
    pub(crate) fn answers_query(
        &self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
    ) -> Option<Permit> {
        let is_udp = matches!(packet.content, Content::Udp(_));
        if !is_udp || frame::is_group_mac(link.destination) {
            return None;
        }
        let (from, to) = flow::ends(packet);
        let query = self.queries.get(&(at.segment, to, from.1))?;
        let present = query.epoch == self.epoch && self.tick - query.tick <= QUERY_LIFETIME;
        let is_local = identity::is_link_local6(packet.source)
            || identity::in_subnets(&self.policy, at.segment, packet.source);
        let from_outside = at.uplink && (query.inside || (query.segment_only && !is_local));
        let permit = Permit {
            rule: query.rule,
            inside: query.inside,
            opener: Some(to),
        };
        (present && query.mac == link.destination && !from_outside).then_some(permit)
    }
}
