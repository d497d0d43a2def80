//! The ledger of observed segments: the conversations that enforcement would have dropped. Bounded, and written to disk
//! so that an operator can read it a week later.

mod conversation;
mod file;
mod flow_id;
mod quotas;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub use conversation::{Conversation, Host, Record, Totals};
pub use flow_id::FlowId;

use file::File;
use quotas::{MAX_CONVERSATIONS, Quotas};

/// Flows that are tracked at a time.
const MAX_TRACKED_FLOWS: usize = 1 << 18;
/// Packets to a group continue the same flow unless they pause for this many seconds: an announcement every minute is
/// one flow.
const GROUP_PAUSE_SECONDS: u64 = 120;
/// Scans, ten seconds apart, within which every ongoing sender to a group is reported: an event comes every 64 ticks.
const STARTUP_SCANS: u32 = 8;
/// A conversation is removed after this many seconds of running time without a packet.
const RETENTION_SECONDS: u64 = 30 * 86_400;

/// A flow whose bytes are counted.
struct TrackedFlow {
    /// None if enforcement would let it pass too.
    conversation: Option<Arc<Conversation>>,
    /// Bytes counted so far; none until the first scan tells how many were counted before.
    bytes: Option<u64>,
    /// The last scan that found it.
    scan: u64,
}

/// How the opening of a flow became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// By an event.
    Event,
    /// By its entry in the flow table.
    FlowTable,
}

/// The ledger.
#[derive(Default)]
pub struct Ledger {
    conversations: HashMap<Arc<Conversation>, Record>,
    quotas: Quotas,
    flows: HashMap<FlowId, TrackedFlow>,
    /// The number of the scan.
    scan: u64,
    /// Until the first scan is over, an entry of the flow table may be a flow that was counted before a restart.
    before_first_scan: bool,
    /// Scans until every sender to a group that was active at the start has been reported.
    startup_scans: u32,
    totals: BTreeMap<String, Totals>,
    /// Flows that there was no room for.
    pub unrecorded: u64,
    /// Whether the file is out of date.
    pub changed: bool,
}

impl Ledger {
    /// Restores a ledger from its file; none if that is damaged or has another version.
    pub fn from_json(text: &[u8]) -> Option<Ledger> {
        let file = File::parse(text)?;
        let mut ledger = Ledger {
            unrecorded: file.unrecorded,
            before_first_scan: true,
            startup_scans: STARTUP_SCANS,
            ..Ledger::default()
        };
        for (conversation, record) in file.conversations.into_iter().take(MAX_CONVERSATIONS) {
            ledger.add(Arc::new(conversation), record);
        }
        Some(ledger)
    }

    /// The content of its file.
    pub fn to_json(&self) -> Vec<u8> {
        let conversations = self.conversations.iter();
        let conversations = conversations
            .map(|(conversation, record)| (Conversation::clone(conversation), record.clone()))
            .collect();
        let file = File::new(self.unrecorded, conversations);
        serde_json::to_vec(&file).expect("own types with string keys serialise")
    }

    /// Whether a flow is tracked.
    pub fn tracks(&self, id: FlowId) -> bool {
        self.flows.contains_key(&id)
    }

    /// Counts a flow that was opened. `conversation` is none if enforcement would let it pass; else `rule` is the rule
    /// that would drop it, none if no rule matches. `now` is in seconds since 1970.
    pub fn flow_opened(
        &mut self,
        (id, evidence): (FlowId, Evidence),
        conversation: Option<Conversation>,
        rule: Option<&str>,
        now: u64,
    ) {
        if self.tracks(id) || !self.may_track(conversation.as_ref()) {
            return;
        }
        let may_be_counted = self.before_first_scan && evidence == Evidence::FlowTable;
        let (conversation, bytes) = match conversation {
            Some(known) if may_be_counted && self.conversations.contains_key(&known) => {
                (Some(Arc::new(known)), None)
            }
            conversation => {
                let counted = conversation.map(|one| self.count(one, rule, now));
                (counted, Some(0))
            }
        };
        self.track(id, conversation, bytes);
    }

    /// Notes a packet to a group: one flow for as long as the sender continues, also across a restart of the daemon.
    pub fn group_traffic(
        &mut self,
        id: FlowId,
        conversation: Option<Conversation>,
        rule: Option<&str>,
        now: u64,
    ) {
        let was_counted = self.startup_scans > 0
            && conversation
                .as_ref()
                .is_some_and(|conversation| self.is_recent(conversation));
        let known = self.flows.get(&id);
        if known.is_some_and(|tracked| tracked.conversation.as_deref() == conversation.as_ref()) {
            return;
        }
        let bytes = match known.map(|tracked| tracked.bytes) {
            // One sender port that alternates between groups, or several hosts that have no address yet.
            Some(bytes) => bytes,
            None if !self.may_track(conversation.as_ref()) => return,
            None if was_counted => None,
            None => Some(0),
        };
        let replaces = self.tracks(id);
        let conversation = conversation.map(|conversation| {
            // A sender that alternates between more groups than its quota allows is not counted at each change.
            match self.is_recent(&conversation) || (replaces && !self.has_room_for(&conversation)) {
                true => Arc::new(conversation),
                false => self.count(conversation, rule, now),
            }
        });
        let record = conversation
            .as_ref()
            .and_then(|conversation| self.conversations.get_mut(conversation));
        if let Some(record) = record {
            record.last = now;
            record.unseen = 0;
        }
        self.track(id, conversation, bytes);
    }

    /// Whether a packet of a conversation was seen within the pause that ends a flow to a group.
    fn is_recent(&self, conversation: &Conversation) -> bool {
        let record = self.conversations.get(conversation);
        record.is_some_and(|record| record.unseen < GROUP_PAUSE_SECONDS)
    }

    /// Whether there is room to track one more flow; counts it as unrecorded if not.
    fn may_track(&mut self, conversation: Option<&Conversation>) -> bool {
        let has_room = self.flows.len() < MAX_TRACKED_FLOWS;
        self.unrecorded += u64::from(!has_room && conversation.is_some());
        has_room
    }

    fn track(&mut self, id: FlowId, conversation: Option<Arc<Conversation>>, bytes: Option<u64>) {
        let tracked = TrackedFlow {
            conversation,
            bytes,
            scan: self.scan,
        };
        self.flows.insert(id, tracked);
    }

    /// Counts a flow of a conversation.
    fn count(
        &mut self,
        conversation: Conversation,
        rule: Option<&str>,
        now: u64,
    ) -> Arc<Conversation> {
        self.changed = true;
        let known = self.conversations.get_key_value(&conversation);
        let conversation = known.map_or_else(
            || Arc::new(conversation.clone()),
            |(known, _)| Arc::clone(known),
        );
        let segment = conversation.segment.clone();
        self.totals.entry(segment).or_default().flows += 1;
        if !self.has_room_for(&conversation) {
            self.unrecorded += 1;
            return conversation;
        }
        if !self.conversations.contains_key(&conversation) {
            let record = Record {
                first: now,
                ..Record::default()
            };
            self.add(Arc::clone(&conversation), record);
        }
        if let Some(record) = self.conversations.get_mut(&conversation) {
            record.rule = rule.map(str::to_owned);
            record.flows += 1;
            record.last = now;
            record.unseen = 0;
        }
        conversation
    }

    fn has_room_for(&self, conversation: &Conversation) -> bool {
        let has_room = || {
            self.conversations.len() < MAX_CONVERSATIONS && self.quotas.has_room_for(conversation)
        };
        self.conversations.contains_key(conversation) || has_room()
    }

    fn add(&mut self, conversation: Arc<Conversation>, record: Record) {
        self.quotas.add(&conversation);
        self.conversations.insert(conversation, record);
    }

    /// Begins a scan of the flow table. A flow opened during the scan is kept although the scan may not find it.
    pub fn begin_scan(&mut self) {
        self.scan += 1;
    }

    /// Notes that the flow table has a flow, with its byte count. Does nothing if the flow is not tracked.
    pub fn update(&mut self, id: FlowId, bytes: u64, now: u64) {
        let Some(tracked) = self.flows.get_mut(&id) else {
            return;
        };
        tracked.scan = self.scan;
        // Far fewer bytes than before mean that the flow was opened again or its counter wrapped. A few less mean that
        // the same flow is seen in a second segment, where it is not counted again.
        let more = match tracked.bytes {
            None => 0,
            Some(before) => match bytes.checked_sub(before) {
                Some(more) => more,
                None if bytes * 2 < before => bytes,
                None => return,
            },
        };
        tracked.bytes = Some(bytes);
        let Some(conversation) = tracked.conversation.as_ref().filter(|_| more > 0) else {
            return;
        };
        let segment = conversation.segment.clone();
        self.totals.entry(segment).or_default().bytes += more;
        if let Some(record) = self.conversations.get_mut(conversation) {
            record.bytes += more;
            record.last = now;
            record.unseen = 0;
            self.changed = true;
        }
    }

    /// Ends a scan: flows that it did not find have left the flow table.
    pub fn end_scan(&mut self) {
        let scan = self.scan;
        self.before_first_scan = false;
        self.startup_scans = self.startup_scans.saturating_sub(1);
        self.flows.retain(|_, tracked| tracked.scan >= scan);
    }

    /// Evaluates every conversation by another policy. `verdict` returns none if that allows the conversation, which
    /// removes it; else the rule that drops it, none if no rule matches.
    pub fn reevaluate(
        &mut self,
        mut verdict: impl FnMut(&Conversation, &Record) -> Option<Option<String>>,
    ) {
        let before = self.conversations.len();
        self.conversations.retain(|conversation, record| {
            let rule = verdict(conversation, record);
            if let Some(rule) = &rule {
                record.rule.clone_from(rule);
            }
            rule.is_some()
        });
        // Flows of the conversations that stay were counted; every other flow is to be judged by the new policy.
        let conversations = &self.conversations;
        self.flows.retain(|_, tracked| {
            let conversation = tracked.conversation.as_ref();
            conversation.is_some_and(|one| conversations.contains_key(one))
        });
        self.changed |= self.conversations.len() != before;
        self.recount_quotas();
    }

    /// Adds seconds of running time, and removes conversations that were last seen too long ago. Setting the wall clock
    /// has no effect on this.
    pub fn age(&mut self, seconds: u64) {
        let before = self.conversations.len();
        self.conversations.retain(|_, record| {
            record.unseen += seconds;
            record.unseen < RETENTION_SECONDS
        });
        self.changed |= self.conversations.len() != before;
        self.recount_quotas();
    }

    fn recount_quotas(&mut self) {
        self.quotas = Quotas::default();
        for conversation in self.conversations.keys() {
            self.quotas.add(conversation);
        }
    }

    /// The conversations, to be used without holding the ledger.
    pub fn list(&self) -> Vec<Arc<Conversation>> {
        self.conversations.keys().cloned().collect()
    }

    /// The conversations, unordered.
    pub fn conversations(&self) -> impl Iterator<Item = (&Conversation, &Record)> {
        let conversations = self.conversations.iter();
        conversations.map(|(conversation, record)| (&**conversation, record))
    }

    /// The totals of a segment since the daemon started.
    pub fn totals(&self, segment: &str) -> Totals {
        self.totals.get(segment).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
