//! A validated policy. Only [`crate::load`] and [`crate::from_sources`] make one, and it is consistent: every index is
//! valid, every name is unique, every limit is kept.

mod date;
mod device;
mod port;
mod posture;
mod rule;
mod segment;
mod service;

pub use date::Date;
pub use device::{Device, Group, Mac};
pub use port::{Attachment, Binding, LinkControl, OuterTag, Port};
pub use posture::{Posture, Reach};
pub use rule::{Invariant, Origin, Rule, Selector};
pub use segment::{Mode, Segment, Unknown, Zone};
pub use service::{NamedService, Service};

/// A whole policy, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The site's name.
    pub site: String,
    /// At most [`MAX_PORTS`](crate::MAX_PORTS); a port's number is its index.
    pub ports: Vec<Port>,
    /// At most [`MAX_SEGMENTS`](crate::MAX_SEGMENTS); see [`Segment::number`].
    pub segments: Vec<Segment>,
    /// Every segment is in exactly one.
    pub zones: Vec<Zone>,
    /// At most 131072.
    pub devices: Vec<Device>,
    /// Those of `policy.yaml`, then those of the infrastructure.
    pub groups: Vec<Group>,
    /// Those of `policy.yaml` in file order, then those of the infrastructure, of segments, and of observed segments. The
    /// first that matches decides. This crate's README defines their meaning in full.
    pub rules: Vec<Rule>,
    /// Not checked yet: the compiler does that.
    pub invariants: Vec<Invariant>,
    /// The services that rules can name: the catalogue, with the additions and replacements of the policy.
    pub services: Vec<NamedService>,
}

impl Policy {
    /// The name of a selector in the policy.
    pub fn selector_name(&self, selector: Selector) -> &str {
        match selector {
            Selector::Any => "any",
            Selector::Broadcast => "broadcast",
            Selector::Group(index) => &self.groups[index].name,
            Selector::Zone(index) => &self.zones[index].name,
            Selector::Segment(index) | Selector::Flooded(index) => &self.segments[index].name,
            Selector::Device(index) => &self.devices[index].name,
        }
    }

    /// An attachment as policies write it: `access0.210`, `access0.100.210` with two tags, or `access0` for untagged.
    pub fn attachment_name(&self, attachment: Attachment) -> String {
        attachment.name_at(&self.ports[attachment.port].name)
    }

    /// The entries of a service: a name of the policy or the catalogue, or `any`, `icmp`, `tcp/104`, `udp/5000-5010`.
    pub fn service(&self, word: &str) -> Option<Vec<Service>> {
        let named = self.services.iter().find(|service| service.name == word);
        named
            .map(|service| service.entries.clone())
            .or_else(|| crate::services::inline(word).map(|service| vec![service]))
    }
}
