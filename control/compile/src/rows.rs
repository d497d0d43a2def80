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
    bundles: Vec<Bundle>,
    known: HashMap<Key, u32>,
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
        let mut by_from: HashMap<ListId, Vec<u32>> = HashMap::new();
        for (index, bundle) in bundles.iter().enumerate() {
            by_from.entry(bundle.from).or_default().push(index as u32);
        }
        let mut rows = Rows::default();
        // By class of the other end, used again for every class: which bundles match.
        let mut matching: Vec<Vec<u32>> = vec![Vec::new(); classes.count()];
        for from in (0..classes.count()).map(|class| class as u16) {
            let lists = classes.lists(from).iter();
            let opened = lists.filter_map(|list| by_from.get(list)).flatten();
            let mut met: Vec<u16> = Vec::new();
            for bundle in opened {
                for to in classes.in_list(bundles[*bundle as usize].to) {
                    let matching = &mut matching[usize::from(*to)];
                    if matching.is_empty() {
                        met.push(*to);
                    }
                    matching.push(*bundle);
                }
            }
            met.sort_unstable();
            let mut pairs = Vec::with_capacity(met.len());
            for to in met {
                let mut matching = std::mem::take(&mut matching[usize::from(to)]);
                matching.sort_unstable();
                let key = (matching, classes.span(from, to));
                let set = rows.of(policy, &bundles, key, services);
                pairs.push((to, set));
                rows.count += rows.sets[set as usize].len();
                if rows.count > limits::ROWS {
                    let costs = costs(policy, &bundles, classes, services);
                    return Err(limits::rows(policy, costs.max_by_key(|(_, cost)| *cost)));
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
        self.known.insert(key, set);
        set
    }

    /// Adds the rows of a class that there was not when the others were worked out; none if they do not fit.
    pub fn extend(
        &mut self,
        policy: &Policy,
        classes: &Classes,
        services: &Services,
        class: u16,
    ) -> Option<Vec<((u16, u16), Set)>> {
        let bundles = std::mem::take(&mut self.bundles);
        let mut matching: BTreeMap<(u16, u16), Vec<u32>> = BTreeMap::new();
        let in_end = |list: ListId| classes.lists(class).binary_search(&list).is_ok();
        // Those that come after it look back at it by themselves.
        let so_far = |other: &&u16| **other <= class;
        for (number, bundle) in bundles.iter().enumerate() {
            if in_end(bundle.from) {
                for to in classes.in_list(bundle.to).iter().filter(so_far) {
                    let matching = matching.entry((class, *to)).or_default();
                    matching.push(number as u32);
                }
            }
            if in_end(bundle.to) {
                let others = classes.in_list(bundle.from).iter();
                for from in others.filter(|from| **from < class) {
                    let matching = matching.entry((*from, class)).or_default();
                    matching.push(number as u32);
                }
            }
        }
        let mut added = Vec::with_capacity(matching.len());
        self.pairs.push(Vec::new());
        for ((from, to), matching) in matching {
            let key = (matching, classes.span(from, to));
            let set = self.of(policy, &bundles, key, services);
            // Its number is the highest so far: they stay ascending.
            self.pairs[usize::from(from)].push((to, set));
            let set = self.sets[set as usize].clone();
            self.count += set.len();
            added.push(((from, to), set));
        }
        self.bundles = bundles;
        (self.count <= limits::ROWS).then_some(added)
    }

    /// Adds what some rules come to; answers its number.
    fn add(&mut self, policy: &Policy, rules: &[usize], span: Span, services: &Services) -> u32 {
        let number = self.sets.len() as u32;
        let observes = |rule: &&usize| policy.rules[**rule].origin == Origin::Observe;
        if rules.iter().any(|rule| observes(&rule)) {
            let others = rules.iter().filter(|rule| !observes(rule));
            let others: Vec<usize> = others.copied().collect();
            let enforced = decide(policy, &others, span, services);
            self.enforced.insert(number, enforced);
        }
        self.sets.push(decide(policy, rules, span, services));
        number
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

/// The rules of some bundles, in order.
fn rules(bundles: &[Bundle], which: &[u32]) -> Vec<usize> {
    let all = which.iter().flat_map(|at| &bundles[*at as usize].rules);
    let mut rules: Vec<usize> = all.copied().collect();
    rules.sort_unstable();
    rules
}

/// How many rows each rule would have if there were no other.
fn costs<'a>(
    policy: &'a Policy,
    bundles: &'a [Bundle],
    classes: &'a Classes,
    services: &'a Services,
) -> impl Iterator<Item = (usize, usize)> + 'a {
    bundles.iter().flat_map(move |bundle| {
        let pairs = classes.in_list(bundle.from).len() * classes.in_list(bundle.to).len();
        bundle.rules.iter().map(move |rule| {
            let services = match services.covered(&policy.rules[*rule].services) {
                Covered::All => 1,
                Covered::Classes(classes) => classes.len(),
            };
            (*rule, pairs * services)
        })
    })
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
