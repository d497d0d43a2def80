//! The packet path, in order.

use crate::abi::{Control, Copies, PORTS, RULE_LINK_CONTROL, Ruling};
use crate::account;
pub use crate::account::dropped;
use crate::address::MAC_GROUP;
use crate::admit::{Ingress, admit, storm, storm_of_port};
pub use crate::authorise::Denied;
use crate::authorise::{Classes, authorise};
use crate::forward;
use crate::fragment;
use crate::frame::Frame;
use crate::group;
use crate::half;
use crate::identify;
use crate::link_control;
use crate::membership;
use crate::neighbour;
use crate::other;
use crate::parse::{self, Kind, Link, Packet, Unparsed};
use crate::proxy;
use crate::reason::Reason;
use crate::related;
use crate::short::{Short, short};
use crate::step::{Behind, Departing, Egress, Passed, Pending, Rare, Step};
use crate::tables::Tables;
use crate::track::{self, Decided, Known, Track};
use crate::walk::{self, Walked};

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
    match walk_path(frame, tables, control, port) {
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

/// The stages. The XDP program calls the same, one after the other, each as a piece of its own.
#[inline(always)]
fn walk_path<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    control: Control,
    port: u16,
) -> Result<Passed, Denied> {
    let stranger = match short(frame, tables, control, port) {
        Short::Passes(passed) => return Ok(passed),
        Short::Stranger => true,
        Short::Undecided => false,
    };
    let mut step = enter(frame, tables, control, port, stranger)?;
    if let Step::Rare(waiting) = step {
        step = rare(frame, tables, &waiting)?;
    }
    if let Step::Walked(waiting) = step {
        step = behind(frame, tables, &waiting)?;
    }
    if let Step::Judge(pending) = &mut step {
        who(frame, tables, pending)?;
        whether(tables, pending)?;
        whither(tables, pending)?;
        let next = conclude(frame, tables, pending)?;
        establish(tables, pending);
        step = next;
    }
    match step {
        Step::Settled(passed) => Ok(passed),
        Step::Depart(departing) => depart(frame, tables, &departing),
        // They answer with one of the two above.
        Step::Rare(_) | Step::Walked(_) | Step::Judge(_) => Err(Reason::IpHeader.into()),
    }
}

/// The first stages, and the last for an established flow: parse, admit, track, forward, account. Of a `stranger` it is
/// known already that it is of no such flow.
///
/// # Errors
/// Why the frame is to be dropped; the caller sees to it with [`dropped`].
#[inline(always)]
pub fn enter<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    control: Control,
    port: u16,
    stranger: bool,
) -> Result<Step, Denied> {
    if control.epoch == 0 {
        return Err(Reason::NoPolicy.into());
    }
    let mut link = match parse::link(frame) {
        Err(Reason::LinkControl) => return between_ports(frame, tables, control, port),
        link => link?,
    };
    if link.ether_type == link_control::PTP && link.tags == 0 {
        return between_ports(frame, tables, control, port);
    }
    let ingress = admit(tables, control, port, &link)?;
    let packet = match link.ether_type {
        parse::ETHERTYPE_IPV4 => parse::ipv4(frame, link.network),
        parse::ETHERTYPE_IPV6 => parse::ipv6(frame, link.network),
        parse::ETHERTYPE_ARP => {
            return Ok(Step::Judge(Pending::new(
                ingress,
                link,
                None,
                Known::Nothing,
            )));
        }
        _ => Err(Unparsed::Rare),
    };
    let packet = match packet {
        Ok(packet) => packet,
        Err(Unparsed::Rare) => return Ok(Step::Rare(Rare { ingress, link })),
        Err(Unparsed::Drop(reason)) => return Err(reason.into()),
    };
    proxy::stand_in(tables, &ingress, &mut link, packet.destination)?;
    let known = match track::key(&ingress, &link, &packet) {
        Some(track) if !stranger => {
            track::find(tables, &ingress, &link, &packet, &track, frame.len())
        }
        _ => Known::Nothing,
    };
    if let Known::Settled { ruling, egress } = known {
        if forward::is_beyond(&link, egress) {
            let egress = Egress::Attachment(egress);
            return Ok(Departing::step(&ingress, &link, egress, ruling));
        }
        let port = forward::retag(frame, &link, egress)?;
        let egress = Egress::Attachment(egress);
        return Ok(Step::Settled(pass(
            frame, tables, control, egress, port, ruling,
        )));
    }
    Ok(Step::Judge(Pending::new(
        ingress,
        link,
        Some(packet),
        known,
    )))
}

/// What has options, extension headers or fragments, ICMP errors, and group membership: parsed the long way.
///
/// # Errors
/// As [`enter`].
#[inline(always)]
pub fn rare<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    waiting: &Rare,
) -> Result<Step, Denied> {
    let Rare { ingress, link } = waiting;
    if !matches!(
        link.ether_type,
        parse::ETHERTYPE_IPV4 | parse::ETHERTYPE_IPV6
    ) {
        if proxy::is_for_gateway(ingress, link) {
            return Err(Reason::AddressBinding.into());
        }
        let ruling = other::ether_type(tables, ingress, link)?;
        let (egress, ruling) = deliver(tables, ingress, link, ruling)?;
        return Ok(Departing::step(ingress, link, egress, ruling));
    }
    let walked = walk::headers(frame, link)?;
    Ok(Step::Walked(Behind {
        ingress: *ingress,
        link: *link,
        walked,
    }))
}

/// What is behind the headers that were walked over.
///
/// # Errors
/// As [`enter`].
#[inline(always)]
pub fn behind<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    waiting: &Behind,
) -> Result<Step, Denied> {
    let Behind {
        ingress, walked, ..
    } = waiting;
    let mut link = waiting.link;
    let link = &mut link;
    if walked.piece.offset != 0 {
        proxy::stand_in(tables, ingress, link, walked.destination)?;
        let (egress, ruling) = fragment::follow(tables, ingress, link, walked)?;
        return Ok(Departing::step(ingress, link, egress, ruling));
    }
    let Walked {
        source,
        destination,
        protocol,
        at,
        length,
        ..
    } = *walked;
    let packet = if walked.piece.is_whole() {
        parse::transport(frame, source, destination, protocol, at, length)
    } else {
        parse::first_fragment(frame, walked).map_err(Unparsed::Drop)
    };
    let packet = match packet {
        Ok(packet) => packet,
        Err(Unparsed::Rare) => {
            proxy::stand_in(tables, ingress, link, destination)?;
            return control_message(frame, tables, ingress, link, walked);
        }
        Err(Unparsed::Drop(reason)) => return Err(reason.into()),
    };
    proxy::stand_in(tables, ingress, link, destination)?;
    Ok(Step::Judge(Pending::new(
        *ingress,
        *link,
        Some(packet),
        Known::Unasked,
    )))
}

/// ICMP errors and group membership.
#[inline(always)]
fn control_message<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    walked: &Walked,
) -> Result<Step, Denied> {
    if walked.protocol != parse::IGMP && !parse::is_listener(frame, walked)? {
        let (ruling, egress) = related::error(frame, tables, ingress, link, walked)?;
        let egress = Egress::Attachment(egress);
        return Ok(Departing::step(ingress, link, egress, ruling));
    }
    let ruling = membership::membership(frame, tables, ingress, link, walked)?;
    let (egress, ruling) = deliver(tables, ingress, link, ruling)?;
    Ok(Departing::step(ingress, link, egress, ruling))
}

/// Link-control frames have no segment: they go from port to port.
#[inline(always)]
fn between_ports<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    control: Control,
    port: u16,
) -> Result<Step, Denied> {
    if port as usize >= PORTS {
        return Err(Reason::UnknownPort.into());
    }
    link_control::crosses(frame, tables, control, port)
        .map_err(|reason| closed_by(reason, RULE_LINK_CONTROL))?;
    storm_of_port(tables, control, port)?;
    let egress = Egress::Flood {
        segment: u16::MAX,
        inside: false,
        copies: Copies::BY_PORT,
    };
    let ruling = Ruling::allow(RULE_LINK_CONTROL);
    Ok(Step::Settled(pass(
        frame, tables, control, egress, 0, ruling,
    )))
}

/// Stage: identify. What resolves addresses is decided here as well, since all that counts is who speaks.
///
/// # Errors
/// As [`enter`].
#[inline(always)]
pub fn who<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    pending: &mut Pending,
) -> Result<(), Denied> {
    let Pending { ingress, link, .. } = &*pending;
    let Some(packet) = &pending.packet else {
        let claim = neighbour::arp_claim(frame, link)?;
        let ruling = neighbour::arp(tables, ingress, link, &claim)?;
        let answered = proxy::answers_arp(frame, tables, ingress, link, claim.sender)?;
        (pending.ruling, pending.answered) = (ruling, answered);
        return Ok(());
    };
    let source = identify::source(tables, ingress, link, packet)?;
    if packet.kind == Kind::Discovery {
        let ruling = neighbour::discovery(frame, tables, ingress, link, packet)?;
        let answered = proxy::answers_discovery(frame, tables, ingress, link, packet)?;
        (pending.ruling, pending.answered) = (ruling, answered);
        return Ok(());
    }
    let destination = identify::destination(tables, ingress, link, packet)?;
    pending.classes = Classes {
        source,
        destination,
    };
    Ok(())
}

/// Stage: authorise.
///
/// # Errors
/// As [`enter`].
#[inline(always)]
pub fn whether<T: Tables>(tables: &mut T, pending: &mut Pending) -> Result<(), Denied> {
    let Pending { ingress, link, .. } = &*pending;
    let packet = match &pending.packet {
        Some(packet) if !pending.ruling.allows() => packet,
        _ => return Ok(()),
    };
    let track = track::key(ingress, link, packet);
    let known = match (pending.known, &track) {
        (Known::Nothing, Some(track)) => half::known(tables, track),
        (Known::Unasked, Some(track)) => track::ask(tables, ingress, packet, track),
        (known, _) => known,
    };
    // A reset of what nobody knows of ends nothing that its ends could not end without it.
    let unknown =
        matches!(known, Known::Nothing | Known::Unasked) && packet.flags & parse::TCP_RST != 0;
    if unknown {
        return Err(Reason::TcpSequence.into());
    }
    if let Known::Outside { ruling } = known {
        return Err(Denied {
            reason: Reason::TcpSequence,
            rule: ruling.rule(),
        });
    }
    let authorised = match authorise(tables, ingress, packet, pending.classes, known) {
        // What somebody wrote that it must not pass does not pass for having been asked for.
        Err(denied) if denied.reason == Reason::Rule => return Err(denied),
        Err(denied) => group::answers(tables, ingress, link, packet).ok_or(denied)?,
        Ok(authorised) => authorised,
    };
    pending.known = known;
    pending.ruling = authorised.ruling;
    pending.by_sender = authorised.by_sender;
    Ok(())
}

/// Stage: forward. Learns where the source is, and finds where the destination is.
///
/// # Errors
/// As [`enter`].
#[inline(always)]
pub fn whither<T: Tables>(tables: &mut T, pending: &mut Pending) -> Result<(), Denied> {
    let Pending {
        ingress,
        link,
        ruling,
        ..
    } = &*pending;
    if pending.answered {
        identify::learn(tables, ingress, link)?;
        storm(tables, ingress, link)?;
        pending.egress = Egress::Attachment(ingress.attachment);
        return Ok(());
    }
    let (egress, _) = deliver(tables, ingress, link, *ruling)?;
    pending.egress = egress;
    Ok(())
}

/// Stage: account, with what is remembered for the packets to come.
///
/// # Errors
/// As [`enter`].
#[inline(always)]
pub fn conclude<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    pending: &mut Pending,
) -> Result<Step, Denied> {
    if pending.answered {
        proxy::answer(frame, &pending.link, pending.packet.as_ref()).ok_or(Reason::Retag)?;
        return Ok(settled(frame, tables, pending, pending.ingress.port()));
    }
    if let Some(packet) = &pending.packet
        && packet.kind != Kind::Discovery
    {
        pending.establishes = remember(tables, pending, packet, frame.len())?;
    }
    let Pending {
        ingress,
        link,
        ruling,
        egress,
        ..
    } = &*pending;
    if let Egress::Attachment(attachment) = *egress
        && let Some(port) = forward::renumber(frame, link, attachment)
    {
        return Ok(settled(frame, tables, pending, port));
    }
    Ok(Departing::step(ingress, link, *egress, *ruling))
}

/// It leaves as it is.
#[inline(always)]
fn settled<F: Frame, T: Tables>(frame: &F, tables: &mut T, pending: &Pending, port: u16) -> Step {
    let control = pending.ingress.control;
    Step::Settled(pass(
        frame,
        tables,
        control,
        pending.egress,
        port,
        pending.ruling,
    ))
}

/// What is left of the last stage where a packet establishes its flow.
#[inline(always)]
pub fn establish<T: Tables>(tables: &mut T, pending: &Pending) {
    let Some(packet) = &pending.packet else {
        return;
    };
    if !pending.establishes {
        return;
    }
    if let Some(track) = track::key(&pending.ingress, &pending.link, packet) {
        half::establish(tables, &track.key);
    }
}

/// The frame gets the tags and MAC addresses that it leaves with.
///
/// # Errors
/// As [`enter`].
#[inline(always)]
pub fn depart<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    departing: &Departing,
) -> Result<Passed, Denied> {
    let Departing {
        ingress,
        link,
        ruling,
        ..
    } = departing;
    let (control, egress) = (ingress.control, departing.egress());
    let port = forward::leave(frame, tables, control.slot, link, egress)?;
    Ok(pass(frame, tables, control, egress, port, *ruling))
}

#[inline(always)]
fn remember<T: Tables>(
    tables: &mut T,
    pending: &Pending,
    packet: &Packet,
    length: usize,
) -> Result<bool, Denied> {
    let Pending {
        ingress,
        link,
        ruling,
        egress,
        ..
    } = pending;
    let (establishes, is_news) = match track::key(ingress, link, packet) {
        Some(track) => {
            let establishes = keep(tables, pending, packet, &track, length)?;
            (establishes, matches!(pending.known, Known::Nothing))
        }
        None => {
            let is_news = group::said(tables, ingress, link, packet, *ruling, length);
            (false, is_news)
        }
    };
    if is_news
        && account::opened(tables, ingress, link, packet, *ruling, length)
        && link.destination & MAC_GROUP != 0
    {
        group::told(tables, ingress, packet);
    }
    // It has passed: a fragment that does not is followed by none.
    fragment::remember(tables, ingress, link, packet, (*egress, *ruling));
    Ok(establishes)
}

/// Keeps what a packet says of its flow. Says whether it establishes it.
#[inline(always)]
fn keep<T: Tables>(
    tables: &mut T,
    pending: &Pending,
    packet: &Packet,
    track: &Track,
    length: usize,
) -> Result<bool, Denied> {
    let Pending {
        ingress,
        link,
        ruling,
        known,
        ..
    } = pending;
    let decided = Decided {
        ruling: *ruling,
        by_sender: pending.by_sender,
        egress: match pending.egress {
            Egress::Attachment(attachment) => Some(attachment),
            Egress::Flood { .. } => None,
        },
        length,
    };
    track::remember(tables, *known, ingress, link, packet, track, decided).map_err(|reason| {
        Denied {
            reason,
            rule: ruling.rule(),
        }
    })
}

#[inline(always)]
fn pass<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    control: Control,
    egress: Egress,
    port: u16,
    ruling: Ruling,
) -> Passed {
    let rule = ruling.rule();
    tables.count_rule(control.slot, rule, frame.len());
    Passed { egress, rule, port }
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
    storm(tables, ingress, link)?;
    let egress = forward::egress(tables, ingress, link, ruling)
        .map_err(|reason| closed_by(reason, ruling.rule()))?;
    Ok((egress, ruling))
}

/// A posture refuses what a rule would let pass: it is told which.
#[inline(always)]
fn closed_by(reason: Reason, rule: u32) -> Denied {
    let rule = if reason == Reason::Posture { rule } else { 0 };
    Denied { reason, rule }
}
