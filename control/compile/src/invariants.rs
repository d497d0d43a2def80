//! Checks invariants for every flow that they match.
//!
//! Observed segments count as enforced: an invariant is about the rules, and so gives the same result before and after a
//! segment is enforced.

use std::collections::{BTreeMap, HashMap};

use cordon_policy::{Date, Invariant, Policy, Problem};
use cordon_verdict::abi::{PolicyRow, Ruling};

use crate::classes::Classes;
use crate::ends::Ends;
use crate::explanation;
use crate::identity::{Identities, Kind};
use crate::rows::Rows;
use crate::services::Services;

/// The compiled rules, and the policy with the invariants.
pub(crate) struct Check<'a> {
    pub policy: &'a Policy,
    pub today: Date,
    pub ends: &'a Ends,
    pub identities: &'a Identities,
    pub classes: &'a Classes,
    pub services: &'a Services,
    pub rows: &'a Rows,
}

/// Identities of an end that are in one class: the first, and a second if there is one.
type Sample = (usize, Option<usize>);

/// A flow that breaks an invariant.
pub(crate) struct Broken {
    /// The identity of the initiator.
    pub from: usize,
    /// The identity of the responder.
    pub to: usize,
    /// Index in the service table.
    pub service: u32,
    /// The rulings on the flow.
    pub row: PolicyRow,
}

impl Check<'_> {
    /// The invariants that are broken, each with one example.
    pub fn all(&self) -> Vec<Problem> {
        let invariants = self.policy.invariants.iter();
        invariants
            .filter_map(|invariant| {
                let broken = self.broken(invariant)?;
                Some(explanation::problem(self, invariant, &broken))
            })
            .collect()
    }

    fn broken(&self, invariant: &Invariant) -> Option<Broken> {
        let from = self.classes.identities(self.ends.list(&invariant.from));
        let to = self.classes.identities(self.ends.list(&invariant.to));
        self.broken_between(invariant, from, to)
    }

    /// Whether a flow from or to one of some identities, in ascending order, breaks an invariant.
    pub fn is_broken_by(&self, invariant: &Invariant, identities: &[u32]) -> bool {
        let from = self.classes.identities(self.ends.list(&invariant.from));
        let to = self.classes.identities(self.ends.list(&invariant.to));
        let matching = |all: &[u32]| -> Vec<u32> {
            let some = identities.iter().copied();
            some.filter(|one| all.binary_search(one).is_ok()).collect()
        };
        let (senders, receivers) = (matching(from), matching(to));
        let breaks = |from: &[u32], to: &[u32]| {
            !from.is_empty() && self.broken_between(invariant, from, to).is_some()
        };
        breaks(&senders, to) || (!receivers.is_empty() && breaks(from, &receivers))
    }

    fn broken_between(&self, invariant: &Invariant, from: &[u32], to: &[u32]) -> Option<Broken> {
        let services = self.services.touched(&invariant.services);
        let senders = self.samples(from, true);
        let receivers = self.samples(to, false);
        // Many pairs share a set of rows.
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

    /// The classes of the identities of an end, each with a sample of these identities.
    fn samples(&self, end: &[u32], sends: bool) -> BTreeMap<u16, Sample> {
        let mut samples: BTreeMap<u16, Sample> = BTreeMap::new();
        for identity in end {
            let identity = *identity as usize;
            // A group address cannot be a sender.
            if sends && self.identities.get(identity).identity.kind != Kind::Host {
                continue;
            }
            samples
                .entry(self.classes.of(identity))
                .and_modify(|(_, other)| *other = other.or(Some(identity)))
                .or_insert((identity, None));
        }
        samples
    }

    /// A possible flow between two samples: a host has no flow to itself through the gateway.
    fn flow(&self, from: Sample, to: Sample) -> Option<(usize, usize)> {
        let flows = [
            Some((from.0, to.0)),
            to.1.map(|to| (from.0, to)),
            from.1.map(|from| (from, to.0)),
        ];
        let possible =
            |&(from, to): &(usize, usize)| from != to || !self.identities.get(from).single;
        flows.into_iter().flatten().find(possible)
    }

    /// The first service whose ruling breaks the invariant.
    fn judge(
        &self,
        invariant: &Invariant,
        set: Option<u32>,
        services: &[(u16, u32)],
    ) -> Option<(u32, PolicyRow)> {
        let no_ruling = PolicyRow {
            rulings: [Ruling::NONE; _],
        };
        services.iter().find_map(|(class, service)| {
            let row = set
                .and_then(|set| self.rows.enforced(set, *class))
                .unwrap_or(&no_ruling);
            let ruling = row.rulings[invariant.at as usize];
            let kept = match invariant.allow {
                true => ruling.allows() && !ruling.is_inside(),
                false => !ruling.allows(),
            };
            (!kept).then_some((*service, *row))
        })
    }
}
