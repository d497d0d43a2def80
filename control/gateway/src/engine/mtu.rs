//! Whether all ports take packets of the same size.

use std::fmt::Write as _;

use cordon_policy::Policy;

use crate::plane::Links;

/// Bytes of the packets that hosts send by default.
const DEFAULT_MTU: i32 = 1500;
/// Bytes of the second VLAN tag. A NIC's MTU has room for the first one only.
const VLAN_TAG: i32 = 4;

/// The warning about ports that lose packets which others take, with the remedy.
pub fn undersized_ports(policy: &Policy, links: &Links) -> Option<String> {
    // In one pass: this runs at every tick, and there may be thousands of attachments.
    let mut tags = vec![0; policy.ports.len()];
    for attachment in policy.segments.iter().flat_map(|one| &one.attachments) {
        if attachment.inner != 0 {
            tags[attachment.port] = VLAN_TAG;
        }
    }
    let sizes: Vec<(&str, &str, i32, i32)> = policy
        .ports
        .iter()
        .zip(tags)
        .filter_map(|(port, tag)| {
            let mtu = links.get(&port.device)?.mtu?;
            Some((&*port.name, &*port.device, mtu, tag))
        })
        .collect();
    let largest = sizes
        .iter()
        .map(|(.., mtu, tag)| mtu - tag)
        .max()?
        .max(DEFAULT_MTU);
    let mut text = String::new();
    for (name, device, mtu, tag) in sizes {
        let size = mtu - tag;
        if size < largest {
            let note = if tag == 0 {
                ""
            } else {
                ", less a second VLAN tag"
            };
            let _ = write!(
                text,
                "{}port {name} loses packets of more than {size} bytes (MTU {mtu}{note}), and the rest of the network may \
                 send {largest}: ip link set {device} mtu {}",
                if text.is_empty() { "" } else { "; " },
                largest + tag,
            );
        }
    }
    (!text.is_empty()).then_some(text)
}
