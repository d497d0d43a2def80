//! Stage 7, account: every frame is counted once, for the rule or for the reason.

use crate::abi::{Control, EVENT_DROP, EVENT_FLOW, Event, PORTS, Ruling, place};
use crate::address::Ip;
use crate::admit::{self, Ingress};
use crate::authorise::Denied;
use crate::frame::Frame;
use crate::parse::{self, Link, Packet};
use crate::reason::Reason;
use crate::tables::Tables;

/// Counts a dropped frame and tells of it. Reads the frame again rather than have every packet carry
/// what only this needs.
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
    // A rule that would allow but for the posture decided nothing: its counter must stand still under quarantine.
    if denied.reason == Reason::Rule {
        tables.count_rule(control.slot, denied.rule, length);
    }
    // Looked up outside, because the tables are busy telling.
    let segment = match parse::link(frame) {
        Ok(link) if (port as usize) < PORTS => {
            let attachment = admit::at(tables, control.slot, link.place(port));
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
        event.place = place(port, 0, 0);
        let Ok(link) = parse::link(frame) else {
            return;
        };
        describe_link(event, &link, port);
        let packet = match link.ether_type {
            parse::ETHERTYPE_IPV4 => parse::ipv4(frame, link.network),
            parse::ETHERTYPE_IPV6 => parse::ipv6(frame, link.network),
            parse::ETHERTYPE_ARP => {
                // Which address was claimed, and of whom it was asked: what whoever mends the inventory wants to know.
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

/// Tells of a flow that was opened, or of what is said to a group; answers whether it could.
#[inline(always)]
pub fn opened<T: Tables>(
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
    event.place = link.place(port);
}

#[inline(always)]
fn describe_packet(event: &mut Event, packet: &Packet) {
    event.source = packet.source;
    event.destination = packet.destination;
    event.source_port = packet.source_port;
    event.destination_port = packet.destination_port;
    event.protocol = packet.protocol;
}
