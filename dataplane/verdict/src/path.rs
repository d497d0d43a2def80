//! The packet path, in order.

use crate::abi::{Control, Ruling, attachment_port};
use crate::account;
pub use crate::account::dropped;
use crate::admit::{Ingress, admit};
pub use crate::authorise::Denied;
use crate::authorise::{Classes, authorise};
use crate::forward;
use crate::frame::Frame;
use crate::identify;
use crate::neighbour;
use crate::parse::{self, Kind, Link, Packet};
use crate::reason::Reason;
use crate::tables::Tables;
use crate::track::{self, Decided, Known};

/// Where a frame leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// By one attachment; the frame has its tag already.
    Attachment(u16),
    /// By every other port where the segment is attached; [`forward::flood_copy`] gives each copy its tag.
    Flood {
        /// The segment.
        segment: u16,
        /// Not by uplinks.
        inside: bool,
    },
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where it leaves, or why it does not.
    pub verdict: Result<Egress, Reason>,
    /// The rule that decided; 0 for none.
    pub rule: u32,
    /// The policy and posture it was judged under.
    pub control: Control,
}

/// Judges a frame that came in on `port`.
#[inline(always)]
pub fn judge<F: Frame, T: Tables>(frame: &mut F, tables: &mut T, port: u16) -> Outcome {
    let control = tables.control();
    let entered = enter(frame, tables, control, port);
    let decided = match entered {
        Ok(Step::Settled(passed)) => Ok(passed),
        Ok(Step::Judge(pending)) => decide(frame, tables, &pending),
        Err(denied) => Err(denied),
    };
    match decided {
        Ok(passed) => Outcome {
            verdict: Ok(passed.egress),
            rule: passed.rule,
            control,
        },
        Err(denied) => {
            dropped(frame, tables, control, port, denied);
            Outcome {
                verdict: Err(denied.reason),
                rule: denied.rule,
                control,
            }
        }
    }
}

/// A frame that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Where it leaves.
    pub egress: Egress,
    /// The rule that lets it.
    pub rule: u32,
}

/// What is known once the flow table was asked.
pub enum Step {
    /// An established flow: everything was decided before.
    Settled(Passed),
    /// To be judged.
    Judge(Pending),
}

/// A frame on its way from [`enter`] to [`decide`].
#[derive(Clone, Copy)]
pub struct Pending {
    ingress: Ingress,
    link: Link,
    /// `None` for ARP.
    packet: Option<Packet>,
    known: Known,
}

impl Pending {
    /// The policy and posture it is judged under.
    #[inline(always)]
    pub fn control(&self) -> Control {
        self.ingress.control
    }

    /// The port it came in on.
    #[inline(always)]
    pub fn port(&self) -> u16 {
        attachment_port(self.ingress.attachment)
    }
}

/// The first stages, and the last for an established flow: parse, admit, track, forward, account.
///
/// # Errors
/// Why the frame is to be dropped; the caller sees to it with [`dropped`].
#[inline(always)]
pub fn enter<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    control: Control,
    port: u16,
) -> Result<Step, Denied> {
    if control.epoch == 0 {
        return Err(Reason::NoPolicy.into());
    }
    let link = parse::link(frame)?;
    let ingress = admit(tables, control, port, &link)?;
    let packet = match link.ether_type {
        parse::ETHERTYPE_IPV4 => parse::ipv4(frame, link.network)?,
        parse::ETHERTYPE_IPV6 => parse::ipv6(frame, link.network)?,
        parse::ETHERTYPE_ARP => {
            return Ok(Step::Judge(Pending {
                ingress,
                link,
                packet: None,
                known: Known::Nothing,
            }));
        }
        _ => return Err(Reason::EtherType.into()),
    };
    let known = match track::key(&ingress, &link, &packet) {
        Some(track) => track::find(tables, &ingress, &link, &packet, &track, frame.len()),
        None => Known::Nothing,
    };
    if let Known::Settled { ruling, egress } = known {
        forward::retag(frame, &link, egress)?;
        return Ok(Step::Settled(pass(
            frame,
            tables,
            control,
            Egress::Attachment(egress),
            ruling,
        )));
    }
    Ok(Step::Judge(Pending {
        ingress,
        link,
        packet: Some(packet),
        known,
    }))
}

/// The stages for everything else: identify, authorise, forward, account.
///
/// # Errors
/// As [`enter`].
#[inline(always)]
pub fn decide<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    pending: &Pending,
) -> Result<Passed, Denied> {
    let Pending {
        ingress,
        link,
        packet,
        known,
    } = pending;
    let (egress, ruling) = match packet {
        None => resolve(frame, tables, ingress, link)?,
        Some(packet) => authorised(frame, tables, ingress, link, packet, *known)?,
    };
    if let Egress::Attachment(attachment) = egress {
        forward::retag(frame, link, attachment)?;
    }
    Ok(pass(frame, tables, ingress.control, egress, ruling))
}

#[inline(always)]
fn pass<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    control: Control,
    egress: Egress,
    ruling: Ruling,
) -> Passed {
    let rule = ruling.rule();
    tables.count_rule(control.slot, rule, frame.len());
    Passed { egress, rule }
}

/// Who speaks, to whom, and whether they may.
#[inline(always)]
fn authorised<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    known: Known,
) -> Result<(Egress, Ruling), Denied> {
    let source = identify::source(tables, ingress, link, packet)?;
    if packet.kind == Kind::Discovery {
        let ruling = neighbour::discovery(frame, tables, ingress, link, packet)?;
        return deliver(tables, ingress, link, ruling);
    }
    let destination = identify::destination(tables, ingress, link, packet)?;
    let classes = Classes {
        source,
        destination,
    };
    let authorised = authorise(tables, ingress, packet, classes, known)?;
    let (egress, ruling) = deliver(tables, ingress, link, authorised.ruling)?;
    if let Some(track) = track::key(ingress, link, packet) {
        let decided = Decided {
            ruling,
            by_sender: authorised.by_sender,
            egress: match egress {
                Egress::Attachment(attachment) => Some(attachment),
                Egress::Flood { .. } => None,
            },
            length: frame.len(),
        };
        track::remember(tables, ingress, link, packet, &track, decided).map_err(|_| Denied {
            reason: Reason::FlowTableFull,
            rule: ruling.rule(),
        })?;
        if matches!(known, Known::Nothing) {
            account::opened(tables, ingress, link, packet, ruling, frame.len());
        }
    }
    Ok((egress, ruling))
}

/// ARP has a path of its own: no classes, no flow.
#[inline(always)]
fn resolve<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
) -> Result<(Egress, Ruling), Denied> {
    let sender = neighbour::arp_sender(frame, link)?;
    let ruling = neighbour::arp(tables, ingress, link, sender)?;
    deliver(tables, ingress, link, ruling)
}

/// Learns the source, and finds the destination.
#[inline(always)]
fn deliver<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    ruling: Ruling,
) -> Result<(Egress, Ruling), Denied> {
    identify::learn(tables, ingress, link)?;
    Ok((forward::egress(tables, ingress, link, ruling)?, ruling))
}
