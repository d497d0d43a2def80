//! The policy table: for every two classes and every service class, what the rules say.

use std::collections::{BTreeMap, HashMap};

use cordon_policy::{Date, Origin, Policy, Problem};
use cordon_verdict::abi::{PolicyRow, SERVICE_OTHER};

use crate::classes::{Classes, Span};
use crate::ends::{Ends, ListId};
use crate::limits;
use crate::rule_number;
use crate::ruling::Fold;
use crate::services::{Covered, Services};

/// The rows of a pair of classes, by service class. Without one for a service class, that of [`SERVICE_OTHER`]
/// counts.
pub(crate) type Set = Vec<(u16, PolicyRow)>;

#[derive(Debug, Default)]
pub(crate) struct Rows {
    sets: Vec<Set>,
    /// By set, of those that an observed segment has a part in: the same if it were enforced.
    enforced: HashMap<u32, Set>,
    /// By class of the initiator: the classes it meets a rule with, ascending, and which set says what.
    pairs: Vec<Vec<(u16, u32)>>,
    count: usize,
}

/// Rules in force with the same ends, by index, ascending.
struct Bundle {
    from: ListId,
    to: ListId,
    rules: Vec<usize>,
}

/// Which bundles match a pair, and how far it goes: all that its rows depend on.
type Key = (Vec<u32>, Span);

impl Rows {
    pub fn new(
        policy: &Policy,
        today: Date,
        ends: &Ends,
        classes: &Classes,
        services: &Services,
    ) -> Result<Rows, Problem> {
        let bundles = bundles(policy, today, ends);
        let mut by_from: HashMap<ListId, Vec<u32>> = HashMap::new();
        for (index, bundle) in bundles.iter().enumerate() {
            by_from.entry(bundle.from).or_default().push(index as u32);
        }
        let mut rows = Rows::default();
        let mut known: HashMap<Key, u32> = HashMap::new();
        let mut matching: Vec<Vec<u32>> = vec![Vec::new(); classes.count()];
        let mut touched: Vec<u16> = Vec::new();
        for from in (0..classes.count()).map(|class| class as u16) {
            for bundle in classes
                .lists(from)
                .iter()
                .filter_map(|list| by_from.get(list))
                .flatten()
            {
                for to in classes.in_list(bundles[*bundle as usize].to) {
                    let matching = &mut matching[usize::from(*to)];
                    if matching.is_empty() {
                        touched.push(*to);
                    }
                    matching.push(*bundle);
                }
            }
            touched.sort_unstable();
            let mut pairs = Vec::with_capacity(touched.len());
            for to in touched.drain(..) {
                let span = classes.span(from, to);
                let mut key = (std::mem::take(&mut matching[usize::from(to)]), span);
                key.0.sort_unstable();
                let set = match known.get(&key) {
                    Some(set) => *set,
                    None => {
                        let set = rows.sets.len() as u32;
                        let rules = key.0.iter().flat_map(|at| &bundles[*at as usize].rules);
                        let mut rules: Vec<usize> = rules.copied().collect();
                        rules.sort_unstable();
                        rows.add(policy, &rules, span, services);
                        known.insert(key, set);
                        set
                    }
                };
                rows.count += rows.sets[set as usize].len();
                pairs.push((to, set));
            }
            rows.pairs.push(pairs);
            if rows.count > limits::ROWS {
                let widest = bundles.iter().max_by_key(|bundle| breadth(bundle, classes));
                return Err(limits::rows(
                    policy,
                    widest.map(|bundle| (bundle.rules[0], breadth(bundle, classes))),
                ));
            }
        }
        Ok(rows)
    }

    /// Adds what some rules come to.
    fn add(&mut self, policy: &Policy, rules: &[usize], span: Span, services: &Services) {
        let observes = |rule: &&usize| policy.rules[**rule].origin == Origin::Observe;
        if rules.iter().any(|rule| observes(&rule)) {
            let others = rules.iter().filter(|rule| !observes(rule));
            let others: Vec<usize> = others.copied().collect();
            self.enforced.insert(
                self.sets.len() as u32,
                decide(policy, &others, span, services),
            );
        }
        self.sets.push(decide(policy, rules, span, services));
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Pairs of classes that a rule matches, with their rows.
    pub fn pairs(&self) -> impl Iterator<Item = ((u16, u16), &Set)> {
        let pairs = self.pairs.iter().enumerate().flat_map(|(from, pairs)| {
            let all = pairs.iter();
            all.map(move |(to, set)| ((from as u16, *to), *set))
        });
        pairs.map(|(pair, set)| (pair, &self.sets[set as usize]))
    }

    /// The number of the rows of a pair.
    pub fn set(&self, from: u16, to: u16) -> Option<u32> {
        let pairs = &self.pairs[usize::from(from)];
        let at = pairs.binary_search_by_key(&to, |(to, _)| *to).ok()?;
        Some(pairs[at].1)
    }

    /// The row of a service class, as if no segment were observed.
    pub fn enforced(&self, set: u32, service: u16) -> Option<&PolicyRow> {
        let set = self
            .enforced
            .get(&set)
            .unwrap_or_else(|| &self.sets[set as usize]);
        let find = |service: u16| {
            let at = set.binary_search_by_key(&service, |(service, _)| *service);
            at.ok().map(|at| &set[at].1)
        };
        find(service).or_else(|| find(SERVICE_OTHER))
    }
}

fn bundles(policy: &Policy, today: Date, ends: &Ends) -> Vec<Bundle> {
    let mut index: HashMap<(ListId, ListId), usize> = HashMap::new();
    let mut bundles: Vec<Bundle> = Vec::new();
    for (number, rule) in policy.rules.iter().enumerate() {
        if !rule.in_force(today) {
            continue;
        }
        let (from, to) = (ends.list(&rule.from), ends.list(&rule.to));
        let at = *index.entry((from, to)).or_insert(bundles.len());
        match bundles.get_mut(at) {
            Some(bundle) => bundle.rules.push(number),
            None => bundles.push(Bundle {
                from,
                to,
                rules: vec![number],
            }),
        }
    }
    bundles
}

/// How many pairs of classes a bundle matches.
fn breadth(bundle: &Bundle, classes: &Classes) -> usize {
    classes.in_list(bundle.from).len() * classes.in_list(bundle.to).len()
}

/// What some rules say, in order, for every service class that they tell from the others.
fn decide(policy: &Policy, rules: &[usize], span: Span, services: &Services) -> Set {
    let mut other: Option<Fold> = None;
    let mut specific: BTreeMap<u16, Fold> = BTreeMap::new();
    for index in rules {
        let rule = &policy.rules[*index];
        let number = rule_number(*index);
        match services.covered(&rule.services) {
            Covered::All => {
                other.get_or_insert(Fold::NOTHING).then(rule, number, span);
                for fold in specific.values_mut() {
                    fold.then(rule, number, span);
                }
            }
            Covered::Classes(classes) => {
                // What was said of everything so far was said of these too.
                let so_far = other.unwrap_or(Fold::NOTHING);
                for class in classes {
                    specific
                        .entry(*class)
                        .or_insert(so_far)
                        .then(rule, number, span);
                }
            }
        }
    }
    let other = other.map(|fold| fold.row(span));
    let mut set = Set::new();
    set.extend(other.map(|row| (SERVICE_OTHER, row)));
    set.extend(
        specific
            .into_iter()
            .map(|(class, fold)| (class, fold.row(span)))
            .filter(|(_, row)| Some(*row) != other),
    );
    set
}
