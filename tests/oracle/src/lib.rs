//! A slow, obvious second opinion on every verdict.
//!
//! It is written from the words of `dataplane/verdict/README.md` and `control/policy/README.md`, not from the code
//! that it judges: what the two have in common is a validated policy and the names of the reasons. Nothing here is
//! compiled, cached or remembered but stations and who opened which flow.

mod authorise;
mod flow;
mod frame;
mod identify;
mod neighbour;
mod ruling;
mod who;

use std::collections::HashMap;

use cordon_policy::{Attachment, Date, Mac, Policy, Posture};
use cordon_verdict::Reason;

use authorise::Passed;
use flow::{Flow, FlowKey};
use frame::{Body, Content, Link};

/// Where a frame leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// By one attachment.
    By(Attachment),
    /// By every other port where the segment is attached.
    Flood {
        /// Index of the segment.
        segment: usize,
        /// Not by uplinks.
        inside: bool,
    },
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
    /// Counts changes of policy and posture.
    epoch: u64,
    stations: HashMap<(usize, Mac), Station>,
    flows: HashMap<FlowKey, Flow>,
}

/// Where a MAC address was last seen.
#[derive(Clone, Copy, Debug)]
struct Station {
    at: Attachment,
    /// What the attachment was then.
    uplink: bool,
}

/// Where a frame came in.
#[derive(Clone, Copy, Debug)]
struct Ingress {
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
            in_force: false,
            posture: Posture::Normal,
            today,
            epoch: 0,
            stations: HashMap::new(),
            flows: HashMap::new(),
        }
    }

    /// Puts a policy into force. Stations and flows stay.
    pub fn install(&mut self, policy: Policy, posture: Posture) {
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

    /// Judges a frame that came in on a port, or on an interface that is none.
    pub fn judge(&mut self, port: Option<usize>, frame: &[u8]) -> Answer {
        match self.walk(port, frame) {
            Ok((leaves, rule)) => Answer {
                verdict: Ok(leaves),
                rule,
                leaving: self.leaving(port, leaves, frame),
            },
            Err((reason, rule)) => Answer {
                verdict: Err(reason),
                rule,
                leaving: Vec::new(),
            },
        }
    }

    /// The whole way of a frame, in the order of the specification.
    fn walk(&mut self, port: Option<usize>, frame: &[u8]) -> Result<(Leaves, Decided), Refused> {
        let early = |reason| (reason, Decided::Nothing);
        if !self.in_force {
            return Err(early(Reason::NoPolicy));
        }
        let link = frame::link(frame).map_err(early)?;
        let port = port.ok_or(early(Reason::UnknownPort))?;
        let here = Attachment {
            port,
            vlan: link.vlan(),
        };
        let segment = self
            .segment_at(here)
            .ok_or(early(Reason::UnknownAttachment))?;
        let at = Ingress {
            segment,
            uplink: self.is_uplink(here),
        };
        let body = frame::body(&link).map_err(early)?;

        let packet = match body {
            Body::Arp(packet) => {
                self.arp(at, &link, packet).map_err(early)?;
                let passed = self.built_in(Decided::Arp)?;
                return self.deliver(at, &link, here, &passed);
            }
            Body::Ip(packet) => packet,
        };
        let flow = flow::key(segment, &link, &packet);
        if let Some(key) = flow
            && let Some(settled) = self.settled(here, &link, &packet, key)
        {
            return Ok(settled);
        }
        let source = self.source(at, &link, &packet).map_err(early)?;
        if let Content::Discovery(message) = packet.content {
            self.discovery(at, &link, &packet, message).map_err(early)?;
            let passed = self.built_in(Decided::Nd)?;
            return self.deliver(at, &link, here, &passed);
        }
        let destination = self.destination(at, &link, &packet).map_err(early)?;
        let passed = self.authorise(&packet, flow, &source, &destination)?;
        let (leaves, rule) = self.deliver(at, &link, here, &passed)?;
        if let Some(key) = flow {
            self.remember(here, &link, &packet, key, (passed.opener, rule, leaves));
        }
        Ok((leaves, rule))
    }

    /// Learns the source, and finds the destination.
    fn deliver(
        &mut self,
        at: Ingress,
        link: &Link,
        here: Attachment,
        passed: &Passed,
    ) -> Result<(Leaves, Decided), Refused> {
        let early = |reason| (reason, Decided::Nothing);
        self.learn(at, link.source, here).map_err(early)?;
        let leaves = self.forward(at, link, here, passed.inside).map_err(early)?;
        Ok((leaves, passed.rule))
    }

    fn segment_at(&self, here: Attachment) -> Option<usize> {
        let attached = |segment: &cordon_policy::Segment| segment.attachments.contains(&here);
        self.policy.segments.iter().position(attached)
    }

    fn is_uplink(&self, attachment: Attachment) -> bool {
        let port = self.policy.ports.get(attachment.port);
        port.is_some_and(|port| port.uplink)
    }

    /// Whether a station is behind an uplink: by the policy in force, or as it was if that does not know the place.
    fn is_behind(&self, station: Station) -> bool {
        match self.segment_at(station.at) {
            Some(_) => self.is_uplink(station.at),
            None => station.uplink,
        }
    }

    /// What passes at every posture but sever.
    fn built_in(&self, rule: Decided) -> Result<Passed, Refused> {
        match self.posture {
            Posture::Sever => Err((Reason::Posture, rule)),
            _ => Ok(Passed {
                rule,
                inside: false,
                opener: None,
            }),
        }
    }

    fn learn(&mut self, at: Ingress, mac: Mac, here: Attachment) -> Result<(), Reason> {
        let before = self.stations.get(&(at.segment, mac)).copied();
        let was_behind = before.is_some_and(|before| self.is_behind(before));
        if was_behind && !at.uplink && who::listed(&self.policy, at.segment, mac).is_none() {
            return Err(Reason::StationMove);
        }
        let station = Station {
            at: here,
            uplink: at.uplink,
        };
        self.stations.insert((at.segment, mac), station);
        Ok(())
    }

    fn forward(
        &self,
        at: Ingress,
        link: &Link,
        here: Attachment,
        inside: bool,
    ) -> Result<Leaves, Reason> {
        let flood = |inside| Leaves::Flood {
            segment: at.segment,
            inside,
        };
        if frame::is_group_mac(link.destination) {
            return Ok(flood(inside));
        }
        let listed = who::listed(&self.policy, at.segment, link.destination).is_some();
        let attachments = &self.policy.segments[at.segment].attachments;
        let station = self.stations.get(&(at.segment, link.destination));
        match station.map(|station| station.at) {
            Some(station) if station == here => Err(Reason::SameAttachment),
            Some(station) if !attachments.contains(&station) => Ok(flood(listed)),
            Some(station) if listed && self.is_uplink(station) => Ok(flood(true)),
            Some(station) => Ok(Leaves::By(station)),
            None => Ok(flood(listed)),
        }
    }

    fn leaving(
        &self,
        ingress: Option<usize>,
        leaves: Leaves,
        frame: &[u8],
    ) -> Vec<(usize, Vec<u8>)> {
        let copy = |by: &Attachment| (by.port, retag(frame, by.vlan));
        match leaves {
            Leaves::By(attachment) => vec![copy(&attachment)],
            Leaves::Flood { segment, inside } => {
                let mut by = self.policy.segments[segment].attachments.clone();
                by.retain(|by| Some(by.port) != ingress && !(inside && self.is_uplink(*by)));
                by.sort();
                by.iter().map(copy).collect()
            }
        }
    }
}

/// The frame with the tag of its egress: VLAN 0 is none. Priority bits are kept.
fn retag(frame: &[u8], vlan: u16) -> Vec<u8> {
    let tagged = frame[12..14] == [0x81, 0x00];
    let priority = if tagged { frame[14] & 0xf0 } else { 0 };
    let rest = if tagged { &frame[16..] } else { &frame[12..] };
    let mut out = frame[..12].to_vec();
    if vlan != 0 {
        out.extend([0x81, 0x00, priority | (vlan >> 8) as u8, vlan as u8]);
    }
    out.extend(rest);
    out
}
