//! The quota of unlisted hosts in the tables of established flows.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::census::{Census, Opener, opener, table_of};
use crate::dataplane::Dataplane;
use crate::flow_entry::FlowEntry;
use crate::flow_table::FlowSlot;

/// The fraction of a flow table above its high-water mark that all unlisted hosts together may fill. The rest stays
/// available to listed devices, however many MAC addresses an attacker invents.
const UNLISTED_QUOTA: (usize, usize) = (1, 2);

impl Dataplane {
    /// The flows of unlisted hosts that exceed the quota, by table, for the tables above their high-water mark: of each
    /// host over its fair quota, the flows that were idle longest. `is_expired` flows are left out.
    pub(crate) fn excess(
        &self,
        census: &Census,
        now: u16,
        listed: &dyn Fn(u64) -> bool,
        is_expired: &dyn Fn(&FlowEntry) -> bool,
    ) -> [Vec<FlowSlot>; 2] {
        let mut excess = [Vec::new(), Vec::new()];
        let above_high_water = self.above_high_water(census.open);
        if above_high_water == [false; 2] {
            return excess;
        }
        let unlisted = self.unlisted(census, listed);
        let capacity = [self.maps.flows4.capacity(), self.maps.flows6.capacity()];
        let (part, of) = UNLISTED_QUOTA;
        let mut quotas = [0, 1].map(|table| {
            let counts = unlisted.values().map(|flows| flows[table]);
            let quota = fair_quota(counts, capacity[table] * part / of);
            quota.filter(|_| above_high_water[table])
        });
        if quotas.iter().all(Option::is_none) {
            return excess;
        }
        let mut by_host = HashMap::<(usize, Opener), Vec<(u16, FlowSlot)>>::new();
        self.established(|slot, entry| {
            let table = table_of(&entry);
            if let Some(quota) = quotas[table]
                && unlisted
                    .get(&opener(&entry))
                    .is_some_and(|flows| flows[table] > quota.each)
                && !is_expired(&entry)
            {
                let flows = by_host.entry((table, opener(&entry))).or_default();
                flows.push((entry.idle(now), slot));
            }
        });
        for ((table, _), mut flows) in by_host {
            let Some(quota) = &mut quotas[table] else {
                continue;
            };
            let one_more = quota.one_more.min(1);
            quota.one_more -= one_more;
            let keeps = quota.each as usize + one_more;
            flows.sort_unstable_by_key(|(idle, _)| Reverse(*idle));
            let over = flows.len().saturating_sub(keeps);
            excess[table].extend(flows.into_iter().take(over).map(|(_, slot)| slot));
        }
        excess
    }

    /// Hosts that are neither listed nor at an uplink, and how many flows of each table they opened.
    fn unlisted(&self, census: &Census, listed: &dyn Fn(u64) -> bool) -> HashMap<Opener, [u32; 2]> {
        let mut unlisted = census.opened.clone();
        unlisted.retain(|opener, _| !listed(opener.fdb_key));
        let uplinks = self.at_uplinks();
        unlisted.retain(|opener, _| !uplinks.contains(&opener.fdb_key));
        unlisted
    }

    /// The FDB keys last seen at an uplink. A host whose FDB entry was evicted is not among them.
    fn at_uplinks(&self) -> HashSet<u64> {
        let mut uplinks = HashSet::new();
        self.stations(|fdb_key, station| {
            if station.is_uplink() {
                uplinks.insert(fdb_key);
            }
        });
        uplinks
    }
}

/// How many flows each host may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FairQuota {
    each: u32,
    /// The number of hosts over the quota that keep one more.
    one_more: usize,
}

/// The max-min fair quota of each host, so that all together keep `total`: hosts below it keep all their flows. `None` if
/// no host is over it.
fn fair_quota(counts: impl IntoIterator<Item = u32>, total: usize) -> Option<FairQuota> {
    let mut counts: Vec<u32> = counts.into_iter().collect();
    counts.sort_unstable();
    let mut left = total;
    for (index, count) in counts.iter().enumerate() {
        let others = counts.len() - index;
        if *count as usize > left / others {
            return Some(FairQuota {
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
    fn only_hosts_with_the_most_flows_are_over_the_fair_quota() {
        for (counts, total, expected) in [
            (vec![], 0, None),
            (vec![3, 4, 5], 12, None),
            (vec![5, 3, 4], 11, Some((4, 0))),
            (vec![100, 1, 100], 52, Some((25, 1))),
            (vec![7; 10], 35, Some((3, 5))),
            (vec![1; 10], 5, Some((0, 5))),
            (vec![u32::MAX, u32::MAX, 2], 10, Some((4, 0))),
        ] {
            let quota = fair_quota(counts.clone(), total);
            let found = quota.map(|quota| (quota.each, quota.one_more));
            assert_eq!(found, expected, "{counts:?}");
            let Some(FairQuota { each, one_more }) = quota else {
                continue;
            };
            let over = counts.iter().filter(|count| **count > each).count();
            assert!(one_more <= over);
            let kept: usize = counts.iter().map(|count| each.min(*count) as usize).sum();
            assert_eq!(kept + one_more, total, "{counts:?}");
        }
    }
}
