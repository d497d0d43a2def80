//! A frame between two stages of the packet path: what one leaves to the next.

use crate::abi::{Control, Copies, NO_ATTACHMENT, Ruling};
use crate::admit::Ingress;
use crate::authorise::Classes;
use crate::parse::{Link, Packet};
use crate::track::Known;
use crate::walk::Walked;

/// Where a frame leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// By one attachment; the frame has its tags already.
    Attachment(u16),
    /// By every other attachment of the segment: as `copies` says, one a port, and [`crate::flood_copy`] gives each its
    /// tags; or one by one, and [`crate::one_copy`] gives each its tags, since the frame has lost its own.
    Flood {
        /// The segment.
        segment: u16,
        /// Not by uplinks.
        inside: bool,
        /// How copies are made.
        copies: Copies,
    },
}

/// A frame that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Where it leaves.
    pub egress: Egress,
    /// The rule that lets it.
    pub rule: u32,
    /// The port it leaves by, unless it is flooded.
    pub port: u16,
}

/// What is known once the flow table was asked.
pub enum Step {
    /// An established flow: everything was decided before.
    Settled(Passed),
    /// To be judged.
    Judge(Pending),
    /// To be parsed the long way: see [`crate::rare`].
    Rare(Rare),
    /// Parsed the long way, as far as the transport layer: see [`crate::behind`].
    Walked(Behind),
    /// To be let pass, with other tags or MAC addresses perhaps: see [`crate::depart`].
    Depart(Departing),
}

/// A frame on its way from [`crate::rare`] to [`crate::behind`]. Two pieces, since what the kernel's verifier has to look at in the second
/// is the same for every way through the first.
#[derive(Clone, Copy)]
pub struct Behind {
    pub(crate) ingress: Ingress,
    pub(crate) link: Link,
    pub(crate) walked: Walked,
}

/// A frame on its way to [`crate::depart`].
#[derive(Clone, Copy)]
pub struct Departing {
    pub(crate) ingress: Ingress,
    pub(crate) link: Link,
    /// An [`Egress`], laid out flat: what one kind of it has and another has not would be undefined, which the kernel's
    /// verifier does not let be written down. [`NO_ATTACHMENT`] for a flood.
    pub(crate) attachment: u16,
    pub(crate) segment: u16,
    pub(crate) inside: bool,
    pub(crate) copies: Copies,
    pub(crate) ruling: Ruling,
}

impl Departing {
    #[inline(always)]
    pub(crate) fn step(ingress: &Ingress, link: &Link, egress: Egress, ruling: Ruling) -> Step {
        let (attachment, segment, inside, copies) = match egress {
            Egress::Attachment(attachment) => (attachment, 0, false, Copies::BY_PORT),
            Egress::Flood {
                segment,
                inside,
                copies,
            } => (NO_ATTACHMENT, segment, inside, copies),
        };
        Step::Depart(Departing {
            ingress: *ingress,
            link: *link,
            attachment,
            segment,
            inside,
            copies,
            ruling,
        })
    }

    /// It passes, by this port unless it is flooded.
    #[inline(always)]
    pub fn passed(&self, port: u16) -> Passed {
        Passed {
            egress: self.egress(),
            rule: self.ruling.rule(),
            port,
        }
    }

    #[inline(always)]
    pub(crate) fn egress(&self) -> Egress {
        match self.attachment {
            NO_ATTACHMENT => Egress::Flood {
                segment: self.segment,
                inside: self.inside,
                copies: self.copies,
            },
            attachment => Egress::Attachment(attachment),
        }
    }
}

/// A frame on its way from [`crate::enter`] to [`crate::rare`].
#[derive(Clone, Copy)]
pub struct Rare {
    pub(crate) ingress: Ingress,
    pub(crate) link: Link,
}

/// A frame on its way through the stages behind [`crate::enter`]: what is known of it so far.
#[derive(Clone, Copy)]
pub struct Pending {
    pub(crate) ingress: Ingress,
    pub(crate) link: Link,
    /// `None` for ARP.
    pub(crate) packet: Option<Packet>,
    pub(crate) known: Known,
    pub(crate) classes: Classes,
    /// [`Ruling::NONE`] until it is decided.
    pub(crate) ruling: Ruling,
    /// Whether the sender is who opened the flow.
    pub(crate) by_sender: bool,
    /// Whether the gateway answers it: see `proxy`.
    pub(crate) answered: bool,
    /// Whether it establishes its flow: see [`crate::establish`].
    pub establishes: bool,
    pub(crate) egress: Egress,
}

impl Pending {
    #[inline(always)]
    pub(crate) fn new(
        ingress: Ingress,
        link: Link,
        packet: Option<Packet>,
        known: Known,
    ) -> Pending {
        Pending {
            ingress,
            link,
            packet,
            known,
            classes: Classes::STRANGERS,
            ruling: Ruling::NONE,
            by_sender: true,
            answered: false,
            establishes: false,
            egress: Egress::Flood {
                segment: ingress.admission.segment,
                inside: true,
                copies: Copies::BY_PORT,
            },
        }
    }
}

/// A frame that is on its way.
pub trait Waiting {
    /// The policy and posture it is judged under.
    fn control(&self) -> Control;

    /// The port it came in on.
    fn port(&self) -> u16;
}

macro_rules! waiting {
    ($($step:ty),+) => {
        $(
            impl Waiting for $step {
                #[inline(always)]
                fn control(&self) -> Control {
                    self.ingress.control
                }

                #[inline(always)]
                fn port(&self) -> u16 {
                    self.ingress.port()
                }
            }
        )+
    };
}

waiting!(Rare, Behind, Pending, Departing);
