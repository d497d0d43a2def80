//! Account: count every frame once, for its rule or its drop reason, and report it as an event.

use crate::abi::{Control, EVENT_DROP, EVENT_FLOW, Event, PORTS, Ruling, location};
use crate::address::Ip;
use crate::admit::{self, Ingress};
use crate::authorise::Denied;
use crate::frame::Frame;
use crate::packet::{Link, Packet};
use crate::parse;
use crate::reason::Reason;
use crate::tables::Tables;

/// Counts a dropped frame and reports it. Parses the frame again, so that the other stages need not carry what only
/// this needs.
#[inline(always)]
pub fn dropped<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    control: Control,
    port: u16,
    denied: Denied,
) {
    let length = frame.len();
    tables.count_drop(denied.reason, length);
    // A rule that would allow the frame at another posture did not decide: its counter must not move under quarantine.
    if denied.reason == Reason::Rule {
        tables.count_rule(control.slot, denied.rule, length);
    }
    // Looked up here, because the closure below cannot borrow the tables.
    let segment = match parse::link(frame) {
        Ok(link) if (port as usize) < PORTS => {
            let attachment = admit::attachment_at(tables, control.slot, link.location(port));
            tables.admission(control.slot, attachment).segment
        }
        _ => 0,
    };
    tables.event(EVENT_DROP, |event| {
        event.reason = denied.reason as u8;
        event.rule = denied.rule;
        event.length = length as u32;
        event.segment = segment;
        describe_control(event, control);
        event.location = location(port, 0, 0);
        let Ok(link) = parse::link(frame) else {
            return;
        };
        describe_link(event, &link, port);
        let packet = match link.ether_type {
            parse::ETHERTYPE_IPV4 => parse::ipv4(frame, link.network),
            parse::ETHERTYPE_IPV6 => parse::ipv6(frame, link.network),
            parse::ETHERTYPE_ARP => {
                // The claimed and the requested address: an operator needs them to correct the inventory.
                event.source = Ip::v4(frame.u32(link.network + 14).unwrap_or(0));
                event.destination = Ip::v4(frame.u32(link.network + 24).unwrap_or(0));
                return;
            }
            _ => return,
        };
        if let Ok(packet) = packet {
            describe_packet(event, &packet);
        }
    });
}

/// Reports a new flow, or a packet to a group. Returns whether the event was emitted.
#[inline(always)]
pub fn report_flow<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    ruling: Ruling,
    length: usize,
) -> bool {
    tables.event(EVENT_FLOW, |event| {
        event.rule = ruling.rule();
        event.length = length as u32;
        event.segment = ingress.admission.segment;
        describe_control(event, ingress.control);
        describe_link(event, link, ingress.port());
        describe_packet(event, packet);
    })
}

#[inline(always)]
fn describe_control(event: &mut Event, control: Control) {
    event.epoch = control.epoch;
    event.posture = control.posture;
    event.slot = control.slot;
}

#[inline(always)]
fn describe_link(event: &mut Event, link: &Link, port: u16) {
    event.source_mac = link.source;
    event.destination_mac = link.destination;
    event.location = link.location(port);
}

#[inline(always)]
fn describe_packet(event: &mut Event, packet: &Packet) {
    event.source = packet.source;
    event.destination = packet.destination;
    event.source_port = packet.source_port;
    event.destination_port = packet.destination_port;
    event.protocol = packet.protocol;
}
