//! An independent, slow and simple implementation of the verdict, to compare the others with.
//!
//! It is written from the text of `dataplane/verdict/README.md` and `control/policy/README.md`, not from the code
//! under test. The two share only the validated policy and the names of the drop reasons. The oracle compiles and
//! caches nothing, and expires state only where the specification says so.

mod authorise;
mod canonical;
mod crossing;
mod error;
mod ether_type;
mod flow;
mod forward;
mod fragment;
mod frame;
mod group_query;
mod identify;
mod identity;
mod limits;
mod link_control;
mod membership;
mod neighbour;
mod packet;
mod protocol;
mod proxy;
mod ruling;
mod segments;
mod tags;
mod transport;
mod walk;

use std::collections::{HashMap, HashSet};

use cordon_policy::{Attachment, Date, LinkControl, Mac, Policy, Posture};
use cordon_verdict::Reason;

use flow::{Flow, FlowKey};
use forward::Station;
use fragment::{DatagramKey, FirstFragment};
use group_query::{GroupQuery, QueryKey};
use limits::Counts;
use walk::Accepted;

/// How a frame is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// To one attachment.
    Unicast(Attachment),
    /// The gateway's own answer, to the ingress attachment.
    Reply(Attachment),
    /// To every other attachment of the segment.
    Flood {
        /// Index of the segment.
        segment: usize,
        /// Not to uplinks.
        inside: bool,
    },
    /// To every other port that is configured to pass this protocol.
    LinkControl(LinkControl),
}

/// Which rule decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchedRule {
    /// None.
    None,
    /// The built-in rule for ARP.
    Arp,
    /// The built-in rule for neighbour discovery.
    Nd,
    /// The built-in rule for IGMP and MLD.
    Membership,
    /// The built-in rule for link control.
    LinkControl,
    /// The built-in rule for the EtherTypes that a segment lists.
    EtherType,
    /// A rule of the policy, by index.
    Rule(usize),
}

/// The oracle's decision on a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// How it is forwarded, or why it is dropped.
    pub verdict: Result<Forwarded, Reason>,
    /// The rule that decided.
    pub rule: MatchedRule,
    /// The frames that leave, each with the index of its egress port.
    pub leaving: Vec<(usize, Vec<u8>)>,
}

/// A gateway that behaves as specified.
#[derive(Clone, Debug)]
pub struct Oracle {
    policy: Policy,
    in_force: bool,
    posture: Posture,
    today: Date,
    /// Names of segments by index: first those of the policy, then those of earlier policies only.
    names: Vec<String>,
    /// Counts changes of policy and posture.
    epoch: u64,
    /// The clock.
    tick: u64,
    stations: HashMap<(usize, Mac), Station>,
    flows: HashMap<FlowKey, Flow>,
    fragments: HashMap<DatagramKey, FirstFragment>,
    queries: HashMap<QueryKey, GroupQuery>,
    /// Hosts that have reached their limit of established flows.
    at_flow_limit: HashSet<(usize, Mac)>,
    group_frames: Counts<usize>,
    group_frames_by_host: Counts<(usize, Mac)>,
    group_frames_of_unlisted: Counts<usize>,
    copies: Counts<usize>,
    copies_by_host: Counts<(usize, Mac)>,
    copies_of_unlisted: Counts<usize>,
    /// The tick in which an ARP or discovery message of a host last crossed a closed boundary.
    crossings: HashMap<(usize, Mac), u64>,
    new_stations: Counts<usize>,
    new_flows: Counts<(usize, Mac)>,
}

/// The attachment a frame came in by, its segment, and whether it is an uplink.
#[derive(Clone, Copy, Debug)]
struct Ingress {
    attachment: Attachment,
    segment: usize,
    uplink: bool,
}

/// Why a frame is dropped, and the rule that decided.
type Refusal = (Reason, MatchedRule);

impl Oracle {
    /// A gateway without a policy. Rules that have expired by `today` do not apply.
    pub fn new(today: Date) -> Oracle {
        let policy = Policy {
            site: String::new(),
            ports: Vec::new(),
            segments: Vec::new(),
            zones: Vec::new(),
            devices: Vec::new(),
            groups: Vec::new(),
            rules: Vec::new(),
            invariants: Vec::new(),
            services: Vec::new(),
        };
        Oracle {
            policy,
            names: Vec::new(),
            in_force: false,
            posture: Posture::Normal,
            today,
            epoch: 0,
            tick: 0,
            stations: HashMap::new(),
            flows: HashMap::new(),
            fragments: HashMap::new(),
            queries: HashMap::new(),
            at_flow_limit: HashSet::new(),
            group_frames: Counts::default(),
            group_frames_by_host: Counts::default(),
            group_frames_of_unlisted: Counts::default(),
            copies: Counts::default(),
            copies_by_host: Counts::default(),
            copies_of_unlisted: Counts::default(),
            crossings: HashMap::new(),
            new_stations: Counts::default(),
            new_flows: Counts::default(),
        }
    }

    /// Activates a policy. Stations and flows stay.
    pub fn install(&mut self, policy: Policy, posture: Posture) {
        self.renumber_segments(&policy);
        self.policy = policy;
        self.posture = posture;
        self.in_force = true;
        self.epoch += 1;
    }

    /// Changes the posture.
    pub fn set_posture(&mut self, posture: Posture) {
        self.posture = posture;
        self.epoch += 1;
    }

    /// Sets the clock, in ticks. `tick` must not decrease.
    pub fn set_clock(&mut self, tick: u64) {
        self.tick = tick;
    }

    /// Sets whether a host has reached its limit of established flows. The limit itself is not part of the verdict.
    pub fn set_at_flow_limit(&mut self, segment: usize, mac: Mac, at_flow_limit: bool) {
        match at_flow_limit {
            true => self.at_flow_limit.insert((segment, mac)),
            false => self.at_flow_limit.remove(&(segment, mac)),
        };
    }

    /// Judges a frame that came in on a port (by index), or on an interface that is no port of the policy (`None`).
    pub fn judge(&mut self, port: Option<usize>, frame: &[u8]) -> Judgement {
        match self.walk(port, frame) {
            Ok(Accepted {
                forwarded,
                rule,
                link,
                payload,
            }) => Judgement {
                verdict: Ok(forwarded),
                rule,
                leaving: self.egress_frames(port, forwarded, frame, link, payload.as_deref()),
            },
            Err((reason, rule)) => Judgement {
                verdict: Err(reason),
                rule,
                leaving: Vec::new(),
            },
        }
    }
}
