//! The first packet of a flow, reconstructed from an event or from the flow table.

use cordon_kernel::FlowEntry;
use cordon_verdict::abi::{self, Admission, EVENT_FLOW, FlowPath, path_attachment, path_mac};
use cordon_verdict::{Ip, MAC_GROUP, Mac};

use crate::active_policy::ActivePolicy;
use crate::convert::{ip_address, mac_bytes};
use crate::probe;
use crate::probe::packet::{FrameHeaders, Packet};

/// The first packet of a flow, as it entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowOpening {
    /// The L2 location where it entered.
    pub ingress: u32,
    /// The L2 location where replies enter, or would; none if unknown.
    back: Option<u32>,
    /// MAC addresses, source and destination.
    pub macs: [Mac; 2],
    /// IP addresses, source and destination.
    pub ips: [Ip; 2],
    /// Ports, source and destination.
    pub ports: [u16; 2],
    /// IP protocol.
    pub protocol: u8,
}

impl FlowOpening {
    /// Of a flow in the flow table; none if its ingress is not known.
    pub fn of_flow(entry: &FlowEntry, active: &ActivePolicy) -> Option<FlowOpening> {
        let from = usize::from(entry.flow.initiator & 1);
        let to = from ^ 1;
        let [way, back] = [entry.flow.path[from], entry.flow.path[to]];
        if way.from == 0 && back.to == 0 {
            return None;
        }
        // The entry may have seen only replies of late.
        let from_word = if way.from != 0 { way.from } else { back.to };
        let to_word = if way.from != 0 { way.to } else { back.from };
        let is_unknown = |word: u64| word == 0 || word == FlowPath::UNKNOWN;
        let location =
            |word| active.generation(|generation| generation.location(path_attachment(word)));
        Some(FlowOpening {
            ingress: location(from_word),
            back: (!is_unknown(to_word)).then(|| location(to_word)),
            macs: [
                path_mac(from_word),
                if is_unknown(to_word) {
                    0
                } else {
                    path_mac(to_word)
                },
            ],
            ips: [entry.address[from], entry.address[to]],
            ports: [entry.port[from], entry.port[to]],
            protocol: entry.protocol,
        })
    }

    /// Of a flow event; none for other events.
    pub fn of_event(event: &abi::Event, active: &ActivePolicy) -> Option<FlowOpening> {
        (event.kind == EVENT_FLOW && event.protocol != 0).then(|| FlowOpening {
            ingress: event.location,
            back: opposite(active, event.segment, event.location),
            macs: [event.source_mac, event.destination_mac],
            ips: [event.source, event.destination],
            ports: [event.source_port, event.destination_port],
            protocol: event.protocol,
        })
    }

    /// The same flow as if the other end had opened it.
    pub fn reversed(&self) -> Option<FlowOpening> {
        let swap = |[a, b]: [u16; 2]| [b, a];
        Some(FlowOpening {
            ingress: self.back?,
            back: Some(self.ingress),
            macs: [self.macs[1], self.macs[0]],
            ips: [self.ips[1], self.ips[0]],
            ports: swap(self.ports),
            protocol: self.protocol,
        })
    }

    /// Whether it is sent to a group.
    pub fn is_to_group(&self) -> bool {
        self.macs[1] & MAC_GROUP != 0
    }

    /// Whether it entered at an uplink.
    pub fn is_from_uplink(&self, active: &ActivePolicy) -> bool {
        active.generation(|generation| {
            let admission = generation.admissions.get(&generation.number(self.ingress));
            admission.is_some_and(|admission| admission.is(Admission::UPLINK))
        })
    }

    /// The probe packet; none if policies have no services of its protocol.
    pub fn packet(&self) -> Option<Packet> {
        Packet::new(self.protocol, self.ports[1])
    }

    /// The packet as bytes, for the tables of a policy.
    pub fn frame(&self, active: &ActivePolicy) -> Option<Vec<u8>> {
        let [from, to] = self.macs.map(|mac| match mac {
            // Unknown: the IP address identifies the host.
            0 => active.unlisted_mac(probe::ROUTER),
            mac => mac_bytes(mac),
        });
        let headers = FrameHeaders {
            ingress: self.ingress,
            outer_type: active.outer_type(self.ingress),
            macs: [from, to],
            ips: self.ips.map(ip_address),
        };
        Some(self.packet()?.frame(&headers))
    }
}

/// The L2 location of an attachment of the segment on the other side of the gateway.
fn opposite(active: &ActivePolicy, segment: u16, ingress: u32) -> Option<u32> {
    active.generation(|generation| {
        let uplink = |admission: &Admission| admission.is(Admission::UPLINK);
        let here = generation
            .admissions
            .get(&generation.number(ingress))
            .map(uplink)?;
        let mut of_segment = generation.admissions.iter();
        let other = of_segment
            .find(|(_, admission)| admission.segment == segment && uplink(admission) != here);
        other.map(|(attachment, _)| generation.location(*attachment))
    })
}
