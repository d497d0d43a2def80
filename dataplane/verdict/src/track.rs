//! Stage 4, track: an established packet costs one look-up.
//!
//! A flow is remembered once both its ends were heard, with the epoch it was judged under. Another epoch, another
//! MAC address or another attachment means "judge again", never "drop". Until both were heard it is half-open, kept
//! apart (see `half`), and every packet of it is judged.

use core::sync::atomic::{Ordering, compiler_fence};

use crate::abi::{Flow, FlowKey4, FlowKey6, Ruling, Way, way_attachment, way_mac, way_word};
use crate::address::MAC_GROUP;
use crate::admit::Ingress;
use crate::half;
use crate::parse::{Kind, Link, Packet, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN};
use crate::reason::Reason;
use crate::tables::Tables;

/// What the table knows of a packet's flow.
#[derive(Clone, Copy)]
pub enum Known {
    /// Allowed, in force, and exactly this way.
    Settled { ruling: Ruling, egress: u16 },
    /// There is such a flow; whether the receiver of this packet has opened it, so that this may answer.
    Flow { by_receiver: bool },
    /// The same of a half-open flow, where none is established.
    Half { by_receiver: bool },
    /// It belongs to a flow, but not to what its ends have said so far.
    Outside { ruling: Ruling },
    /// Never seen, or not kept: group destinations have no flow.
    Nothing,
    /// The tables were not asked yet.
    Unasked,
}

/// A key, and which of the flow's two directions a packet goes in.
#[derive(Clone, Copy)]
pub struct Track {
    pub key: Key,
    pub direction: usize,
}

#[derive(Clone, Copy)]
pub enum Key {
    V4(FlowKey4),
    V6(FlowKey6),
}

/// The key of a packet's flow; `None` for what has no flow.
#[inline(always)]
pub fn key(ingress: &Ingress, link: &Link, packet: &Packet) -> Option<Track> {
    if link.destination & MAC_GROUP != 0 || packet.kind == Kind::Discovery {
        return None;
    }
    Some(of(ingress.admission.segment, packet))
}

/// The key of the flow that a packet to a single host would belong to in a segment.
#[inline(always)]
pub fn of(segment: u16, packet: &Packet) -> Track {
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
        Key::V4(FlowKey4::new(address, port, segment, protocol, asker))
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
    Track {
        key,
        direction: swap as usize,
    }
}

/// How a packet of a flow crossed the gateway.
#[derive(Clone, Copy)]
pub struct Crossed {
    /// What the flow was judged, half-open or not.
    pub judged: u64,
    /// How its direction goes.
    pub way: Way,
    /// What the other end acknowledged last; 0 if it did not.
    pub acknowledged: u32,
}

/// How a packet of a flow crossed the gateway.
#[inline(always)]
pub fn direction<T: Tables>(tables: &mut T, track: &Track) -> Option<Crossed> {
    let flow = match lookup(tables, &track.key) {
        Some(flow) => flow,
        None => half::lookup(tables, &track.key)?,
    };
    Some(Crossed {
        judged: flow.judged,
        way: flow.way.get(track.direction).copied()?,
        acknowledged: flow.acknowledged.get(track.direction ^ 1).copied()?,
    })
}

/// Whether a quoted number is near what was acknowledged, on either side: it may be an old packet's that was sent again.
#[inline(always)]
pub fn is_near(sequence: u32, acknowledged: u32) -> bool {
    acknowledged == 0 || sequence.wrapping_sub(acknowledged).wrapping_add(WINDOW) < 2 * WINDOW
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
    let now = ingress.control.tick;
    let Some(flow) = lookup(tables, &track.key) else {
        return Known::Nothing;
    };
    let Track { direction, .. } = *track;
    let judged = flow.judged;
    let Some(way) = flow.way.get(direction).copied() else {
        return Known::Nothing;
    };
    let current = (judged >> 32) as u32 == ingress.control.epoch;
    if packet.flags & TCP_RST != 0 && !may_reset(flow, packet, direction) {
        return outside(flow, current);
    }
    let settled = current
        && way.from == way_word(link.source, ingress.attachment)
        && way_mac(way.to) == link.destination
        && !packet.opens();
    if !settled {
        return Known::Flow {
            by_receiver: receiver_opened(flow, direction),
        };
    }
    let ruling = Ruling(judged as u32);
    note(flow, packet, direction, length, now);
    Known::Settled {
        ruling,
        egress: way_attachment(way.to),
    }
}

/// Whether the receiver of a packet in this direction has opened the flow.
#[inline(always)]
pub fn receiver_opened(flow: &Flow, direction: usize) -> bool {
    flow.state & (Flow::OPENED << ((direction ^ 1) & 1)) != 0
}

/// What opening SYNs leave of a flow's state.
pub const KEPT: u8 = Flow::OPENED | Flow::OPENED << 1;

/// The same, of a packet that is to be judged in any case.
#[inline(always)]
pub fn ask<T: Tables>(tables: &mut T, ingress: &Ingress, packet: &Packet, track: &Track) -> Known {
    let Some(flow) = lookup(tables, &track.key) else {
        return half::known(tables, track);
    };
    let current = (flow.judged >> 32) as u32 == ingress.control.epoch;
    if packet.flags & TCP_RST != 0 && !may_reset(flow, packet, track.direction) {
        return outside(flow, current);
    }
    Known::Flow {
        by_receiver: receiver_opened(flow, track.direction),
    }
}

/// The numbers that a flow's ends are at outlive a change of policy; the number of its rule does not.
#[inline(always)]
fn outside(flow: &Flow, current: bool) -> Known {
    let rule = if current { flow.judged as u32 } else { 0 };
    Known::Outside {
        ruling: Ruling(rule),
    }
}

/// How far ahead of what was acknowledged a reset may be: what can be under way (RFC 9293 §3.5.3 asks for no more than
/// the window, which a gateway would have to follow).
const WINDOW: u32 = 1 << 22;

/// Whether a reset continues what its sender said. One that does not is dropped: many a device believes any.
#[inline(always)]
fn may_reset(flow: &Flow, packet: &Packet, direction: usize) -> bool {
    let Some(acknowledged) = flow.acknowledged.get(direction ^ 1).copied() else {
        return false;
    };
    // A refusal of a new connection starts at zero, and is the other end's.
    let asked = flow.state & Flow::AGAIN != 0 && direction != flow.initiator as usize & 1;
    let refuses = packet.sequence == 0 && asked;
    acknowledged == 0 || refuses || packet.sequence.wrapping_sub(acknowledged) < WINDOW
}

#[inline(always)]
pub fn add_volume(flow: &mut Flow, direction: usize, length: usize) {
    if let Some(volume) = flow.volume.get_mut(direction) {
        *volume = volume.wrapping_add(length.div_ceil(Flow::VOLUME) as u32);
    }
}

/// What changes with every packet of a flow.
#[inline(always)]
pub fn note(flow: &mut Flow, packet: &Packet, direction: usize, length: usize, now: u16) {
    add_volume(flow, direction, length);
    // Written once in a while, not once a packet: both directions share the line.
    if flow.seen != now {
        flow.seen = now;
    }
    if packet.kind != Kind::Tcp {
        return;
    }
    if packet.flags & TCP_ACK != 0
        && let Some(acknowledged) = flow.acknowledged.get_mut(direction)
    {
        *acknowledged = packet.acknowledgement;
    }
    if flow.state & Flow::AGAIN != 0 && packet.flags & (TCP_SYN | TCP_RST) == 0 {
        flow.state &= !Flow::AGAIN;
    }
    if packet.flags & (TCP_FIN | TCP_SYN | TCP_RST) != 0 {
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
        let again = if packet.opens() { Flow::AGAIN } else { 0 };
        flow.state |= rst | fin | again;
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

/// Remembers a packet that was judged and allowed, of a flow of which so much was `known`. Says whether this establishes
/// it: see [`half::establish`].
///
/// An entry that is there is changed in place, ruling last: another processor may be reading it.
#[inline(always)]
pub fn remember<T: Tables>(
    tables: &mut T,
    known: Known,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    track: &Track,
    decided: Decided,
) -> Result<bool, Reason> {
    // Where another processor has established it meanwhile, that is found by the next packet.
    let may_be_established = !matches!(known, Known::Nothing | Known::Half { .. });
    if may_be_established && let Some(flow) = lookup(tables, &track.key) {
        if packet.opens() {
            flow.state &= KEPT;
        }
        update(flow, ingress, link, packet, track, decided);
        return Ok(false);
    }
    half::remember(tables, known, ingress, link, packet, track, decided)
}

/// Brings an entry up to date with a packet that was judged and allowed.
#[inline(always)]
pub fn update(
    flow: &mut Flow,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    track: &Track,
    decided: Decided,
) {
    let epoch = ingress.control.epoch;
    let direction = track.direction;
    let fresh = (flow.judged >> 32) as u32 == epoch;
    if let Some(other) = flow.way.get_mut(direction ^ 1)
        && (!fresh || (other.to != Way::NOWHERE && way_attachment(other.to) != ingress.attachment))
    {
        // What it says of attachments may be of another policy, or the station it leads to has moved.
        *other = Way { from: 0, to: 0 };
    }
    if let Some(this) = flow.way.get_mut(direction) {
        *this = Way {
            from: way_word(link.source, ingress.attachment),
            to: match decided.egress {
                Some(egress) => way_word(link.destination, egress),
                None => Way::NOWHERE,
            },
        };
    }
    let opener = initiator(track, &decided);
    // Whoever answers does not make the flow their own by being allowed to open one as well: a stranger could fill their
    // share of the table with it.
    if flow.state & KEPT == 0 || packet.opens() {
        flow.initiator = opener;
    }
    flow.state |= Flow::OPENED << opener;
    note(
        flow,
        packet,
        direction,
        decided.length,
        ingress.control.tick,
    );
    compiler_fence(Ordering::SeqCst);
    flow.judged = Flow::judged(epoch, decided.ruling);
}

/// Which direction the initiator speaks in.
#[inline(always)]
pub fn initiator(track: &Track, decided: &Decided) -> u8 {
    if decided.by_sender {
        track.direction as u8
    } else {
        track.direction as u8 ^ 1
    }
}
