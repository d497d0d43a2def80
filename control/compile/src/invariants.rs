//! Invariants: what the rules must come to, checked for everybody whom an invariant can mean.
//!
//! Observed segments are taken as enforced. What is let through there is let through although the rules say
//! otherwise, and it is what the rules say that an invariant is about: before a segment is enforced as well as after.

use std::collections::{BTreeMap, HashMap};

use cordon_policy::{Date, Invariant, Policy, Problem};
use cordon_verdict::abi::{PolicyRow, Ruling};

use crate::classes::Classes;
use crate::ends::Ends;
use crate::identity::{Identities, Kind};
use crate::rows::Rows;
use crate::services::Services;
use crate::words;

/// All that the rules come to, and what they must.
pub(crate) struct Check<'a> {
    pub policy: &'a Policy,
    pub today: Date,
    pub ends: &'a Ends,
    pub identities: &'a Identities,
    pub classes: &'a Classes,
    pub services: &'a Services,
    pub rows: &'a Rows,
}

/// Those of an end who are in one class: the first, and another if there is one.
type Few = (usize, Option<usize>);

/// A flow that breaks an invariant: who, to whom, by what, and what the rules say of it.
pub(crate) struct Broken {
    pub from: usize,
    pub to: usize,
    /// Index in the service table.
    pub service: u32,
    pub row: PolicyRow,
}

impl Check<'_> {
    /// What is broken; one example each.
    pub fn all(&self) -> Vec<Problem> {
        let invariants = self.policy.invariants.iter();
        invariants
            .filter_map(|invariant| {
                let broken = self.broken(invariant)?;
                Some(words::problem(self, invariant, &broken))
            })
            .collect()
    }

    fn broken(&self, invariant: &Invariant) -> Option<Broken> {
        let from = self.classes.identities(self.ends.list(&invariant.from));
        let to = self.classes.identities(self.ends.list(&invariant.to));
        self.broken_between(invariant, from, to)
    }

    /// Whether an invariant is broken by someone of `who`, identities in ascending order.
    pub fn is_broken_by(&self, invariant: &Invariant, who: &[u32]) -> bool {
        let from = self.classes.identities(self.ends.list(&invariant.from));
        let to = self.classes.identities(self.ends.list(&invariant.to));
        let of = |all: &[u32]| -> Vec<u32> {
            let them = who.iter().copied();
            them.filter(|one| all.binary_search(one).is_ok()).collect()
        };
        let (senders, receivers) = (of(from), of(to));
        let breaks = |from: &[u32], to: &[u32]| {
            !from.is_empty() && self.broken_between(invariant, from, to).is_some()
        };
        breaks(&senders, to) || (!receivers.is_empty() && breaks(from, &receivers))
    }

    fn broken_between(&self, invariant: &Invariant, from: &[u32], to: &[u32]) -> Option<Broken> {
        let services = self.services.touched(&invariant.services);
        let senders = self.few(from, true);
        let receivers = self.few(to, false);
        // Many pairs have the same rows.
        let mut judged: HashMap<Option<u32>, Option<(u32, PolicyRow)>> = HashMap::new();
        for (from_class, senders) in &senders {
            for (to_class, receivers) in &receivers {
                let set = self.rows.set(*from_class, *to_class);
                let judged = judged
                    .entry(set)
                    .or_insert_with(|| self.judge(invariant, set, &services));
                if let Some((service, row)) = judged
                    && let Some((from, to)) = self.flow(*senders, *receivers)
                {
                    return Some(Broken {
                        from,
                        to,
                        service: *service,
                        row: *row,
                    });
                }
            }
        }
        None
    }

    /// The classes of an end, each with whom of it the end means.
    fn few(&self, end: &[u32], sends: bool) -> BTreeMap<u16, Few> {
        let mut few: BTreeMap<u16, Few> = BTreeMap::new();
        for identity in end {
            let identity = *identity as usize;
            // Nothing comes from a group address.
            if sends && self.identities.get(identity).identity.kind != Kind::Host {
                continue;
            }
            few.entry(self.classes.of(identity))
                .and_modify(|(_, other)| *other = other.or(Some(identity)))
                .or_insert((identity, None));
        }
        few
    }

    /// A flow between them, if there can be one: nobody speaks to itself through the gateway.
    fn flow(&self, from: Few, to: Few) -> Option<(usize, usize)> {
        let flows = [
            Some((from.0, to.0)),
            to.1.map(|to| (from.0, to)),
            from.1.map(|from| (from, to.0)),
        ];
        let possible =
            |&(from, to): &(usize, usize)| from != to || !self.identities.get(from).single;
        flows.into_iter().flatten().find(possible)
    }

    /// The first service of which the rules do not say what they must.
    fn judge(
        &self,
        invariant: &Invariant,
        set: Option<u32>,
        services: &[(u16, u32)],
    ) -> Option<(u32, PolicyRow)> {
        let nothing = PolicyRow {
            rulings: [Ruling::NONE; _],
        };
        services.iter().find_map(|(class, service)| {
            let row = set
                .and_then(|set| self.rows.enforced(set, *class))
                .unwrap_or(&nothing);
            let ruling = row.rulings[invariant.at as usize];
            let kept = match invariant.allow {
                true => ruling.allows() && !ruling.is_inside(),
                false => !ruling.allows(),
            };
            (!kept).then_some((*service, *row))
        })
    }
}
