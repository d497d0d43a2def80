//! Whether ports take packets of one size.

use std::fmt::Write as _;

use cordon_policy::Policy;

use crate::plane::Links;

/// Bytes of a packet that hosts send unless they are told otherwise.
const USUAL: i32 = 1500;
/// Bytes of the second VLAN tag, which a NIC's MTU does not make room for as it does for the first.
const TAG: i32 = 4;

/// Says which ports lose packets that others take, and what to do about it.
pub fn too_small(policy: &Policy, links: &Links) -> Option<String> {
    // In one pass: this is looked at all the time, and there may be thousands of attachments.
    let mut tags = vec![0; policy.ports.len()];
    for attachment in policy.segments.iter().flat_map(|one| &one.attachments) {
        if attachment.inner != 0 {
            tags[attachment.port] = TAG;
        }
    }
    let rooms: Vec<(&str, &str, i32, i32)> = policy
        .ports
        .iter()
        .zip(tags)
        .filter_map(|(port, tag)| {
            let mtu = links.get(&port.device)?.mtu?;
            Some((&*port.name, &*port.device, mtu, tag))
        })
        .collect();
    let most = rooms
        .iter()
        .map(|(.., mtu, tag)| mtu - tag)
        .max()?
        .max(USUAL);
    let mut text = String::new();
    for (name, device, mtu, tag) in rooms {
        let room = mtu - tag;
        if room < most {
            let why = if tag == 0 {
                ""
            } else {
                ", less a second VLAN tag"
            };
            let _ = write!(
                text,
                "{}port {name} loses packets of more than {room} bytes (MTU {mtu}{why}), and the rest of the network may \
                 send {most}: ip link set {device} mtu {}",
                if text.is_empty() { "" } else { "; " },
                most + tag,
            );
        }
    }
    (!text.is_empty()).then_some(text)
}
