//! Ports of the gateway, and the attachments at them.

/// An interface of the gateway that carries traffic under policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name in the policy.
    pub name: String,
    /// The Linux network interface.
    pub device: String,
    /// Whether it faces the wider network.
    pub uplink: bool,
    /// Broadcast and multicast frames accepted per second; 0 for no limit.
    pub storm: u32,
    /// Link-control protocols that are forwarded from and to it.
    pub pass: Vec<LinkControl>,
    /// The TPID of the outer of two VLAN tags.
    pub outer_tag: OuterTag,
}

/// The TPID of the outer of two VLAN tags; that of the inner one is always 0x8100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OuterTag {
    /// IEEE 802.1ad service tag: EtherType 0x88a8.
    Dot1ad,
    /// IEEE 802.1Q tag: EtherType 0x8100, for switches without 802.1ad.
    Dot1q,
}

/// A link-local protocol that an IEEE 802.1D bridge does not forward, unless the port lists it in `pass`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkControl {
    /// Spanning tree.
    Stp,
    /// Link aggregation (LACP).
    Lacp,
    /// Port authentication (802.1X).
    Eapol,
    /// Link-layer discovery (802.1AB).
    Lldp,
    /// Precision time protocol over Ethernet (IEEE 1588).
    Ptp,
}

/// A port, and the VLAN tags that frames carry there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attachment {
    /// Index of the port.
    pub port: usize,
    /// VLAN ID, of two tags that of the outer one; 0 for untagged.
    pub vlan: u16,
    /// VLAN ID of the inner of two tags; 0 for a single tag or none.
    pub inner: u16,
}

impl Attachment {
    /// As policies write it, for a port of this name: `access0`, `access0.210` or `access0.100.210`.
    pub fn name_at(self, port: &str) -> String {
        match (self.vlan, self.inner) {
            (0, _) => port.to_owned(),
            (vlan, 0) => format!("{port}.{vlan}"),
            (outer, inner) => format!("{port}.{outer}.{inner}"),
        }
    }
}

/// Where a device must be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// At the port with this index, in any VLAN.
    Port(usize),
    /// At this attachment.
    Attachment(Attachment),
}

impl Binding {
    /// Whether a device with this binding may be at an attachment.
    pub fn allows(self, attachment: Attachment) -> bool {
        match self {
            Binding::Port(port) => port == attachment.port,
            Binding::Attachment(only) => only == attachment,
        }
    }
}
