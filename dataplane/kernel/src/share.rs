//! What hosts that nobody has listed may keep of the tables of established flows.

use std::cmp::Reverse;
use std::collections::HashMap;

use cordon_verdict::abi::{Admission, admission_index};

use crate::error::Error;
use crate::flows::At;
use crate::maps::of;
use crate::program::Dataplane;
use crate::raw::Raw;
use crate::sweep::{Look, opener, table_of};

/// Of the room for flows, the part that they keep where little is left: however many somebody pretends to be, the rest is
/// there for others.
const UNLISTED: (usize, usize) = (1, 2);

impl Dataplane {
    /// What hosts that are not listed have beyond their share, of tables with little room left: of each the flows that were
    /// silent longest.
    pub(crate) fn surplus(
        &self,
        look: &Look,
        now: u16,
        listed: &dyn Fn(u64) -> bool,
    ) -> Result<Vec<At>, Error> {
        let pressed = self.pressed(look.open);
        if pressed == [false; 2] {
            return Ok(Vec::new());
        }
        let unlisted = self.unlisted(look, listed)?;
        let room = [self.maps.flows4.room(), self.maps.flows6.room()];
        let (part, of) = UNLISTED;
        let most = [0, 1].map(|table| {
            let counts = unlisted.values().map(|flows| flows[table]);
            let most = most_each(counts, room[table] * part / of);
            most.filter(|_| pressed[table])
        });
        let mut those = HashMap::<_, Vec<(u16, At)>>::new();
        self.established(|at, entry| {
            let table = table_of(&entry);
            if let Some(most) = most[table]
                && let Some((opener, _)) = opener(&entry)
                && unlisted
                    .get(&opener)
                    .is_some_and(|flows| flows[table] > most)
            {
                let these = those.entry((most, table, opener)).or_default();
                these.push((entry.idle(now), at));
            }
        });
        let mut surplus = Vec::new();
        for ((most, ..), mut these) in those {
            these.sort_unstable_by_key(|(idle, _)| Reverse(*idle));
            let give = these.len().saturating_sub(most as usize);
            surplus.extend(these.into_iter().take(give).map(|(_, at)| at));
        }
        Ok(surplus)
    }

    /// Hosts on device-facing ports that are not listed, and how many flows of either table each opened.
    fn unlisted(
        &self,
        look: &Look,
        listed: &dyn Fn(u64) -> bool,
    ) -> Result<HashMap<u64, [u32; 2]>, Error> {
        let slot = self.control()?.slot;
        let mut uplinks = HashMap::new();
        let mut unlisted = HashMap::new();
        for (member, opened) in look.opened.iter().filter(|(member, _)| !listed(**member)) {
            let uplink = match uplinks.get(&opened.attachment) {
                Some(uplink) => *uplink,
                None => {
                    let uplink = self.is_uplink(slot, opened.attachment)?;
                    uplinks.insert(opened.attachment, uplink);
                    uplink
                }
            };
            if !uplink {
                unlisted.insert(*member, opened.flows);
            }
        }
        Ok(unlisted)
    }

    /// Whether an attachment is an uplink.
    pub(crate) fn is_uplink(&self, slot: u8, attachment: u16) -> Result<bool, Error> {
        let index = admission_index(slot, attachment);
        let admissions = &self.maps.admissions;
        let Raw(admission) = admissions.get(&index, 0).map_err(of("ADMISSIONS"))?;
        Ok(admission.is(Admission::UPLINK))
    }
}

/// How many flows each may keep, so that all together keep no more than `share`: whoever has few keeps them, and those
/// who have most give. `None` where nobody has to.
fn most_each(counts: impl IntoIterator<Item = u32>, share: usize) -> Option<u32> {
    let mut counts: Vec<u32> = counts.into_iter().collect();
    counts.sort_unstable();
    let mut left = share;
    for (index, count) in counts.iter().enumerate() {
        let each = left / (counts.len() - index);
        if *count as usize > each {
            return Some(each as u32);
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
            (vec![5, 3, 4], 11, Some(4)),
            (vec![100, 1, 100], 51, Some(25)),
            (vec![7; 10], 35, Some(3)),
            (vec![1; 10], 5, Some(0)),
            (vec![u32::MAX, u32::MAX, 2], 10, Some(4)),
        ] {
            assert_eq!(most_each(counts.clone(), share), expected, "{counts:?}");
            let kept = |count: &u32| u64::from(expected.map_or(*count, |each| each.min(*count)));
            let kept: u64 = counts.iter().map(kept).sum();
            assert!(kept <= share as u64, "{counts:?} keep {kept} of {share}");
        }
    }
}
