//! The packet path, in order.

use crate::abi::{Control, Ruling};
use crate::account::{self, Opened};
use crate::admit::{Ingress, admit};
use crate::authorise::{Classes, Denied, authorise};
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
    match walk(frame, tables, control, port) {
        Ok((egress, ruling)) => {
            tables.count_rule(control.slot, ruling.rule(), frame.len());
            Outcome {
                verdict: Ok(egress),
                rule: ruling.rule(),
                control,
            }
        }
        Err(denied) => {
            account::dropped(frame, tables, control, port, denied);
            Outcome {
                verdict: Err(denied.reason),
                rule: denied.rule,
                control,
            }
        }
    }
}

/// The stages. Each says go on, or drops with a reason.
#[inline(always)]
fn walk<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    control: Control,
    port: u16,
) -> Result<(Egress, Ruling), Denied> {
    if control.epoch == 0 {
        return Err(Reason::NoPolicy.into());
    }
    let link = parse::link(frame)?;
    let ingress = admit(tables, control, port, &link)?;
    let packet = match link.ether_type {
        parse::ETHERTYPE_IPV4 => parse::ipv4(frame, link.network)?,
        parse::ETHERTYPE_IPV6 => parse::ipv6(frame, link.network)?,
        parse::ETHERTYPE_ARP => return resolve(frame, tables, &ingress, &link),
        _ => return Err(Reason::EtherType.into()),
    };

    let track = track::key(&ingress, &link, &packet);
    let mut known = Known::Nothing;
    if let Some(track) = &track {
        known = track::find(tables, &ingress, &link, &packet, track, frame.len());
        if let Known::Settled { ruling, egress } = known {
            forward::retag(frame, &link, egress)?;
            return Ok((Egress::Attachment(egress), ruling));
        }
    }

    let source = identify::source(tables, &ingress, &link, &packet)?;
    if let Kind::Discovery(message) = packet.kind {
        let ruling = neighbour::discovery(frame, tables, &ingress, &link, &packet, message)?;
        return deliver(frame, tables, &ingress, &link, ruling);
    }
    let destination = identify::destination(tables, &ingress, &link, &packet)?;
    let classes = Classes {
        source,
        destination,
    };
    let authorised = authorise(tables, &ingress, &packet, classes, known)?;
    identify::learn(tables, &ingress, &link)?;
    let egress = forward::egress(tables, &ingress, &link)?;

    if let Some(track) = &track {
        let decided = Decided {
            ruling: authorised.ruling,
            by_sender: authorised.by_sender,
            egress: match egress {
                Egress::Attachment(attachment) => Some(attachment),
                Egress::Flood { .. } => None,
            },
            length: frame.len(),
        };
        track::remember(tables, &ingress, &link, &packet, track, decided).map_err(|_| Denied {
            reason: Reason::FlowTableFull,
            rule: authorised.ruling.rule(),
        })?;
        if matches!(known, Known::Nothing) {
            tell(
                tables,
                &ingress,
                &link,
                &packet,
                authorised.ruling,
                frame.len(),
            );
        }
    }
    if let Egress::Attachment(attachment) = egress {
        forward::retag(frame, &link, attachment)?;
    }
    Ok((egress, authorised.ruling))
}

/// ARP has a path of its own: no classes, no flow.
#[inline(always)]
fn resolve<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
) -> Result<(Egress, Ruling), Denied> {
    let sender = neighbour::arp_sender(frame, link)?;
    let ruling = neighbour::arp(tables, ingress, link, sender)?;
    deliver(frame, tables, ingress, link, ruling)
}

/// Learns the source and forwards, without a flow.
#[inline(always)]
fn deliver<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    ruling: Ruling,
) -> Result<(Egress, Ruling), Denied> {
    identify::learn(tables, ingress, link)?;
    let egress = forward::egress(tables, ingress, link)?;
    if let Egress::Attachment(attachment) = egress {
        forward::retag(frame, link, attachment)?;
    }
    Ok((egress, ruling))
}

#[inline(always)]
fn tell<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    ruling: Ruling,
    length: usize,
) {
    let opened = Opened {
        link,
        packet,
        ingress: ingress.attachment,
        segment: ingress.admission.segment,
        rule: ruling.rule(),
        length,
    };
    account::opened(tables, ingress.control, opened);
}
