//! The identity of a flow in the ledger.

use cordon_verdict::Ip;

/// A flow, the same in both directions and in every segment that a router carries it through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowId {
    ends: [(u64, u64, u16); 2],
    protocol: u8,
    /// Of packets to a group, else 0: routers do not forward these, and hosts without an address send the same ones in
    /// several segments.
    segment: u16,
}

impl FlowId {
    /// A flow between two hosts.
    pub fn new(ips: [Ip; 2], ports: [u16; 2], protocol: u8) -> FlowId {
        let mut ends =
            [(ips[0], ports[0]), (ips[1], ports[1])].map(|(ip, port)| (ip.hi, ip.lo, port));
        ends.sort_unstable();
        FlowId {
            ends,
            protocol,
            segment: 0,
        }
    }

    /// Packets of a sender to any group: the flow table stores the unspecified address for the group.
    pub fn to_group(segment: u16, from: Ip, ports: [u16; 2], protocol: u8) -> FlowId {
        let unspecified = match from.is_v4() {
            true => Ip::v4(0),
            false => Ip { hi: 0, lo: 0 },
        };
        FlowId::group_entry(segment, [from, unspecified], ports, protocol)
    }

    /// The same, of an entry of the flow table.
    pub fn group_entry(segment: u16, ips: [Ip; 2], ports: [u16; 2], protocol: u8) -> FlowId {
        FlowId {
            segment,
            ..FlowId::new(ips, ports, protocol)
        }
    }
}
