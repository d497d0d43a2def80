//! The policy table: the set of rows of each pair of classes, with a ruling per service class and posture.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use cordon_policy::{Date, Origin, Policy, Problem};
use cordon_verdict::abi::{PolicyKey, PolicyRow, SERVICE_OTHER};
use foldhash::HashMap;

use crate::classes::{Classes, Span};
use crate::ends::{Ends, ListId};
use crate::limits;
use crate::matches::{EMPTY, Matches};
use crate::ruling::Fold;
use crate::services::{Covered, Services};
use crate::{rule_index, rule_number};

/// The rows that pairs of classes share, by service class. A service class without a row uses that of [`SERVICE_OTHER`].
pub(crate) type Set = Vec<(u16, PolicyRow)>;

#[derive(Debug, Default)]
pub(crate) struct Rows {
    sets: Vec<Set>,
    /// By set with rules of observed segments: its rows if these segments were enforced.
    enforced: HashMap<u32, Set>,
    /// By class of the initiator: the responder classes that rules match it with, ascending, and the number of the set.
    pairs: Vec<Vec<(u16, u32)>>,
    size: Size,
    bundles: Vec<Bundle>,
    numbers: HashMap<Key, u32>,
}

/// The size of the tables, and of the memory to compile them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    pub pairs: usize,
    /// Including the rows of observed segments as if these were enforced.
    pub rows: usize,
    /// Matches in all distinct lists of rules.
    pub matches: usize,
}

/// The additions for a new class.
#[derive(Debug)]
pub(crate) struct Added {
    /// Pairs, with the number of their set.
    pub pairs: Vec<((u16, u16), u32)>,
    /// Numbers of the new sets.
    pub sets: Range<usize>,
}

/// Rules in force with the same ends, by index, ascending.
#[derive(Debug)]
struct Bundle {
    from: ListId,
    to: ListId,
    rules: Vec<usize>,
}

/// The bundles that match a pair, and its reach: the rows of a pair follow from these.
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
        let mut by_from: HashMap<ListId, Vec<u32>> = HashMap::default();
        for (index, bundle) in bundles.iter().enumerate() {
            by_from.entry(bundle.from).or_default().push(index as u32);
        }
        let mut rows = Rows::default();
        // By class of the responder: the list of matching bundles. Reused for every initiator.
        let mut matching: Vec<u32> = vec![EMPTY; classes.count()];
        for from in (0..classes.count()).map(|class| class as u16) {
            let lists = classes.lists(from).iter();
            let candidates = lists.filter_map(|list| by_from.get(list)).flatten();
            let mut candidates: Vec<u32> = candidates.copied().collect();
            candidates.sort_unstable();
            let mut matched_classes: Vec<u16> = Vec::new();
            let mut matches = Matches::default();
            for bundle in candidates {
                for to in classes.in_list(bundles[bundle as usize].to) {
                    let matching = &mut matching[usize::from(*to)];
                    if *matching == EMPTY {
                        matched_classes.push(*to);
                    }
                    *matching = matches.append(*matching, bundle);
                }
                if matches.count() > limits::MAX_LISTS {
                    return Err(limits::matches(policy));
                }
            }
            matched_classes.sort_unstable();
            let mut pairs = Vec::with_capacity(matched_classes.len());
            // The sets of this class found so far.
            let mut found: HashMap<(u32, Span), u32> = HashMap::default();
            for to in matched_classes {
                let matched = std::mem::replace(&mut matching[usize::from(to)], EMPTY);
                let span = classes.span(from, to);
                let set = *found.entry((matched, span)).or_insert_with(|| {
                    let key = (matches.expand(matched), span);
                    rows.set_of(policy, &bundles, key, services)
                });
                pairs.push((to, set));
                rows.size.pairs += 1;
                if !limits::fits(rows.size) {
                    return Err(rows.limit_error(policy, &bundles, classes));
                }
            }
            rows.pairs.push(pairs);
        }
        rows.bundles = bundles;
        Ok(rows)
    }

    /// The number of the set for a key; adds the set if it is new.
    fn set_of(
        &mut self,
        policy: &Policy,
        bundles: &[Bundle],
        key: Key,
        services: &Services,
    ) -> u32 {
        if let Some(set) = self.numbers.get(&key) {
            return *set;
        }
        let set = self.add(policy, &rules(bundles, &key.0), key.1, services);
        self.size.matches += key.0.len();
        self.numbers.insert(key, set);
        set
    }

    /// Adds the pairs and rows of a class that was added after compilation. None if they exceed a limit; these rows must not be
    /// used any more then.
    pub fn extend(
        &mut self,
        policy: &Policy,
        classes: &Classes,
        services: &Services,
        class: u16,
    ) -> Option<Added> {
        let bundles = std::mem::take(&mut self.bundles);
        let mut matches = Matches::default();
        let mut matching: BTreeMap<(u16, u16), u32> = BTreeMap::new();
        let in_end = |list: ListId| classes.lists(class).binary_search(&list).is_ok();
        // Later classes add their pairs with this one themselves.
        let is_earlier = |other: &&u16| **other <= class;
        for (number, bundle) in bundles.iter().enumerate() {
            let mut append = |from, to| {
                let matching = matching.entry((from, to)).or_insert(EMPTY);
                *matching = matches.append(*matching, number as u32);
            };
            if in_end(bundle.from) {
                for to in classes.in_list(bundle.to).iter().filter(is_earlier) {
                    append(class, *to);
                }
            }
            if in_end(bundle.to) {
                let others = classes.in_list(bundle.from).iter();
                for from in others.filter(|from| **from < class) {
                    append(*from, class);
                }
            }
            if matches.count() > limits::MAX_LISTS {
                return None;
            }
        }
        let mut added = Added {
            pairs: Vec::with_capacity(matching.len()),
            sets: self.sets.len()..self.sets.len(),
        };
        self.pairs.push(Vec::new());
        for ((from, to), matched) in matching {
            let key = (matches.expand(matched), classes.span(from, to));
            let set = self.set_of(policy, &bundles, key, services);
            self.size.pairs += 1;
            if !limits::fits(self.size) {
                return None;
            }
            // The new class has the highest number, so the list stays ascending.
            self.pairs[usize::from(from)].push((to, set));
            added.pairs.push(((from, to), set));
        }
        self.bundles = bundles;
        added.sets.end = self.sets.len();
        Some(added)
    }

    /// Adds the set of rows of some rules and returns its number.
    fn add(&mut self, policy: &Policy, rules: &[usize], span: Span, services: &Services) -> u32 {
        let number = self.sets.len() as u32;
        let is_observe = |rule: &&usize| policy.rules[**rule].origin == Origin::Observe;
        if rules.iter().any(|rule| is_observe(&rule)) {
            let others = rules.iter().filter(|rule| !is_observe(rule));
            let others: Vec<usize> = others.copied().collect();
            let enforced = decide(policy, &others, span, services);
            self.size.rows += enforced.len();
            self.enforced.insert(number, enforced);
        }
        let set = decide(policy, rules, span, services);
        self.size.rows += set.len();
        self.sets.push(set);
        number
    }

    /// The error for rows that exceed a limit, of which a part has been compiled.
    fn limit_error(&self, policy: &Policy, bundles: &[Bundle], classes: &Classes) -> Problem {
        if self.size.matches > limits::MAX_MATCHES {
            return limits::matches(policy);
        }
        let mut parts: HashMap<usize, usize> = HashMap::default();
        if self.size.rows > limits::MAX_ROWS {
            for (_, row) in self.sets.iter().flatten() {
                let mut rules = row.rulings.map(|ruling| ruling.rule());
                rules.sort_unstable();
                for same in rules.chunk_by(|one, other| one == other) {
                    if let Some(rule) = rule_index(same[0]) {
                        *parts.entry(rule).or_default() += 1;
                    }
                }
            }
            return limits::rows(policy, costliest(parts));
        }
        for bundle in bundles {
            let pairs = classes.in_list(bundle.from).len() * classes.in_list(bundle.to).len();
            parts.extend(bundle.rules.iter().map(|rule| (*rule, pairs)));
        }
        limits::pairs(policy, costliest(parts))
    }

    /// The size so far.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The pairs of classes that rules match, with the number of their set.
    pub fn pairs(&self) -> impl Iterator<Item = ((u16, u16), u32)> {
        let pairs = self.pairs.iter().enumerate();
        pairs.flat_map(|(from, pairs)| {
            let all = pairs.iter();
            all.map(move |(to, set)| ((from as u16, *to), *set))
        })
    }

    /// The rows of some sets, by their numbers.
    pub fn rows(&self, sets: Range<usize>) -> impl Iterator<Item = (PolicyKey, PolicyRow)> {
        sets.flat_map(|set| {
            let rows = self.sets[set].iter();
            rows.map(move |(service, row)| (PolicyKey::new(set as u32, *service), *row))
        })
    }

    /// The numbers of all sets.
    pub fn sets(&self) -> Range<usize> {
        0..self.sets.len()
    }

    /// The number of the set of a pair.
    pub fn set(&self, from: u16, to: u16) -> Option<u32> {
        let pairs = &self.pairs[usize::from(from)];
        let at = pairs.binary_search_by_key(&to, |(to, _)| *to).ok()?;
        Some(pairs[at].1)
    }

    /// The row of a service class in a set, as if no segment were observed.
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

/// The rules in force, bundled by their ends.
fn bundles(policy: &Policy, today: Date, ends: &Ends) -> Vec<Bundle> {
    let mut index: HashMap<(ListId, ListId), usize> = HashMap::default();
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

/// The rule with the largest count, and the count; of equal ones the first rule.
fn costliest(parts: HashMap<usize, usize>) -> Option<(usize, usize)> {
    let parts = parts.into_iter();
    parts.max_by_key(|(rule, part)| (*part, Reverse(*rule)))
}

/// The rules of some bundles, in order.
fn rules(bundles: &[Bundle], numbers: &[u32]) -> Vec<usize> {
    let all = numbers.iter().flat_map(|at| &bundles[*at as usize].rules);
    let mut rules: Vec<usize> = all.copied().collect();
    rules.sort_unstable();
    rules
}

/// The rows of some rules, in order: one for each service class that they distinguish.
fn decide(policy: &Policy, rules: &[usize], span: Span, services: &Services) -> Set {
    let mut other: Option<Fold> = None;
    let mut specific: BTreeMap<u16, Fold> = BTreeMap::new();
    for index in rules {
        let rule = &policy.rules[*index];
        let number = rule_number(*index);
        match services.covered(&rule.services) {
            Covered::All => {
                other.get_or_insert(Fold::EMPTY).then(rule, number, span);
                for fold in specific.values_mut() {
                    fold.then(rule, number, span);
                }
            }
            Covered::Classes(classes) => {
                // Earlier rules about every service apply to these classes too.
                let so_far = other.unwrap_or(Fold::EMPTY);
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
