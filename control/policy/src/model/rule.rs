//! Rules and invariants.

use std::time::Duration;

use super::{Date, Posture, Service};
use crate::problem::SourcePosition;

/// What one end of a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// Every address, broadcast and multicast included.
    Any,
    /// 255.255.255.255 and the directed broadcasts of all segments.
    Broadcast,
    /// The members of a group, by index.
    Group(usize),
    /// A zone, by index.
    Zone(usize),
    /// A segment, by index: its devices, and the addresses of its subnets.
    Segment(usize),
    /// A device, by index.
    Device(usize),
    /// Everything that is flooded in a segment, by index: 255.255.255.255, the directed broadcasts of its subnets, and
    /// multicast. Only the implicit rule of a segment uses it.
    Flooded(usize),
}

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `rules` in `policy.yaml`.
    Written,
    /// `infrastructure` in `site.yaml`.
    Infrastructure,
    /// A segment that is not isolated: its members may talk to each other.
    Segment,
    /// An observed segment: its flows that no other rule allows at `normal` are counted instead of dropped. Two rules,
    /// one for each direction.
    Observe,
}

/// A rule that allows or denies flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// The ends that may open a flow; one of them has to match.
    pub from: Vec<Selector>,
    /// The ends that a flow is opened to; one of them has to match.
    pub to: Vec<Selector>,
    /// The services; one of them has to match.
    pub services: Vec<Service>,
    /// Idle timeouts, of those of its services that set one. Where several match a flow, the longest applies.
    pub idle: Vec<(Service, Duration)>,
    /// Whether it allows. A rule that denies applies at every posture.
    pub allow: bool,
    /// The highest posture at which it applies; none: [`Reach::default_survives`](crate::Reach::default_survives).
    pub survives: Option<Posture>,
    /// The person or department responsible for it.
    pub owner: Option<String>,
    /// Why it exists.
    pub reason: Option<String>,
    /// The last day on which it applies.
    pub expires: Option<Date>,
    /// Where it is written.
    pub position: SourcePosition,
    /// Where it comes from.
    pub origin: Origin,
}

impl Rule {
    /// Whether it is on the continuity list.
    pub fn continuity(&self) -> bool {
        self.allow
            && self
                .survives
                .is_some_and(|survives| survives >= Posture::Contain)
    }

    /// Whether it has not expired on a day.
    pub fn in_force(&self, today: Date) -> bool {
        self.expires.is_none_or(|last| today <= last)
    }
}

/// A statement that must follow from the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// The ends that open a flow.
    pub from: Vec<Selector>,
    /// The ends that the flow is opened to.
    pub to: Vec<Selector>,
    /// The services.
    pub services: Vec<Service>,
    /// The posture it is about.
    pub at: Posture,
    /// Whether the rules have to allow every such flow, or deny every one.
    pub allow: bool,
    /// Where it is written.
    pub position: SourcePosition,
}
