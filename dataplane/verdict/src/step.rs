//! The state of a frame between two stages of the packet path.

use crate::abi::{Control, Copies, NO_ATTACHMENT, Ruling};
use crate::admit::Ingress;
use crate::authorise::Classes;
use crate::flow::ConnState;
use crate::packet::{Link, Packet, Walked};

/// Where a frame leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// By one attachment; the frame has its tags already.
    Attachment(u16),
    /// By every other attachment of the segment. `copies` says how: one copy for each port, which [`crate::flood_copy`]
    /// gives its tags; or one for each attachment, which [`crate::attachment_copy`] gives its tags: the frame has lost its
    /// own.
    Flood {
        /// The segment.
        segment: u16,
        /// No copy leaves by an uplink.
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
    /// The rule that allows it.
    pub rule: u32,
    /// The port it leaves by, unless it is flooded.
    pub port: u16,
}

/// What a stage came to: the frame passes, or a later stage goes on with it.
pub enum Step {
    /// It passes and leaves as it is.
    Forwarded(Passed),
    /// To be identified, authorised, forwarded and accounted.
    Judge(Pending),
    /// To [`crate::stage::extended`].
    Extended(Extended),
    /// To [`crate::stage::upper_layer`].
    UpperLayer(UpperLayer),
    /// It passes; to [`crate::stage::rewrite`].
    Rewrite(Rewriting),
}

/// A frame on its way from [`crate::stage::extended`] to [`crate::stage::upper_layer`]. These are two stages because the
/// kernel's verifier then checks the second once, and not once for every path through the first.
#[derive(Clone, Copy)]
pub struct UpperLayer {
    pub(crate) ingress: Ingress,
    pub(crate) link: Link,
    pub(crate) walked: Walked,
}

/// A frame on its way to [`crate::stage::rewrite`].
#[derive(Clone, Copy)]
pub struct Rewriting {
    pub(crate) ingress: Ingress,
    pub(crate) link: Link,
    /// An [`Egress`], laid out flat: an enum would have undefined bytes, which the kernel's verifier does not allow to be
    /// stored. [`NO_ATTACHMENT`] for a flood.
    pub(crate) attachment: u16,
    pub(crate) segment: u16,
    pub(crate) inside: bool,
    pub(crate) copies: Copies,
    pub(crate) ruling: Ruling,
}

impl Rewriting {
    #[inline(always)]
    pub(crate) fn step(ingress: &Ingress, link: &Link, egress: Egress, ruling: Ruling) -> Step {
        let (attachment, segment, inside, copies) = match egress {
            Egress::Attachment(attachment) => (attachment, 0, false, Copies::PER_PORT),
            Egress::Flood {
                segment,
                inside,
                copies,
            } => (NO_ATTACHMENT, segment, inside, copies),
        };
        Step::Rewrite(Rewriting {
            ingress: *ingress,
            link: *link,
            attachment,
            segment,
            inside,
            copies,
            ruling,
        })
    }

    /// The frame once it is rewritten; it leaves by `port` unless it is flooded.
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

/// A frame on its way from [`crate::stage::begin`] to [`crate::stage::extended`].
#[derive(Clone, Copy)]
pub struct Extended {
    pub(crate) ingress: Ingress,
    pub(crate) link: Link,
}

/// A frame on its way through identify, authorise, forward and account.
#[derive(Clone, Copy)]
pub struct Pending {
    pub(crate) ingress: Ingress,
    pub(crate) link: Link,
    /// `None` for ARP.
    pub(crate) packet: Option<Packet>,
    pub(crate) conn: ConnState,
    pub(crate) classes: Classes,
    /// Whether the packet may leave by uplinks from contain on. False if its destination is judged as an unlisted member of
    /// the ingress segment.
    pub(crate) may_cross: bool,
    /// [`Ruling::NONE`] until it is decided.
    pub(crate) ruling: Ruling,
    /// Whether the sender of the packet is the flow's initiator; else the receiver is.
    pub(crate) by_sender: bool,
    /// Whether the gateway answers the frame itself: see `proxy`.
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
        conn: ConnState,
    ) -> Pending {
        Pending {
            ingress,
            link,
            packet,
            conn,
            classes: Classes::UNCLASSIFIED,
            may_cross: true,
            ruling: Ruling::NONE,
            by_sender: true,
            answered: false,
            establishes: false,
            egress: Egress::Flood {
                segment: ingress.admission.segment,
                inside: true,
                copies: Copies::PER_PORT,
            },
        }
    }
}

/// A frame that is on its way.
pub trait InFlight {
    /// The policy and posture it is judged under.
    fn control(&self) -> Control;

    /// The port it came in on.
    fn port(&self) -> u16;
}

macro_rules! in_flight {
    ($($step:ty),+) => {
        $(
            impl InFlight for $step {
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

in_flight!(Extended, UpperLayer, Pending, Rewriting);
