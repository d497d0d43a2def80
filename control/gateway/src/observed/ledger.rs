//! What was let be in observed segments, summed up: bounded, and durable enough to be looked at a week later.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use cordon_protocol::ObservedEnd;
use cordon_verdict::Ip;
use serde::{Deserialize, Serialize};

/// Talks that one host of an observed segment is remembered to be party to: whoever scans must not leave no room for what
/// others need.
const OF_A_HOST: u32 = 256;
/// Talks of hosts of one segment that are no listed devices, who can be as many as they like; and of all of these.
const OF_STRANGERS: [u32; 2] = [4096, TALKS as u32 / 2];
/// Talks that are remembered.
const TALKS: usize = 16_384;
/// Flows that are kept an eye on at a time.
const FLOWS: usize = 1 << 18;
/// What is said to a group again after so many seconds goes on: an announcement every minute is no flow every minute.
const PAUSE: u64 = 120;
/// Looks, ten seconds from each other, in which whoever goes on speaking to a group is told of again: every 64 ticks.
const YOUNG: u32 = 8;
/// What was not seen for so many seconds is forgotten, by a clock that nobody can set.
const KEPT: u64 = 30 * 86_400;

/// A host that is party to a talk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Host {
    /// The device's name, where it is one.
    pub device: Option<String>,
    /// Its address.
    pub ip: IpAddr,
}

/// Flows between the same hosts to the same service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Talk {
    /// The observed segment.
    pub segment: String,
    /// Which end is in it.
    pub inside: ObservedEnd,
    /// Who opens.
    pub from: Host,
    /// To whom.
    pub to: Host,
    /// IP protocol.
    pub protocol: u8,
    /// Destination port; 0 for ICMP.
    pub port: u16,
}

impl Talk {
    /// The end in the observed segment.
    pub fn host(&self) -> &Host {
        match self.inside {
            ObservedEnd::From => &self.from,
            ObservedEnd::To => &self.to,
        }
    }
}

/// Who has a share of the room: a device, whatever its addresses are; or an address that is nobody's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Device(String),
    Stranger(String, IpAddr),
}

impl Owner {
    fn of(talk: &Talk) -> Owner {
        let Host { device, ip } = talk.host();
        match device {
            Some(device) => Owner::Device(device.clone()),
            None => Owner::Stranger(talk.segment.clone(), *ip),
        }
    }
}

/// How many talks everybody has.
#[derive(Default)]
struct Shares {
    of: HashMap<Owner, u32>,
    /// By segment, of those that are no listed devices.
    of_strangers: HashMap<String, u32>,
}

impl Shares {
    fn add(&mut self, talk: &Talk) {
        let owner = Owner::of(talk);
        if let Owner::Stranger(segment, _) = &owner {
            *self.of_strangers.entry(segment.clone()).or_default() += 1;
        }
        *self.of.entry(owner).or_default() += 1;
    }

    fn has_room_for(&self, talk: &Talk) -> bool {
        let owner = Owner::of(talk);
        let own = self.of.get(&owner).copied().unwrap_or(0);
        let Owner::Stranger(segment, _) = &owner else {
            return own < OF_A_HOST;
        };
        let of_segment = self.of_strangers.get(segment).copied().unwrap_or(0);
        let of_all = self.of_strangers.values().sum::<u32>();
        let [most_of_segment, most_of_all] = OF_STRANGERS;
        own < OF_A_HOST && of_segment < most_of_segment && of_all < most_of_all
    }
}

/// What is known of a talk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The rule that would deny it; none for no rule.
    pub rule: Option<String>,
    /// Flows.
    pub flows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Seconds since 1970 when the first flow was seen.
    pub first: u64,
    /// When the last packet was.
    pub last: u64,
    /// For how many seconds of the daemon's it was not seen since.
    #[serde(default)]
    pub unseen: u64,
}

/// Which flow, whichever segment it is seen in: a router carries one from segment to segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowId {
    ends: [(u64, u64, u16); 2],
    protocol: u8,
    /// Of what is said to groups, which no router carries on, and which many without an address say alike.
    segment: u16,
}

impl FlowId {
    /// The same in both directions.
    pub fn new(ips: [Ip; 2], ports: [u16; 2], protocol: u8) -> FlowId {
        let mut ends =
            [(ips[0], ports[0]), (ips[1], ports[1])].map(|(ip, port)| (ip.hi, ip.lo, port));
        ends.sort_unstable();
        FlowId {
            ends,
            protocol,
            segment: 0,
        }
    }

    /// What is said to groups, whichever: as the table keeps it.
    pub fn to_group(segment: u16, from: Ip, ports: [u16; 2], protocol: u8) -> FlowId {
        let nobody = match from.is_v4() {
            true => Ip::v4(0),
            false => Ip { hi: 0, lo: 0 },
        };
        FlowId::kept(segment, [from, nobody], ports, protocol)
    }

    /// The same as the table has it, where one end is nobody.
    pub fn kept(segment: u16, ips: [Ip; 2], ports: [u16; 2], protocol: u8) -> FlowId {
        FlowId {
            segment,
            ..FlowId::new(ips, ports, protocol)
        }
    }
}

/// A flow that is kept an eye on.
struct Watched {
    /// None if enforcement would let it pass as well.
    talk: Option<Arc<Talk>>,
    /// As far as they were counted; none while that is not known.
    bytes: Option<u64>,
    round: u64,
}

/// How it is known that a flow was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It was told of.
    Told,
    /// It is in the flow table.
    Found,
}

/// Flows and bytes of a segment since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Flows.
    pub flows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The file.
#[derive(Default, Serialize, Deserialize)]
struct File {
    version: u32,
    unnoted: u64,
    talks: Vec<(Talk, Said)>,
}

const VERSION: u32 = 1;

/// Everything that is remembered.
#[derive(Default)]
pub struct Ledger {
    talks: HashMap<Arc<Talk>, Said>,
    shares: Shares,
    flows: HashMap<FlowId, Watched>,
    round: u64,
    /// What is found in the flow table may have been counted before the daemon started.
    adopts: bool,
    /// How many looks it takes yet until everything that went on when the daemon started has been told of.
    young: u32,
    sums: BTreeMap<String, Sum>,
    /// Flows that there was no room for.
    pub unnoted: u64,
    /// Whether the file lags behind.
    pub changed: bool,
}

impl Ledger {
    /// Takes in what was written down; nothing if that is damaged.
    pub fn read(text: &[u8]) -> Option<Ledger> {
        let file: File = serde_json::from_slice(text).ok()?;
        if file.version != VERSION {
            return None;
        }
        let mut ledger = Ledger {
            unnoted: file.unnoted,
            adopts: true,
            young: YOUNG,
            ..Ledger::default()
        };
        for (talk, said) in file.talks.into_iter().take(TALKS) {
            ledger.add(Arc::new(talk), said);
        }
        Some(ledger)
    }

    /// To be written down.
    pub fn write(&self) -> Vec<u8> {
        let talks = self.talks.iter();
        let file = File {
            version: VERSION,
            unnoted: self.unnoted,
            talks: talks
                .map(|(talk, said)| (Talk::clone(talk), said.clone()))
                .collect(),
        };
        serde_json::to_vec(&file).expect("our own type: string keys, nothing that JSON cannot say")
    }

    /// Whether a flow is kept an eye on.
    pub fn knows(&self, id: FlowId) -> bool {
        self.flows.contains_key(&id)
    }

    /// A flow was opened that enforcement would have dropped, by `rule` or by none; or, without a talk, that it would
    /// have let pass.
    pub fn opened(
        &mut self,
        (id, known): (FlowId, Known),
        talk: Option<Talk>,
        rule: Option<&str>,
        now: u64,
    ) {
        if self.knows(id) || !self.may_watch(talk.as_ref()) {
            return;
        }
        let adopts = self.adopts && known == Known::Found;
        let (talk, bytes) = match talk {
            Some(talk) if adopts && self.talks.contains_key(&talk) => (Some(Arc::new(talk)), None),
            talk => (talk.map(|talk| self.count(talk, rule, now)), Some(0)),
        };
        self.watch(id, talk, bytes);
    }

    /// Something is said to a group: one flow for as long as it goes on, whoever restarts meanwhile.
    pub fn said(&mut self, id: FlowId, talk: Option<Talk>, rule: Option<&str>, now: u64) {
        let was_counted = self.young > 0 && talk.as_ref().is_some_and(|talk| self.goes_on(talk));
        let known = self.flows.get(&id);
        if known.is_some_and(|watched| watched.talk.as_deref() == talk.as_ref()) {
            return;
        }
        let bytes = match known.map(|watched| watched.bytes) {
            // From one port to one group after the other; or by several who have no address yet.
            Some(bytes) => bytes,
            None if !self.may_watch(talk.as_ref()) => return,
            None if was_counted => None,
            None => Some(0),
        };
        let replaces = self.knows(id);
        let talk = talk.map(|talk| {
            // Who speaks to many in turn, and has no room for all of them, is not counted at every turn.
            match self.goes_on(&talk) || (replaces && !self.has_room_for(&talk)) {
                true => Arc::new(talk),
                false => self.count(talk, rule, now),
            }
        });
        if let Some(said) = talk.as_ref().and_then(|talk| self.talks.get_mut(talk)) {
            said.last = now;
            said.unseen = 0;
        }
        self.watch(id, talk, bytes);
    }

    /// Whether a talk was seen a moment ago.
    fn goes_on(&self, talk: &Talk) -> bool {
        let said = self.talks.get(talk);
        said.is_some_and(|said| said.unseen < PAUSE)
    }

    /// Whether there is room to keep an eye on one more flow.
    fn may_watch(&mut self, talk: Option<&Talk>) -> bool {
        let has_room = self.flows.len() < FLOWS;
        self.unnoted += u64::from(!has_room && talk.is_some());
        has_room
    }

    fn watch(&mut self, id: FlowId, talk: Option<Arc<Talk>>, bytes: Option<u64>) {
        let round = self.round;
        self.flows.insert(id, Watched { talk, bytes, round });
    }

    /// Counts a flow.
    fn count(&mut self, talk: Talk, rule: Option<&str>, now: u64) -> Arc<Talk> {
        self.changed = true;
        let known = self.talks.get_key_value(&talk);
        let talk = known.map_or_else(|| Arc::new(talk.clone()), |(talk, _)| Arc::clone(talk));
        self.sums.entry(talk.segment.clone()).or_default().flows += 1;
        if !self.has_room_for(&talk) {
            self.unnoted += 1;
            return talk;
        }
        if !self.talks.contains_key(&talk) {
            let said = Said {
                first: now,
                ..Said::default()
            };
            self.add(Arc::clone(&talk), said);
        }
        if let Some(said) = self.talks.get_mut(&talk) {
            said.rule = rule.map(str::to_owned);
            said.flows += 1;
            said.last = now;
            said.unseen = 0;
        }
        talk
    }

    fn has_room_for(&self, talk: &Talk) -> bool {
        let has_room = || self.talks.len() < TALKS && self.shares.has_room_for(talk);
        self.talks.contains_key(talk) || has_room()
    }

    fn add(&mut self, talk: Arc<Talk>, said: Said) {
        self.shares.add(&talk);
        self.talks.insert(talk, said);
    }

    /// A look at the whole flow table begins: what is opened from here on is not missed by it.
    pub fn begin(&mut self) {
        self.round += 1;
    }

    /// A flow that is known is in the table, with so many bytes.
    pub fn still_there(&mut self, id: FlowId, bytes: u64, now: u64) {
        let Some(watched) = self.flows.get_mut(&id) else {
            return;
        };
        watched.round = self.round;
        // Counted anew behind its end, or where the flow was opened anew. Seen in two segments, it counts once.
        let more = match watched.bytes {
            None => 0,
            Some(before) => match bytes.checked_sub(before) {
                Some(more) => more,
                None if bytes * 2 < before => bytes,
                None => return,
            },
        };
        watched.bytes = Some(bytes);
        let Some(talk) = watched.talk.as_ref().filter(|_| more > 0) else {
            return;
        };
        self.sums.entry(talk.segment.clone()).or_default().bytes += more;
        if let Some(said) = self.talks.get_mut(talk) {
            said.bytes += more;
            said.last = now;
            said.unseen = 0;
            self.changed = true;
        }
    }

    /// The look is over: what it did not find is there no more.
    pub fn end(&mut self) {
        let round = self.round;
        self.adopts = false;
        self.young = self.young.saturating_sub(1);
        self.flows.retain(|_, watched| watched.round >= round);
    }

    /// Looks at everything anew by another policy: `still` says which rule drops a talk now, or that none of this is so
    /// any more.
    pub fn judge_again(&mut self, mut still: impl FnMut(&Talk, &Said) -> Option<Option<String>>) {
        let before = self.talks.len();
        self.talks.retain(|talk, said| {
            let rule = still(talk, said);
            if let Some(rule) = &rule {
                said.rule.clone_from(rule);
            }
            rule.is_some()
        });
        // What is still so was counted; everything else is to be judged by the new policy.
        let talks = &self.talks;
        let still = |watched: &Watched| {
            watched
                .talk
                .as_ref()
                .is_some_and(|talk| talks.contains_key(talk))
        };
        self.flows.retain(|_, watched| still(watched));
        self.changed |= self.talks.len() != before;
        self.share_anew();
    }

    /// So many seconds have passed: forgets what is long over.
    pub fn pass(&mut self, seconds: u64) {
        let before = self.talks.len();
        self.talks.retain(|_, said| {
            said.unseen += seconds;
            said.unseen < KEPT
        });
        self.changed |= self.talks.len() != before;
        self.share_anew();
    }

    fn share_anew(&mut self) {
        self.shares = Shares::default();
        for talk in self.talks.keys() {
            self.shares.add(talk);
        }
    }

    /// The same, to be looked at without the ledger.
    pub fn list(&self) -> Vec<Arc<Talk>> {
        self.talks.keys().cloned().collect()
    }

    /// The talks, in no order.
    pub fn talks(&self) -> impl Iterator<Item = (&Talk, &Said)> {
        self.talks.iter().map(|(talk, said)| (&**talk, said))
    }

    /// Of a segment, since the daemon started.
    pub fn sum(&self, segment: &str) -> Sum {
        self.sums.get(segment).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
