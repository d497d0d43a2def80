//! Classes: identities that no rule in force distinguishes share one.

use std::collections::HashMap;

use cordon_policy::{Policy, Reach};
use cordon_verdict::abi::CLASS_UNCLASSIFIED;

use crate::ends::{Ends, ListId};
use crate::identity::{Identities, Identity, UNCLASSIFIED};

/// Everything about an identity that decides on rulings. Identities with the same signature are one class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Signature {
    /// Its zone, if the zone is inside the site.
    zone: Option<usize>,
    /// See [`Identity::is_zoneless_group`].
    is_zoneless_group: bool,
    /// The ends of rules in force that match it, sorted.
    lists: Vec<ListId>,
}

/// The reach of flows between two classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Span {
    /// The same for every copy of a packet.
    One(Reach),
    /// A broadcast or multicast from inside the site: copies by device-facing ports stay within the zone, copies by uplinks
    /// cross the boundary.
    Flooded,
}

impl Span {
    /// The reach of copies by device-facing ports, and by uplinks.
    pub const fn reaches(self) -> [Reach; 2] {
        match self {
            Span::One(reach) => [reach, reach],
            Span::Flooded => [Reach::WithinZone, Reach::AcrossBoundary],
        }
    }
}

#[derive(Debug)]
pub(crate) struct Classes {
    /// By identity.
    of: Vec<usize>,
    signatures: Vec<Signature>,
    index: HashMap<Signature, usize>,
    /// By end of a rule in force: the classes that it matches, ascending.
    in_list: Vec<Vec<u16>>,
    /// By end: the identities that it matches, ascending.
    identities: Vec<Vec<u32>>,
}

impl Classes {
    pub fn new(policy: &Policy, ends: &Ends, identities: &Identities) -> Classes {
        let mut classes = Classes {
            of: Vec::with_capacity(identities.iter().len()),
            signatures: Vec::new(),
            index: HashMap::new(),
            in_list: vec![Vec::new(); ends.count()],
            identities: vec![Vec::new(); ends.count()],
        };
        for known in identities.iter() {
            classes.add(policy, ends, &known.identity);
        }
        debug_assert_eq!(classes.of[UNCLASSIFIED], usize::from(CLASS_UNCLASSIFIED));
        classes
    }

    /// Assigns a class to the next identity, and returns it.
    pub fn add(&mut self, policy: &Policy, ends: &Ends, identity: &Identity) -> usize {
        let number = self.of.len() as u32;
        let mut lists = ends.lists_of(identity);
        for list in &lists {
            self.identities[*list as usize].push(number);
        }
        lists.retain(|list| ends.decides(*list));
        let signature = Signature {
            zone: identity.local_zone(policy),
            is_zoneless_group: identity.is_zoneless_group(),
            lists,
        };
        let class = match self.index.get(&signature) {
            Some(class) => *class,
            None => {
                let class = self.signatures.len();
                for list in &signature.lists {
                    // The number may wrap around: too many classes are an error before this is read.
                    self.in_list[*list as usize].push(class as u16);
                }
                self.signatures.push(signature.clone());
                self.index.insert(signature, class);
                class
            }
        };
        self.of.push(class);
        class
    }

    pub fn count(&self) -> usize {
        self.signatures.len()
    }

    /// The class of an identity.
    pub fn of(&self, identity: usize) -> u16 {
        self.of[identity] as u16
    }

    /// The ends of rules in force that match a class.
    pub fn lists(&self, class: u16) -> &[ListId] {
        &self.signatures[usize::from(class)].lists
    }

    /// The classes that an end of a rule in force matches.
    pub fn in_list(&self, list: ListId) -> &[u16] {
        &self.in_list[list as usize]
    }

    /// The identities that an end matches.
    pub fn identities(&self, list: ListId) -> &[u32] {
        &self.identities[list as usize]
    }

    /// The reach of flows from one class to another.
    pub fn span(&self, from: u16, to: u16) -> Span {
        let (from, to) = (
            &self.signatures[usize::from(from)],
            &self.signatures[usize::from(to)],
        );
        match (from.zone, to.zone) {
            (Some(_), None) if to.is_zoneless_group => Span::Flooded,
            (Some(from), Some(to)) if from == to => Span::One(Reach::WithinZone),
            (Some(_), Some(_)) => Span::One(Reach::BetweenZones),
            _ => Span::One(Reach::AcrossBoundary),
        }
    }
}
