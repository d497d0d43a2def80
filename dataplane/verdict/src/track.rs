//! Stage 4, track: an established packet costs one look-up.
//!
//! A flow is remembered once it was allowed, with the epoch it was judged under. Another epoch, another
//! MAC address or another attachment means "judge again", never "drop".

use core::sync::atomic::{Ordering, compiler_fence};

use crate::abi::{Flow, FlowKey4, FlowKey6, Ruling, Way, way_attachment, way_mac, way_word};
use crate::address::MAC_GROUP;
use crate::admit::Ingress;
use crate::parse::{Kind, Link, Packet, TCP_FIN, TCP_RST};
use crate::tables::{Full, Tables};

/// What the table knows of a packet's flow.
#[derive(Clone, Copy)]
pub enum Known {
    /// Allowed, in force, and exactly this way.
    Settled { ruling: Ruling, egress: u16 },
    /// There is such a flow; whether the receiver of this packet has opened it, so that this may answer.
    Flow { by_receiver: bool },
    /// Never seen, or not kept: group destinations have no flow.
    Nothing,
}

/// A key, and which of the flow's two directions a packet goes in.
#[derive(Clone, Copy)]
pub struct Track {
    key: Key,
    direction: usize,
}

#[derive(Clone, Copy)]
enum Key {
    V4(FlowKey4),
    V6(FlowKey6),
}

/// The key of a packet's flow; `None` for what has no flow.
#[inline(always)]
pub fn key(ingress: &Ingress, link: &Link, packet: &Packet) -> Option<Track> {
    if link.destination & MAC_GROUP != 0 || packet.kind == Kind::Discovery {
        return None;
    }
    let segment = ingress.admission.segment;
    let protocol = packet.protocol;
    let (sport, dport) = (packet.source_port, packet.destination_port);
    let swap = if packet.source.is_v4() {
        let source = (packet.source.low32() as u64) << 16 | sport as u64;
        let destination = (packet.destination.low32() as u64) << 16 | dport as u64;
        source > destination
    } else {
        (packet.source, sport) > (packet.destination, dport)
    };
    let port = if swap { [dport, sport] } else { [sport, dport] };
    let asker = match packet.kind {
        Kind::EchoRequest => swap as u8,
        Kind::EchoReply => !swap as u8,
        _ => 0,
    };
    let key = if packet.source.is_v4() {
        let (source, destination) = (packet.source.low32(), packet.destination.low32());
        let address = if swap {
            [destination, source]
        } else {
            [source, destination]
        };
        Key::V4(FlowKey4 {
            address,
            port,
            segment,
            protocol,
            asker,
        })
    } else {
        let (source, destination) = (packet.source, packet.destination);
        let address = if swap {
            [destination, source]
        } else {
            [source, destination]
        };
        Key::V6(FlowKey6 {
            address,
            port,
            segment,
            protocol,
            asker,
        })
    };
    Some(Track {
        key,
        direction: swap as usize,
    })
}

#[inline(always)]
fn lookup<'a, T: Tables>(tables: &'a mut T, key: &Key) -> Option<&'a mut Flow> {
    match key {
        Key::V4(key) => tables.flow4(key),
        Key::V6(key) => tables.flow6(key),
    }
}

/// The one look-up.
#[inline(always)]
pub fn find<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    track: &Track,
    length: usize,
) -> Known {
    let now = tables.now();
    let Some(flow) = lookup(tables, &track.key) else {
        return Known::Nothing;
    };
    let Track { direction, .. } = *track;
    let judged = flow.judged;
    let Some(way) = flow.way.get(direction).copied() else {
        return Known::Nothing;
    };
    let settled = (judged >> 32) as u32 == ingress.control.epoch
        && way.from == way_word(link.source, ingress.attachment)
        && way_mac(way.to) == link.destination
        && !packet.opens();
    if !settled {
        return Known::Flow {
            by_receiver: flow.state & (Flow::OPENED << (direction ^ 1)) != 0,
        };
    }
    note(flow, packet, direction, length, now);
    Known::Settled {
        ruling: Ruling(judged as u32),
        egress: way_attachment(way.to),
    }
}

/// What changes with every packet of a flow.
#[inline(always)]
fn note(flow: &mut Flow, packet: &Packet, direction: usize, length: usize, now: u32) {
    if let Some(bytes) = flow.bytes.get_mut(direction) {
        *bytes = bytes.wrapping_add(length as u64);
    }
    // Written once a second, not once a packet: both directions share the line.
    if flow.seen != now {
        flow.seen = now;
    }
    if packet.flags & (TCP_FIN | TCP_RST) != 0 {
        let rst = if packet.flags & TCP_RST != 0 {
            Flow::RST
        } else {
            0
        };
        let fin = if packet.flags & TCP_FIN != 0 {
            Flow::FIN << direction
        } else {
            0
        };
        flow.state |= rst | fin;
    }
}

/// What was decided of a packet that had to be judged.
#[derive(Clone, Copy)]
pub struct Decided {
    pub ruling: Ruling,
    /// Whether the sender of this packet is the flow's initiator, or its receiver.
    pub by_sender: bool,
    /// The egress attachment; `None` while it is not known where the destination is.
    pub egress: Option<u16>,
    pub length: usize,
}

/// Remembers a packet that was judged and allowed.
///
/// An entry that is there is changed in place, ruling last: a replaced element of a kernel hash table
/// may be given to another flow while another processor still reads it.
#[inline(always)]
pub fn remember<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    track: &Track,
    decided: Decided,
) -> Result<(), Full> {
    let now = tables.now();
    let epoch = ingress.control.epoch;
    let direction = track.direction;
    let way = match decided.egress {
        Some(egress) => Way {
            from: way_word(link.source, ingress.attachment),
            to: way_word(link.destination, egress),
        },
        None => Way { from: 0, to: 0 },
    };
    let initiator = if decided.by_sender {
        direction
    } else {
        direction ^ 1
    } as u8;
    let judged = Flow::judged(epoch, decided.ruling);

    if let Some(flow) = lookup(tables, &track.key) {
        let fresh = (flow.judged >> 32) as u32 == epoch;
        if let Some(other) = flow.way.get_mut(direction ^ 1)
            && (!fresh || way_attachment(other.to) != ingress.attachment)
        {
            // What it says of attachments may be of another policy, or the station it leads to has moved.
            *other = Way { from: 0, to: 0 };
        }
        if let Some(this) = flow.way.get_mut(direction) {
            *this = way;
        }
        if packet.opens() {
            flow.state &= Flow::OPENED | Flow::OPENED << 1;
        }
        flow.initiator = initiator;
        flow.state |= Flow::OPENED << initiator;
        note(flow, packet, direction, decided.length, now);
        compiler_fence(Ordering::SeqCst);
        flow.judged = judged;
        return Ok(());
    }

    let mut flow = Flow {
        judged,
        way: [Way { from: 0, to: 0 }; 2],
        bytes: [0; 2],
        seen: now,
        initiator,
        state: Flow::OPENED << initiator,
        pad: 0,
    };
    if let Some(this) = flow.way.get_mut(direction) {
        *this = way;
    }
    note(&mut flow, packet, direction, decided.length, now);
    match &track.key {
        Key::V4(key) => tables.add_flow4(key, &flow),
        Key::V6(key) => tables.add_flow6(key, &flow),
    }
}
