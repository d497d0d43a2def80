//! The flows with the most bytes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use cordon_kernel::FlowEntry;

use crate::observed::ShadowVerdict;

/// A flow, ordered by its bytes.
pub struct RankedFlow {
    /// Its entry.
    pub entry: FlowEntry,
    /// The verdict of the shadow policy, for a flow that passes by an observe rule.
    pub enforced: Option<ShadowVerdict>,
}

impl RankedFlow {
    /// A flow that the shadow policy does not judge.
    pub fn of(entry: FlowEntry) -> RankedFlow {
        RankedFlow {
            entry,
            enforced: None,
        }
    }

    fn bytes(&self) -> u64 {
        self.entry.bytes(0) + self.entry.bytes(1)
    }
}

impl PartialEq for RankedFlow {
    fn eq(&self, other: &RankedFlow) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for RankedFlow {}

impl PartialOrd for RankedFlow {
    fn partial_cmp(&self, other: &RankedFlow) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RankedFlow {
    fn cmp(&self, other: &RankedFlow) -> std::cmp::Ordering {
        self.bytes().cmp(&other.bytes())
    }
}

/// Keeps the flows with the most bytes of all that are pushed.
pub struct TopFlows {
    heap: BinaryHeap<Reverse<RankedFlow>>,
    limit: usize,
    /// Number of flows pushed.
    pub pushed: u64,
}

impl TopFlows {
    /// Keeps at most this many flows.
    pub fn new(limit: usize) -> TopFlows {
        TopFlows {
            heap: BinaryHeap::with_capacity(limit + 1),
            limit,
            pushed: 0,
        }
    }

    /// Adds a flow.
    pub fn push(&mut self, ranked: RankedFlow) {
        self.pushed += 1;
        self.heap.push(Reverse(ranked));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    /// The flows kept, those with the most bytes first.
    pub fn into_sorted(self) -> impl Iterator<Item = RankedFlow> {
        let sorted = self.heap.into_sorted_vec().into_iter();
        sorted.map(|Reverse(ranked)| ranked)
    }
}
