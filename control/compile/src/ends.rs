//! The ends of rules and invariants: distinct lists of selectors, and the lists that match an identity.

use std::collections::HashMap;

use cordon_policy::{Date, Policy, Selector};

use crate::identity::{Identity, Kind};

/// The number of a distinct list of selectors.
pub(crate) type ListId = u32;

/// Every distinct end of rules and invariants.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    lists: HashMap<Vec<Selector>, ListId>,
    by_selector: HashMap<Selector, Vec<ListId>>,
    /// Lists with a [`Selector::Flooded`] of any segment.
    flooded: Vec<ListId>,
    /// Lists below this are ends of rules in force.
    in_force: ListId,
}

impl Ends {
    pub fn new(policy: &Policy, today: Date) -> Ends {
        let mut ends = Ends::default();
        let (in_force, expired): (Vec<_>, Vec<_>) =
            policy.rules.iter().partition(|rule| rule.in_force(today));
        for rule in in_force {
            ends.add(&rule.from);
            ends.add(&rule.to);
        }
        ends.in_force = ends.lists.len() as ListId;
        for invariant in &policy.invariants {
            ends.add(&invariant.from);
            ends.add(&invariant.to);
        }
        // Expired rules decide nothing, but they explain a broken invariant.
        for rule in expired {
            ends.add(&rule.from);
            ends.add(&rule.to);
        }
        ends
    }

    fn add(&mut self, selectors: &[Selector]) {
        let key = key(selectors);
        let next = self.lists.len() as ListId;
        if self.lists.contains_key(&key) {
            return;
        }
        for selector in &key {
            self.by_selector.entry(*selector).or_default().push(next);
            if matches!(selector, Selector::Flooded(_)) && self.flooded.last() != Some(&next) {
                self.flooded.push(next);
            }
        }
        self.lists.insert(key, next);
    }

    /// The list of an end of a rule or invariant.
    pub fn list(&self, selectors: &[Selector]) -> ListId {
        self.lists[&key(selectors)]
    }

    /// How many lists there are.
    pub fn count(&self) -> usize {
        self.lists.len()
    }

    /// Whether a list is an end of a rule in force, so that it distinguishes classes.
    pub fn decides(&self, list: ListId) -> bool {
        list < self.in_force
    }

    /// Whether any rule or invariant names a selector. Others need not be distinguished.
    pub fn names(&self, selector: Selector) -> bool {
        self.by_selector.contains_key(&selector)
    }

    /// The lists that match an identity, sorted.
    pub fn lists_of(&self, identity: &Identity) -> Vec<ListId> {
        let mut lists = Vec::new();
        let mut add = |selector| {
            lists.extend(self.by_selector.get(&selector).into_iter().flatten());
        };
        add(Selector::Any);
        identity.zone.map(Selector::Zone).map(&mut add);
        identity.segment.map(Selector::Segment).map(&mut add);
        identity.device.map(Selector::Device).map(&mut add);
        for group in &identity.groups {
            add(Selector::Group(*group));
        }
        match identity.kind {
            Kind::Host => {}
            Kind::Multicast => lists.extend(&self.flooded),
            Kind::Broadcast => {
                add(Selector::Broadcast);
                lists.extend(&self.flooded);
            }
            Kind::Directed(segment) => {
                add(Selector::Broadcast);
                add(Selector::Flooded(segment));
            }
        }
        lists.sort_unstable();
        lists.dedup();
        lists
    }
}

/// The selectors in a canonical order: an end matches if any of its selectors does.
fn key(selectors: &[Selector]) -> Vec<Selector> {
    let mut key = selectors.to_vec();
    if key.contains(&Selector::Any) {
        return vec![Selector::Any];
    }
    key.sort_unstable_by_key(|selector| match *selector {
        Selector::Any => (0, 0),
        Selector::Broadcast => (1, 0),
        Selector::Group(index) => (2, index),
        Selector::Zone(index) => (3, index),
        Selector::Segment(index) => (4, index),
        Selector::Device(index) => (5, index),
        Selector::Flooded(index) => (6, index),
    });
    key.dedup();
    key
}
