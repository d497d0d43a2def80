//! What hosts that nobody has listed may keep of the tables of established flows.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::flows::{At, FlowEntry};
use crate::program::Dataplane;
use crate::sweep::{Look, Opener, opener, table_of};

/// Of the room for flows, the part that they keep where little is left: however many somebody pretends to be, the rest is
/// there for others.
const UNLISTED: (usize, usize) = (1, 2);

impl Dataplane {
    /// What hosts that are not listed have beyond their share, by table, of those with little room left: of each host the
    /// flows that were silent longest. Not what `is_over` in any case.
    pub(crate) fn surplus(
        &self,
        look: &Look,
        now: u16,
        listed: &dyn Fn(u64) -> bool,
        is_over: &dyn Fn(&FlowEntry) -> bool,
    ) -> [Vec<At>; 2] {
        let mut surplus = [Vec::new(), Vec::new()];
        let pressed = self.pressed(look.open);
        if pressed == [false; 2] {
            return surplus;
        }
        let unlisted = self.unlisted(look, listed);
        let room = [self.maps.flows4.room(), self.maps.flows6.room()];
        let (part, of) = UNLISTED;
        let mut most = [0, 1].map(|table| {
            let counts = unlisted.values().map(|flows| flows[table]);
            let most = most_each(counts, room[table] * part / of);
            most.filter(|_| pressed[table])
        });
        if most.iter().all(Option::is_none) {
            return surplus;
        }
        let mut those = HashMap::<(usize, Opener), Vec<(u16, At)>>::new();
        self.established(|at, entry| {
            let table = table_of(&entry);
            if let Some(most) = most[table]
                && unlisted
                    .get(&opener(&entry))
                    .is_some_and(|flows| flows[table] > most.each)
                && !is_over(&entry)
            {
                let these = those.entry((table, opener(&entry))).or_default();
                these.push((entry.idle(now), at));
            }
        });
        for ((table, _), mut these) in those {
            let Some(most) = &mut most[table] else {
                continue;
            };
            let one_more = most.one_more.min(1);
            most.one_more -= one_more;
            let keeps = most.each as usize + one_more;
            these.sort_unstable_by_key(|(idle, _)| Reverse(*idle));
            let gives = these.len().saturating_sub(keeps);
            surplus[table].extend(these.into_iter().take(gives).map(|(_, at)| at));
        }
        surplus
    }

    /// Hosts that are neither listed nor at an uplink, and how many flows of either table each opened.
    fn unlisted(&self, look: &Look, listed: &dyn Fn(u64) -> bool) -> HashMap<Opener, [u32; 2]> {
        let mut unlisted = look.opened.clone();
        unlisted.retain(|opener, _| !listed(opener.member));
        let uplinks = self.at_uplinks();
        unlisted.retain(|opener, _| !uplinks.contains(&opener.member));
        unlisted
    }

    /// Members that were last heard at an uplink. Of whom it has been forgotten where they are, nobody says so.
    fn at_uplinks(&self) -> HashSet<u64> {
        let mut uplinks = HashSet::new();
        self.stations(|member, station| {
            if station.is_uplink() {
                uplinks.insert(member);
            }
        });
        uplinks
    }
}

/// How many flows each host may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Most {
    each: u32,
    /// So many of those who have more keep one more.
    one_more: usize,
}

/// How many each may keep, so that all together keep `share`: whoever has few keeps them, and those who have most give.
/// `None` where nobody has to.
fn most_each(counts: impl IntoIterator<Item = u32>, share: usize) -> Option<Most> {
    let mut counts: Vec<u32> = counts.into_iter().collect();
    counts.sort_unstable();
    let mut left = share;
    for (index, count) in counts.iter().enumerate() {
        let others = counts.len() - index;
        if *count as usize > left / others {
            return Some(Most {
                each: (left / others) as u32,
                one_more: left % others,
            });
        }
        left -= *count as usize;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_most_gives() {
        for (counts, share, expected) in [
            (vec![], 0, None),
            (vec![3, 4, 5], 12, None),
            (vec![5, 3, 4], 11, Some((4, 0))),
            (vec![100, 1, 100], 52, Some((25, 1))),
            (vec![7; 10], 35, Some((3, 5))),
            (vec![1; 10], 5, Some((0, 5))),
            (vec![u32::MAX, u32::MAX, 2], 10, Some((4, 0))),
        ] {
            let most = most_each(counts.clone(), share);
            let found = most.map(|most| (most.each, most.one_more));
            assert_eq!(found, expected, "{counts:?}");
            let Some(Most { each, one_more }) = most else {
                continue;
            };
            let give = counts.iter().filter(|count| **count > each).count();
            assert!(one_more <= give);
            let kept: usize = counts.iter().map(|count| each.min(*count) as usize).sum();
            assert_eq!(kept + one_more, share, "{counts:?}");
        }
    }
}
