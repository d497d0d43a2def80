//! The extended parse: options, extension headers, fragments, ICMP errors, group membership, other EtherTypes.

use super::deliver;
use crate::admit::Ingress;
use crate::authorise::Denied;
use crate::flow::ConnState;
use crate::fragment;
use crate::frame::Frame;
use crate::membership;
use crate::other;
use crate::packet::{Link, Walked};
use crate::parse::{self, Unparsed};
use crate::protocol;
use crate::proxy;
use crate::reason::Reason;
use crate::related;
use crate::step::{Egress, Extended, Pending, Rewriting, Step, UpperLayer};
use crate::tables::Tables;
use crate::walk;

/// Parses IPv4 options, IPv6 extension headers and fragments; judges other EtherTypes than IPv4, IPv6 and ARP.
///
/// # Errors
/// As [`super::begin`].
#[inline(always)]
pub fn extended<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    state: &Extended,
) -> Result<Step, Denied> {
    let Extended { ingress, link } = state;
    if !matches!(
        link.ether_type,
        parse::ETHERTYPE_IPV4 | parse::ETHERTYPE_IPV6
    ) {
        if proxy::is_for_gateway(ingress, link) {
            return Err(Reason::AddressBinding.into());
        }
        let ruling = other::ether_type(tables, ingress, link)?;
        let (egress, ruling) = deliver(tables, ingress, link, ruling)?;
        return Ok(Rewriting::step(ingress, link, egress, ruling));
    }
    let walked = walk::headers(frame, link)?;
    Ok(Step::UpperLayer(UpperLayer {
        ingress: *ingress,
        link: *link,
        walked,
    }))
}

/// Parses what follows the headers that [`extended`] parsed; judges later fragments, ICMP errors and group membership.
///
/// # Errors
/// As [`super::begin`].
#[inline(always)]
pub fn upper_layer<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    state: &UpperLayer,
) -> Result<Step, Denied> {
    let UpperLayer {
        ingress, walked, ..
    } = state;
    let mut link = state.link;
    let link = &mut link;
    if walked.fragment.offset != 0 {
        proxy::resolve(tables, ingress, link, walked.destination)?;
        let (egress, ruling) = fragment::follow(tables, ingress, link, walked)?;
        return Ok(Rewriting::step(ingress, link, egress, ruling));
    }
    let Walked {
        source,
        destination,
        protocol,
        at,
        length,
        ..
    } = *walked;
    let packet = if walked.fragment.is_whole() {
        parse::transport(frame, source, destination, protocol, at, length)
    } else {
        parse::first_fragment(frame, walked).map_err(Unparsed::Drop)
    };
    let packet = match packet {
        Ok(packet) => packet,
        Err(Unparsed::Extended) => {
            proxy::resolve(tables, ingress, link, destination)?;
            return control_message(frame, tables, ingress, link, walked);
        }
        Err(Unparsed::Drop(reason)) => return Err(reason.into()),
    };
    proxy::resolve(tables, ingress, link, destination)?;
    Ok(Step::Judge(Pending::new(
        *ingress,
        *link,
        Some(packet),
        ConnState::NotLookedUp,
    )))
}

/// Judges ICMP errors and group membership.
#[inline(always)]
fn control_message<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    walked: &Walked,
) -> Result<Step, Denied> {
    if walked.protocol != protocol::IGMP && !parse::is_listener(frame, walked)? {
        let (ruling, egress) = related::error(frame, tables, ingress, link, walked)?;
        let egress = Egress::Attachment(egress);
        return Ok(Rewriting::step(ingress, link, egress, ruling));
    }
    let ruling = membership::membership(frame, tables, ingress, link, walked)?;
    let (egress, ruling) = deliver(tables, ingress, link, ruling)?;
    Ok(Rewriting::step(ingress, link, egress, ruling))
}
