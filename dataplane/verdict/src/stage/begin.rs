//! The first stages: parse, admit, track; and forward, where an established flow decides.

use super::{closed_by, pass};
use crate::abi::{Control, Copies, PORTS, RULE_LINK_CONTROL, Ruling};
use crate::admit::{admit, storm_of_port};
use crate::authorise::Denied;
use crate::flow::{ConnState, FlowId};
use crate::forward;
use crate::frame::Frame;
use crate::link_control;
use crate::parse::{self, Unparsed};
use crate::proxy;
use crate::reason::Reason;
use crate::step::{Egress, Extended, Pending, Rewriting, Step};
use crate::tables::Tables;
use crate::track;

/// Parses the headers, admits the frame to a segment and looks its flow up. A packet of an established flow is forwarded.
/// With `flow_miss` the fast path has looked already, and there is no entry.
///
/// # Errors
/// Why the frame is to be dropped. The caller counts and reports it with [`crate::dropped`].
#[inline(always)]
pub fn begin<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &mut T,
    control: Control,
    port: u16,
    flow_miss: bool,
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
                ConnState::Miss,
            )));
        }
        _ => Err(Unparsed::Extended),
    };
    let packet = match packet {
        Ok(packet) => packet,
        Err(Unparsed::Extended) => return Ok(Step::Extended(Extended { ingress, link })),
        Err(Unparsed::Drop(reason)) => return Err(reason.into()),
    };
    proxy::resolve(tables, &ingress, &mut link, packet.destination)?;
    let conn = match FlowId::of(&ingress, &link, &packet) {
        Some(flow) if !flow_miss => {
            track::find(tables, &ingress, &link, &packet, &flow, frame.len())
        }
        _ => ConnState::Miss,
    };
    if let ConnState::Established { ruling, egress } = conn {
        if forward::needs_rewrite(&link, egress) {
            let egress = Egress::Attachment(egress);
            return Ok(Rewriting::step(&ingress, &link, egress, ruling));
        }
        let port = forward::retag(frame, &link, egress)?;
        let egress = Egress::Attachment(egress);
        return Ok(Step::Forwarded(pass(
            frame, tables, control, egress, port, ruling,
        )));
    }
    Ok(Step::Judge(Pending::new(ingress, link, Some(packet), conn)))
}

/// Link-control frames belong to no segment: they cross from port to port.
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
        copies: Copies::PER_PORT,
    };
    let ruling = Ruling::allow(RULE_LINK_CONTROL);
    Ok(Step::Forwarded(pass(
        frame, tables, control, egress, 0, ruling,
    )))
}
