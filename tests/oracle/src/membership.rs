//! IGMP and MLD.

use std::net::IpAddr;

use cordon_policy::Posture;
use cordon_verdict::Reason;

use crate::authorise::Permit;
use crate::frame::{self, Link};
use crate::identity;
use crate::packet::Packet;
use crate::protocol::{IGMP_QUERY, LIMITED_BROADCAST, MLD_QUERY};
use crate::{Ingress, MatchedRule, Oracle, Refusal};

const ROUTER_ALERT: [u8; 4] = [5, 2, 0, 0];

/// The most records of a report.
const MAX_RECORDS: usize = 32;
/// The last offset in the frame at which a record may start.
const LAST_RECORD: usize = 256;

/// The lengths that a query and a report of IGMPv3 (RFC 9776) or MLDv2 (RFC 9777) consist of.
struct Layout {
    /// Of a query without sources; their number is in its last two bytes.
    query: usize,
    /// Of a record without sources.
    record: usize,
    /// Of a source address.
    source: usize,
}

const IGMP: Layout = Layout {
    query: 12,
    record: 8,
    source: 4,
};
const MLD: Layout = Layout {
    query: 28,
    record: 20,
    source: 16,
};

impl Layout {
    fn is_query(&self, message: &[u8]) -> bool {
        let sources = message.get(self.query - 2..self.query);
        sources.is_some_and(|number| {
            message.len() == self.query + self.source * usize::from(frame::u16_at(number, 0))
        })
    }

    /// Whether it is a report of whole records; it starts at an offset in the frame.
    fn is_report(&self, message: &[u8], start: usize) -> bool {
        let records = usize::from(frame::u16_at(message, 6));
        if !(1..=MAX_RECORDS).contains(&records) {
            return false;
        }
        let mut at = 8;
        for _ in 0..records {
            let Some(record) = message.get(at..at + self.record) else {
                return false;
            };
            let has_auxiliary_data = record[1] != 0;
            if has_auxiliary_data || start + at > LAST_RECORD {
                return false;
            }
            at += self.record + self.source * usize::from(frame::u16_at(record, 2));
        }
        at == message.len()
    }
}

/// Whether a message of at least 8 bytes has a known type, and the length of that type.
fn is_exact(packet: &Packet, message: &[u8], start: usize) -> bool {
    let length = message.len();
    match (packet.source, message[0]) {
        (IpAddr::V4(_), IGMP_QUERY) => length == 8 || IGMP.is_query(message),
        (IpAddr::V4(_), 0x12 | 0x16 | 0x17) => length == 8,
        (IpAddr::V4(_), 0x22) => IGMP.is_report(message, start),
        (IpAddr::V6(_), MLD_QUERY) => length == 24 || MLD.is_query(message),
        (IpAddr::V6(_), 131 | 132) => length == 24,
        (IpAddr::V6(_), 143) => MLD.is_report(message, start),
        _ => false,
    }
}

fn is_query(packet: &Packet, message: &[u8]) -> bool {
    match packet.source {
        IpAddr::V4(_) => message[0] == IGMP_QUERY,
        IpAddr::V6(_) => message[0] == MLD_QUERY,
    }
}

impl Oracle {
    pub(crate) fn membership(
        &self,
        at: Ingress,
        link: &Link,
        packet: &Packet,
        message: &[u8],
    ) -> Result<(), Reason> {
        let bad = Err(Reason::Membership);
        if message.len() < 8 {
            return bad;
        }
        let to_group = packet.destination.is_multicast() || packet.destination == LIMITED_BROADCAST;
        let start = link.header() + packet.length - message.len();
        let proper = match packet.source {
            IpAddr::V4(_) => true,
            IpAddr::V6(source) => {
                let alerts = |options: &[u8]| options.starts_with(&ROUTER_ALERT);
                packet.hop_by_hop.is_some_and(alerts)
                    && (source.is_unspecified() || identity::is_link_local6(source.into()))
            }
        };
        if !proper
            || !is_exact(packet, message, start)
            || packet.hop_limit != 1
            || !to_group
            || !frame::is_group_mac(link.destination)
        {
            return bad;
        }
        self.sender_identity(at, link.source, packet.source)?;
        match is_query(packet, message) && !at.uplink {
            true => bad,
            false => Ok(()),
        }
    }

    /// What a message that passed the checks may do at the posture in force: of a closed site, members are asked from
    /// outside, and answer inside.
    pub(crate) fn permit_membership(
        &self,
        at: Ingress,
        packet: &Packet,
        message: &[u8],
    ) -> Result<Permit, Refusal> {
        let permit = self.built_in(MatchedRule::Membership)?;
        if self.posture < Posture::Contain {
            return Ok(permit);
        }
        match at.uplink {
            true if !is_query(packet, message) => Err((Reason::Posture, permit.rule)),
            uplink => Ok(Permit {
                inside: !uplink,
                ..permit
            }),
        }
    }
}
