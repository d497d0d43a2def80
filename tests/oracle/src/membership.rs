//! IGMP and MLD.

use std::net::IpAddr;

use cordon_verdict::Reason;

use crate::frame::{self, Link};
use crate::identity;
use crate::packet::Packet;
use crate::protocol::LIMITED_BROADCAST;
use crate::{Ingress, Oracle};

const ROUTER_ALERT: [u8; 4] = [5, 2, 0, 0];

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
        let proper = match packet.source {
            IpAddr::V4(_) => [0x11, 0x12, 0x16, 0x17, 0x22].contains(&message[0]),
            IpAddr::V6(source) => {
                let alerts = |options: &[u8]| options.starts_with(&ROUTER_ALERT);
                packet.hop_by_hop.is_some_and(alerts)
                    && (source.is_unspecified() || identity::is_link_local(source.into()))
            }
        };
        if !proper || packet.hop_limit != 1 || !to_group || !frame::is_group_mac(link.destination) {
            return bad;
        }
        self.sender_identity(at, link.source, packet.source)?;
        let query = match packet.source {
            IpAddr::V4(_) => message[0] == 0x11,
            IpAddr::V6(_) => message[0] == 130,
        };
        match query && !at.uplink {
            true => bad,
            false => Ok(()),
        }
    }
}
