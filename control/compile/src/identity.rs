//! Identities: the attributes of an end of a flow that selectors can match.

use std::collections::HashMap;

use cordon_policy::{Policy, Selector};
use cordon_tables::Prefix;

/// The kind of address of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A unicast address.
    Host,
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// The directed broadcast of a segment's subnet.
    Directed(usize),
}

/// The attributes of an end. Ends with equal identities are equal to every rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub kind: Kind,
    pub zone: Option<usize>,
    pub segment: Option<usize>,
    /// Sorted; only those that a rule or invariant names.
    pub groups: Vec<usize>,
    /// Only if a rule or invariant names it.
    pub device: Option<usize>,
}

impl Identity {
    /// An identity without attributes other than the kind.
    pub const fn of_kind(kind: Kind) -> Identity {
        Identity {
            kind,
            zone: None,
            segment: None,
            groups: Vec::new(),
            device: None,
        }
    }

    /// Whether a selector matches this end.
    pub fn matches(&self, selector: Selector) -> bool {
        match selector {
            Selector::Any => true,
            Selector::Broadcast => matches!(self.kind, Kind::Broadcast | Kind::Directed(_)),
            Selector::Group(group) => self.groups.contains(&group),
            Selector::Zone(zone) => self.zone == Some(zone),
            Selector::Segment(segment) => self.segment == Some(segment),
            Selector::Device(device) => self.device == Some(device),
            Selector::Flooded(segment) => match self.kind {
                Kind::Host => false,
                Kind::Multicast | Kind::Broadcast => true,
                Kind::Directed(of) => of == segment,
            },
        }
    }

    /// Its zone, if the zone is inside the site. Other zones do not affect the reach.
    pub fn local_zone(&self, policy: &Policy) -> Option<usize> {
        self.zone.filter(|zone| policy.zones[*zone].local)
    }

    /// Whether it is a broadcast or multicast address without a zone: its copies are both inside the site and outside.
    pub fn is_zoneless_group(&self) -> bool {
        self.kind != Kind::Host && self.zone.is_none()
    }
}

/// An example of an end with an identity, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Example {
    /// An address that no device or network claims, or one on the uplink side of a segment that is in no group.
    Unclassified,
    Device(usize),
    Network(Prefix),
    /// An address of a segment's subnet, on the uplink side.
    ViaUplink(Prefix, usize),
    /// A member of a segment that is not a listed device.
    Unlisted(usize),
}

/// An identity that occurs.
#[derive(Clone, Debug)]
pub(crate) struct KnownIdentity {
    pub identity: Identity,
    /// The first end with it.
    pub example: Example,
    /// Whether only one host has it: then no flow has it at both ends.
    pub single: bool,
}

/// Every identity that occurs, once. The first is [`UNCLASSIFIED`].
#[derive(Debug)]
pub(crate) struct Identities {
    list: Vec<KnownIdentity>,
    index: HashMap<Identity, usize>,
}

/// The number of the identity of an address that no device or network claims. It always exists.
pub(crate) const UNCLASSIFIED: usize = 0;

impl Default for Identities {
    fn default() -> Identities {
        let mut identities = Identities {
            list: Vec::new(),
            index: HashMap::new(),
        };
        identities.add(Identity::of_kind(Kind::Host), Example::Unclassified);
        identities
    }
}

impl Identities {
    /// The number of an identity, which `example` has.
    pub fn add(&mut self, identity: Identity, example: Example) -> usize {
        if let Some(known) = self.index.get(&identity) {
            self.list[*known].single = false;
            return *known;
        }
        let number = self.list.len();
        let single = match example {
            Example::Device(_) => true,
            Example::Network(prefix) | Example::ViaUplink(prefix, _) => prefix.bits == 128,
            Example::Unclassified | Example::Unlisted(_) => false,
        };
        self.index.insert(identity.clone(), number);
        self.list.push(KnownIdentity {
            identity,
            example,
            single,
        });
        number
    }

    /// Records that another host has an identity.
    pub fn add_holder(&mut self, number: usize) {
        self.list[number].single = false;
    }

    /// The number of an identity that occurs.
    pub fn find(&self, identity: &Identity) -> Option<usize> {
        self.index.get(identity).copied()
    }

    pub fn get(&self, number: usize) -> &KnownIdentity {
        &self.list[number]
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &KnownIdentity> {
        self.list.iter()
    }
}
