//! What hosts that nobody has listed may keep of the tables of established flows.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use cordon_verdict::abi::{Admission, admission_index};

use crate::error::Error;
use crate::flows::{At, FlowEntry};
use crate::maps::of;
use crate::program::Dataplane;
use crate::raw::Raw;
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
    ) -> Result<[Vec<At>; 2], Error> {
        let mut surplus = [Vec::new(), Vec::new()];
        let pressed = self.pressed(look.open);
        if pressed == [false; 2] {
            return Ok(surplus);
        }
        let unlisted = self.unlisted(look, listed)?;
        let room = [self.maps.flows4.room(), self.maps.flows6.room()];
        let (part, of) = UNLISTED;
        let mut most = [0, 1].map(|table| {
            let counts = unlisted.values().map(|flows| flows[table]);
            let most = most_each(counts, room[table] * part / of);
            most.filter(|_| pressed[table])
        });
        if most.iter().all(Option::is_none) {
            return Ok(surplus);
        }
        let mut those = HashMap::<(usize, Opener), Vec<(u16, At)>>::new();
        self.established(|at, entry| {
            let table = table_of(&entry);
            if let Some(most) = most[table]
                && let Some(opener) = opener(&entry)
                && unlisted
                    .get(&opener)
                    .is_some_and(|flows| flows[table] > most.each)
                && !is_over(&entry)
            {
                let these = those.entry((table, opener)).or_default();
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
        Ok(surplus)
    }

    /// Hosts on device-facing ports that are not listed, and how many flows of either table each opened.
    fn unlisted(
        &self,
        look: &Look,
        listed: &dyn Fn(u64) -> bool,
    ) -> Result<HashMap<Opener, [u32; 2]>, Error> {
        let unlisted = || {
            let opened = look.opened.iter();
            opened.filter(|(opener, _)| !listed(opener.member))
        };
        let facing = self.device_facing(unlisted().map(|(opener, _)| opener.attachment))?;
        let facing = |opener: &Opener| facing.contains(&opener.attachment);
        Ok(unlisted()
            .filter(|(opener, _)| facing(opener))
            .map(|(opener, flows)| (*opener, *flows))
            .collect())
    }

    /// Which of these attachments are in use and no uplinks.
    pub(crate) fn device_facing(
        &self,
        attachments: impl Iterator<Item = u16>,
    ) -> Result<HashSet<u16>, Error> {
        let slot = self.control()?.slot;
        let mut facing = attachments.collect::<HashSet<u16>>();
        let mut error = None;
        facing.retain(|attachment| {
            let index = admission_index(slot, *attachment);
            match self
                .maps
                .admissions
                .get(&index, 0)
                .map_err(of("ADMISSIONS"))
            {
                Ok(Raw(admission)) => {
                    admission.is(Admission::IN_USE) && !admission.is(Admission::UPLINK)
                }
                Err(failed) => {
                    error = Some(failed);
                    false
                }
            }
        });
        error.map_or(Ok(facing), Err)
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
