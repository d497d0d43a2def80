//! VLAN tags of egress frames.

use cordon_policy::{Attachment, OuterTag, Policy};

use crate::frame::{GATEWAY, Link, Tag};
use crate::protocol::{SERVICE_TAG, VLAN_TAG};

/// TPID of the outer of two tags at a port.
pub(crate) fn outer_kind(policy: &Policy, port: usize) -> u16 {
    match policy.ports[port].outer_tag {
        OuterTag::Dot1ad => SERVICE_TAG,
        OuterTag::Dot1q => VLAN_TAG,
    }
}

/// The frame with the tags of its egress; a proxied frame also gets the MAC addresses of gateway and device.
pub(crate) fn retag(policy: &Policy, link: &Link, by: Attachment) -> Vec<u8> {
    let source = if link.proxied { GATEWAY } else { link.source };
    let mut out = [link.destination.0, source.0].concat();
    let outermost = link.outer.map_or(0, Tag::priority);
    let inner = link.inner.map_or(outermost, Tag::priority);
    let mut put = |kind: u16, control: u16| {
        out.extend(kind.to_be_bytes());
        out.extend(control.to_be_bytes());
    };
    match (by.vlan, by.inner) {
        (0, _) => {}
        (vlan, 0) => put(VLAN_TAG, outermost | vlan),
        (vlan, second) => {
            put(outer_kind(policy, by.port), outermost | vlan);
            put(VLAN_TAG, inner | second);
        }
    }
    out.extend(link.ether_type.to_be_bytes());
    out.extend(link.payload);
    out
}
