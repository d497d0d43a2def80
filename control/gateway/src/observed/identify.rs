//! Which conversation a flow belongs to, by the devices and segments of a policy.

use cordon_policy::Mode;
use cordon_protocol::ObservedEnd;
use cordon_verdict::{Ip, Mac};

use crate::active_policy::ActivePolicy;
use crate::convert::ip_address;
use crate::probe::endpoints::end_of_address;
use crate::probe::packet::Packet;

use super::ledger::{Conversation, Host};
use super::opening::FlowOpening;

/// The conversation of a flow seen in a segment; none if policies have no services of its protocol.
pub fn conversation_of(
    active: &ActivePolicy,
    opening: &FlowOpening,
    segment: u16,
) -> Option<Conversation> {
    let [from, to] =
        [0, 1].map(|end| identify_host(active, opening.ips[end], opening.macs[end], segment));
    let observed = |(_, segment): &(Host, Option<usize>)| {
        let segment = active.policy.segments.get((*segment)?)?;
        (segment.mode == Mode::Observe).then(|| segment.name.clone())
    };
    let (inside, segment) = match (observed(&from), observed(&to)) {
        (Some(segment), _) => (ObservedEnd::From, segment),
        (None, Some(segment)) => (ObservedEnd::To, segment),
        (None, None) => {
            let segment = active.segment_by_number(segment)?;
            // A sender without an address of the segment is in it nevertheless, unless its packet to a group came from
            // an uplink: then the receivers are in the segment.
            let inside = match opening.is_to_group() && opening.is_from_uplink(active) {
                true => ObservedEnd::To,
                false => ObservedEnd::From,
            };
            (inside, segment.name.clone())
        }
    };
    let port = match opening.packet()? {
        Packet::Echo => 0,
        _ => opening.ports[1],
    };
    Some(Conversation {
        segment,
        inside,
        from: from.0,
        to: to.0,
        protocol: opening.protocol,
        port,
    })
}

/// A host by its IP address or, if no device is bound to that, by its MAC address; and the index of its segment.
fn identify_host(active: &ActivePolicy, ip: Ip, mac: Mac, segment: u16) -> (Host, Option<usize>) {
    let ip = ip_address(ip);
    let device = match active.device_by_ip(ip) {
        Some((_, device)) => Some(device),
        None => active.device_by_mac(segment, mac),
    };
    let segment = match device {
        Some(device) => Some(device.segment),
        None => end_of_address(active, ip).segment(active),
    };
    let device = device.map(|device| device.name.clone());
    (Host { device, ip }, segment)
}
