//! Who an end of a flow can be, as far as a rule can say.

use std::collections::HashMap;

use cordon_policy::{Policy, Selector};
use cordon_portable::Prefix;

/// One host, or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Host,
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// The directed broadcast of a segment's subnet.
    Directed(usize),
}

/// Everything that rules can say about an end. Ends with the same are the same to every rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub kind: Kind,
    pub zone: Option<usize>,
    pub segment: Option<usize>,
    /// Sorted; only those that something names.
    pub groups: Vec<usize>,
    /// Only if something names it.
    pub device: Option<usize>,
}

impl Identity {
    /// Somebody of whom nothing is known but the kind.
    pub const fn of_kind(kind: Kind) -> Identity {
        Identity {
            kind,
            zone: None,
            segment: None,
            groups: Vec::new(),
            device: None,
        }
    }

    /// Whether a selector means this end.
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

    /// Its zone, if that is inside the site: no other bears on reach.
    pub fn local_zone(&self, policy: &Policy) -> Option<usize> {
        self.zone.filter(|zone| policy.zones[*zone].local)
    }

    /// Whether it is a group address without a zone, which is inside the site and outside at once.
    pub fn floats(&self) -> bool {
        self.kind != Kind::Host && self.zone.is_none()
    }
}

/// Somebody who has an identity, to name in a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Example {
    /// An address outside every network, or behind an uplink and in nothing else.
    Stranger,
    Device(usize),
    Network(Prefix),
    /// An address of a segment's subnet, behind an uplink.
    Behind(Prefix, usize),
    /// A member of a segment that is no listed device.
    Unlisted(usize),
}

/// An identity that occurs.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub identity: Identity,
    /// The first that has it.
    pub example: Example,
    /// Whether only one host has it, so that no flow has it at both ends.
    pub single: bool,
}

/// Every identity that occurs, once. The first is a stranger's.
#[derive(Debug)]
pub(crate) struct Identities {
    list: Vec<Known>,
    index: HashMap<Identity, usize>,
}

/// Whom no network holds; always there.
pub(crate) const STRANGER: usize = 0;

impl Default for Identities {
    fn default() -> Identities {
        let mut identities = Identities {
            list: Vec::new(),
            index: HashMap::new(),
        };
        identities.add(Identity::of_kind(Kind::Host), Example::Stranger);
        identities
    }
}

impl Identities {
    /// The number of an identity; `example` has it.
    pub fn add(&mut self, identity: Identity, example: Example) -> usize {
        if let Some(known) = self.index.get(&identity) {
            self.list[*known].single = false;
            return *known;
        }
        let number = self.list.len();
        let single = match example {
            Example::Device(_) => true,
            Example::Network(prefix) | Example::Behind(prefix, _) => prefix.bits == 128,
            Example::Stranger | Example::Unlisted(_) => false,
        };
        self.index.insert(identity.clone(), number);
        self.list.push(Known {
            identity,
            example,
            single,
        });
        number
    }

    /// Notes that one more host has an identity.
    pub fn again(&mut self, number: usize) {
        self.list[number].single = false;
    }

    /// The number of an identity that occurs.
    pub fn find(&self, identity: &Identity) -> Option<usize> {
        self.index.get(identity).copied()
    }

    pub fn get(&self, number: usize) -> &Known {
        &self.list[number]
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Known> {
        self.list.iter()
    }
}
