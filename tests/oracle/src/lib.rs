//! A slow, obvious second opinion on every verdict.
//!
//! It is written from the words of `dataplane/verdict/README.md` and `control/policy/README.md`, not from the code
//! that it judges: what the two have in common is a validated policy and the names of the reasons. Nothing here is
//! compiled or cached, and nothing is ever forgotten but by the words of the specification.

mod asked;
mod authorise;
mod error;
mod flow;
mod forward;
mod fragment;
mod frame;
mod identify;
mod limits;
mod link_control;
mod membership;
mod neighbour;
mod other;
mod packet;
mod proxy;
mod ruling;
mod segments;
mod tags;
mod transport;
mod walk;
mod who;

use std::collections::{HashMap, HashSet};

use cordon_policy::{Attachment, Date, LinkControl, Mac, Policy, Posture};
use cordon_verdict::Reason;

use asked::{Asked, Question};
use flow::{Flow, FlowKey};
use forward::Station;
use fragment::{First, Whole};
use limits::Counts;
use walk::Walked;

/// Where a frame leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// By one attachment.
    By(Attachment),
    /// Where it came in, as the gateway's own answer.
    Answered(Attachment),
    /// By every other attachment of the segment.
    Flood {
        /// Index of the segment.
        segment: usize,
        /// Not by uplinks.
        inside: bool,
    },
    /// By every other port that is set to let this pass.
    LinkControl(LinkControl),
}

/// Which rule decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Decided {
    /// None.
    Nothing,
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

/// What the oracle says of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where it leaves, or why it does not.
    pub verdict: Result<Leaves, Reason>,
    /// The rule that decided.
    pub rule: Decided,
    /// The frames that leave, each with the index of the port it leaves by.
    pub leaving: Vec<(usize, Vec<u8>)>,
}

/// A gateway, as the specification has it.
#[derive(Clone, Debug)]
pub struct Oracle {
    policy: Policy,
    in_force: bool,
    posture: Posture,
    today: Date,
    /// Segments by name: those of the policy, then others that were in one before.
    names: Vec<String>,
    /// Counts changes of policy and posture.
    epoch: u64,
    /// The clock.
    tick: u64,
    stations: HashMap<(usize, Mac), Station>,
    flows: HashMap<FlowKey, Flow>,
    fragments: HashMap<Whole, First>,
    questions: HashMap<Question, Asked>,
    /// Hosts that have as many established flows as they may.
    replete: HashSet<(usize, Mac)>,
    group_frames: Counts<usize>,
    group_frames_by: Counts<(usize, Mac)>,
    copies: Counts<usize>,
    copies_by: Counts<(usize, Mac)>,
    new_stations: Counts<usize>,
    new_flows: Counts<(usize, Mac)>,
}

/// Where a frame came in.
#[derive(Clone, Copy, Debug)]
struct Ingress {
    attachment: Attachment,
    segment: usize,
    uplink: bool,
}

/// A refusal: why, and which rule.
type Refused = (Reason, Decided);

impl Oracle {
    /// A gateway without a policy. Rules that expire do so as of `today`.
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
            questions: HashMap::new(),
            replete: HashSet::new(),
            group_frames: Counts::default(),
            group_frames_by: Counts::default(),
            copies: Counts::default(),
            copies_by: Counts::default(),
            new_stations: Counts::default(),
            new_flows: Counts::default(),
        }
    }

    /// Puts a policy into force. Stations and flows stay.
    pub fn install(&mut self, policy: Policy, posture: Posture) {
        self.follow_names(&policy);
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

    /// Sets the clock, in ticks. It never goes back.
    pub fn set_clock(&mut self, tick: u64) {
        self.tick = tick;
    }

    /// Whether a host has as many established flows as it may: what it may is none of the verdict's business.
    pub fn set_replete(&mut self, segment: usize, mac: Mac, replete: bool) {
        match replete {
            true => self.replete.insert((segment, mac)),
            false => self.replete.remove(&(segment, mac)),
        };
    }

    /// Judges a frame that came in on a port, or on an interface that is none.
    pub fn judge(&mut self, port: Option<usize>, frame: &[u8]) -> Answer {
        match self.walk(port, frame) {
            Ok(Walked { leaves, rule, link }) => Answer {
                verdict: Ok(leaves),
                rule,
                leaving: self.leaving(port, leaves, frame, link),
            },
            Err((reason, rule)) => Answer {
                verdict: Err(reason),
                rule,
                leaving: Vec::new(),
            },
        }
    }
}
