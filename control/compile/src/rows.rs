//! The policy table: which set of rows two classes have, and what the rules say in it of every service class.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use cordon_policy::{Date, Origin, Policy, Problem};
use cordon_verdict::abi::{PolicyKey, PolicyRow, SERVICE_OTHER};
use foldhash::HashMap;

use crate::classes::{Classes, Span};
use crate::ends::{Ends, ListId};
use crate::limits;
use crate::matches::{Matches, NONE};
use crate::ruling::Fold;
use crate::services::{Covered, Services};
use crate::{rule_index, rule_number};

/// The rows that pairs of classes share, by service class. Without one for a service class, that of [`SERVICE_OTHER`]
/// counts.
pub(crate) type Set = Vec<(u16, PolicyRow)>;

#[derive(Debug, Default)]
pub(crate) struct Rows {
    sets: Vec<Set>,
    /// By set, of those that an observed segment has a part in: the same if it were enforced.
    enforced: HashMap<u32, Set>,
    /// By class of the initiator: the classes it meets a rule with, ascending, and which set says what.
    pairs: Vec<Vec<(u16, u32)>>,
    size: Size,
    bundles: Vec<Bundle>,
    known: HashMap<Key, u32>,
}

/// What the tables, and whoever works them out, have to hold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    pub pairs: usize,
    /// Those of observed segments as if these were enforced included.
    pub rows: usize,
    /// Matches in the lists that are told from each other, all together.
    pub matches: usize,
}

/// What came with a class that there was not.
#[derive(Debug)]
pub(crate) struct Added {
    /// Pairs, with the number of their set.
    pub pairs: Vec<((u16, u16), u32)>,
    /// Numbers of the sets that are new.
    pub sets: Range<usize>,
}

/// Rules in force with the same ends, by index, ascending.
#[derive(Debug)]
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
        let mut by_from: HashMap<ListId, Vec<u32>> = HashMap::default();
        for (index, bundle) in bundles.iter().enumerate() {
            by_from.entry(bundle.from).or_default().push(index as u32);
        }
        let mut rows = Rows::default();
        // By class of the other end, used again for every class: which bundles match.
        let mut matching: Vec<u32> = vec![NONE; classes.count()];
        for from in (0..classes.count()).map(|class| class as u16) {
            let lists = classes.lists(from).iter();
            let opened = lists.filter_map(|list| by_from.get(list)).flatten();
            let mut opened: Vec<u32> = opened.copied().collect();
            opened.sort_unstable();
            let mut met: Vec<u16> = Vec::new();
            let mut matches = Matches::default();
            for bundle in opened {
                for to in classes.in_list(bundles[bundle as usize].to) {
                    let matching = &mut matching[usize::from(*to)];
                    if *matching == NONE {
                        met.push(*to);
                    }
                    *matching = matches.and(*matching, bundle);
                }
                if matches.count() > limits::LISTS {
                    return Err(limits::matches(policy));
                }
            }
            met.sort_unstable();
            let mut pairs = Vec::with_capacity(met.len());
            // Of this class, what was looked for so far.
            let mut found: HashMap<(u32, Span), u32> = HashMap::default();
            for to in met {
                let matched = std::mem::replace(&mut matching[usize::from(to)], NONE);
                let span = classes.span(from, to);
                let set = *found.entry((matched, span)).or_insert_with(|| {
                    let key = (matches.whole(matched), span);
                    rows.of(policy, &bundles, key, services)
                });
                pairs.push((to, set));
                rows.size.pairs += 1;
                if !limits::fits(rows.size) {
                    return Err(rows.too_many(policy, &bundles, classes));
                }
            }
            rows.pairs.push(pairs);
        }
        rows.bundles = bundles;
        Ok(rows)
    }

    /// The number of the set that a key comes to.
    fn of(&mut self, policy: &Policy, bundles: &[Bundle], key: Key, services: &Services) -> u32 {
        if let Some(set) = self.known.get(&key) {
            return *set;
        }
        let set = self.add(policy, &rules(bundles, &key.0), key.1, services);
        self.size.matches += key.0.len();
        self.known.insert(key, set);
        set
    }

    /// Adds the pairs and rows of a class that there was not when the others were worked out; none if they do not fit, and
    /// what is here is of no use then.
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
        // Those that come after it look back at it by themselves.
        let so_far = |other: &&u16| **other <= class;
        for (number, bundle) in bundles.iter().enumerate() {
            let mut and = |from, to| {
                let matching = matching.entry((from, to)).or_insert(NONE);
                *matching = matches.and(*matching, number as u32);
            };
            if in_end(bundle.from) {
                for to in classes.in_list(bundle.to).iter().filter(so_far) {
                    and(class, *to);
                }
            }
            if in_end(bundle.to) {
                let others = classes.in_list(bundle.from).iter();
                for from in others.filter(|from| **from < class) {
                    and(*from, class);
                }
            }
            if matches.count() > limits::LISTS {
                return None;
            }
        }
        let mut added = Added {
            pairs: Vec::with_capacity(matching.len()),
            sets: self.sets.len()..self.sets.len(),
        };
        self.pairs.push(Vec::new());
        for ((from, to), matched) in matching {
            let key = (matches.whole(matched), classes.span(from, to));
            let set = self.of(policy, &bundles, key, services);
            self.size.pairs += 1;
            if !limits::fits(self.size) {
                return None;
            }
            // Its number is the highest so far: they stay ascending.
            self.pairs[usize::from(from)].push((to, set));
            added.pairs.push(((from, to), set));
        }
        self.bundles = bundles;
        added.sets.end = self.sets.len();
        Some(added)
    }

    /// Adds what some rules come to; answers its number.
    fn add(&mut self, policy: &Policy, rules: &[usize], span: Span, services: &Services) -> u32 {
        let number = self.sets.len() as u32;
        let observes = |rule: &&usize| policy.rules[**rule].origin == Origin::Observe;
        if rules.iter().any(|rule| observes(&rule)) {
            let others = rules.iter().filter(|rule| !observes(rule));
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

    /// What is said of rules of which the tables do not hold what they come to, which is so far what is here.
    fn too_many(&self, policy: &Policy, bundles: &[Bundle], classes: &Classes) -> Problem {
        if self.size.matches > limits::MATCHES {
            return limits::matches(policy);
        }
        let mut parts: HashMap<usize, usize> = HashMap::default();
        if self.size.rows > limits::ROWS {
            for (_, row) in self.sets.iter().flatten() {
                let mut rules = row.rulings.map(|ruling| ruling.rule());
                rules.sort_unstable();
                for same in rules.chunk_by(|one, other| one == other) {
                    if let Some(rule) = rule_index(same[0]) {
                        *parts.entry(rule).or_default() += 1;
                    }
                }
            }
            return limits::rows(policy, dearest(parts));
        }
        for bundle in bundles {
            let pairs = classes.in_list(bundle.from).len() * classes.in_list(bundle.to).len();
            parts.extend(bundle.rules.iter().map(|rule| (*rule, pairs)));
        }
        limits::pairs(policy, dearest(parts))
    }

    /// What the tables have to hold.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Pairs of classes that a rule matches, with the number of their set.
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

/// The rule with the largest part; of several the first.
fn dearest(parts: HashMap<usize, usize>) -> Option<(usize, usize)> {
    let parts = parts.into_iter();
    parts.max_by_key(|(rule, part)| (*part, Reverse(*rule)))
}

/// The rules of some bundles, in order.
fn rules(bundles: &[Bundle], which: &[u32]) -> Vec<usize> {
    let all = which.iter().flat_map(|at| &bundles[*at as usize].rules);
    let mut rules: Vec<usize> = all.copied().collect();
    rules.sort_unstable();
    rules
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
