//! Classes: identities that no rule in force tells apart are one.

use std::collections::HashMap;

use cordon_policy::{Policy, Reach};
use cordon_verdict::abi::CLASS_UNCLASSIFIED;

use crate::ends::{Ends, ListId};
use crate::identity::{Identities, Identity, STRANGER};

/// What a class is to the rules, and to reach.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Signature {
    /// Its zone, if that is inside the site.
    zone: Option<usize>,
    /// See [`crate::identity::Identity::floats`].
    floats: bool,
    /// The ends of rules in force that it is in, sorted.
    lists: Vec<ListId>,
}

/// How far flows between two classes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Span {
    /// All the same.
    One(Reach),
    /// What is flooded from inside: within the zone by device-facing ports, across the boundary by uplinks.
    Flooded,
}

impl Span {
    /// By device-facing ports, and by uplinks.
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
    /// By list, of those that decide: the classes in it, ascending.
    in_list: Vec<Vec<u16>>,
    /// By list: the identities in it, ascending.
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
        debug_assert_eq!(classes.of[STRANGER], usize::from(CLASS_UNCLASSIFIED));
        classes
    }

    /// Gives the next identity its class, and answers it.
    pub fn add(&mut self, policy: &Policy, ends: &Ends, identity: &Identity) -> usize {
        let number = self.of.len() as u32;
        let mut lists = ends.lists_of(identity);
        for list in &lists {
            self.identities[*list as usize].push(number);
        }
        lists.retain(|list| ends.decides(*list));
        let signature = Signature {
            zone: identity.local_zone(policy),
            floats: identity.floats(),
            lists,
        };
        let class = match self.index.get(&signature) {
            Some(class) => *class,
            None => {
                let class = self.signatures.len();
                for list in &signature.lists {
                    // More classes than have a number are refused before anybody looks at this.
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

    /// The ends of rules in force that a class is in.
    pub fn lists(&self, class: u16) -> &[ListId] {
        &self.signatures[usize::from(class)].lists
    }

    /// The classes in an end of a rule in force.
    pub fn in_list(&self, list: ListId) -> &[u16] {
        &self.in_list[list as usize]
    }

    /// The identities in an end.
    pub fn identities(&self, list: ListId) -> &[u32] {
        &self.identities[list as usize]
    }

    /// How far flows go from one class to another.
    pub fn span(&self, from: u16, to: u16) -> Span {
        let (from, to) = (
            &self.signatures[usize::from(from)],
            &self.signatures[usize::from(to)],
        );
        match (from.zone, to.zone) {
            (Some(_), None) if to.floats => Span::Flooded,
            (Some(from), Some(to)) if from == to => Span::One(Reach::WithinZone),
            (Some(_), Some(_)) => Span::One(Reach::BetweenZones),
            _ => Span::One(Reach::AcrossBoundary),
        }
    }
}
