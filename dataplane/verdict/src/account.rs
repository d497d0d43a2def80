//! Stage 7, account: every frame is counted once, for the rule or for the reason.

use crate::abi::{Control, EVENT_DROP, EVENT_FLOW, Event};
use crate::address::Ip;
use crate::authorise::Denied;
use crate::frame::Frame;
use crate::parse::{self, Link, Packet};
use crate::tables::Tables;

const BLANK: Event = Event {
    at: 0,
    source_mac: 0,
    destination_mac: 0,
    source: Ip { hi: 0, lo: 0 },
    destination: Ip { hi: 0, lo: 0 },
    epoch: 0,
    rule: 0,
    length: 0,
    source_port: 0,
    destination_port: 0,
    ingress: 0,
    segment: 0,
    protocol: 0,
    kind: 0,
    reason: 0,
    posture: 0,
    slot: 0,
    pad: [0; 7],
};

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
    if denied.rule != 0 {
        tables.count_rule(control.slot, denied.rule, length);
    }
    let mut event = Event {
        epoch: control.epoch,
        rule: denied.rule,
        length: length as u32,
        kind: EVENT_DROP,
        reason: denied.reason as u8,
        posture: control.posture,
        slot: control.slot,
        ingress: port << 12,
        ..BLANK
    };
    if let Ok(link) = parse::link(frame) {
        describe_link(&mut event, &link, port);
        let attachment = event.ingress;
        event.segment = tables.admission(control.slot, attachment).segment;
        let packet = match link.ether_type {
            parse::ETHERTYPE_IPV4 => parse::ipv4(frame, link.network).ok(),
            parse::ETHERTYPE_IPV6 => parse::ipv6(frame, link.network).ok(),
            _ => None,
        };
        if let Some(packet) = packet {
            describe_packet(&mut event, &packet);
        }
    }
    tables.event(&event);
}

/// What an event about a new flow is made of.
pub struct Opened<'a> {
    pub link: &'a Link,
    pub packet: &'a Packet,
    pub ingress: u16,
    pub segment: u16,
    pub rule: u32,
    pub length: usize,
}

/// Tells of a flow that was opened.
#[inline(always)]
pub fn opened<T: Tables>(tables: &mut T, control: Control, opened: Opened<'_>) {
    let mut event = Event {
        epoch: control.epoch,
        rule: opened.rule,
        length: opened.length as u32,
        kind: EVENT_FLOW,
        posture: control.posture,
        slot: control.slot,
        segment: opened.segment,
        ..BLANK
    };
    describe_link(&mut event, opened.link, opened.ingress >> 12);
    describe_packet(&mut event, opened.packet);
    tables.event(&event);
}

#[inline(always)]
fn describe_link(event: &mut Event, link: &Link, port: u16) {
    event.source_mac = link.source;
    event.destination_mac = link.destination;
    event.ingress = crate::abi::attachment(port, link.vlan);
}

#[inline(always)]
fn describe_packet(event: &mut Event, packet: &Packet) {
    event.source = packet.source;
    event.destination = packet.destination;
    event.source_port = packet.source_port;
    event.destination_port = packet.destination_port;
    event.protocol = packet.protocol;
}
