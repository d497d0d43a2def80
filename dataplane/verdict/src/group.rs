//! What is said to groups, remembered as half-open flows with nobody at the other end: whom a group's members answer, each
//! from its own address and the port they were asked at (WS-Discovery, SSDP, BACnet); and to tell of it once, not packet by
//! packet.

use core::sync::atomic::{Ordering, compiler_fence};

use crate::abi::{Admission, Flow, Ruling, Way, way_mac, way_word};
use crate::address::{Ip, MAC_GROUP};
use crate::admit::Ingress;
use crate::authorise::Authorised;
use crate::half;
use crate::parse::{Kind, Link, Packet};
use crate::tables::Tables;
use crate::track::{self, Track};

/// For how long an answer to a group is taken for one, in ticks.
const SOLICITED: u32 = 10;
/// After how long what is still said to a group is told of again, in ticks.
const TELL: u32 = 64;

/// Remembers who said what to a group. Says whether that is to be told of: somebody else said it last, to another group or
/// under another policy, or it was told of long ago. Until it is [`told`], it is.
#[inline(always)]
pub fn said<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
    ruling: Ruling,
    length: usize,
) -> bool {
    if link.destination & MAC_GROUP == 0 {
        return false;
    }
    let track = asking(ingress, packet);
    let way = Way {
        from: way_word(link.source, ingress.attachment),
        to: Way::NOWHERE,
    };
    let group = packet.destination.folded();
    let now = tables.now();
    let judged = Flow::judged(ingress.control.epoch, ruling);
    let flow = match half::lookup(tables, &track.key) {
        Some(flow) => flow,
        None => match half::add(tables, &track.key, ingress.control.tick) {
            Ok(flow) => flow,
            // Without room answers are judged in their own right.
            Err(_) => return true,
        },
    };
    let [_, told] = flow.acknowledged;
    let mut told = told >> 1;
    let Some(this) = flow.way.get_mut(track.direction) else {
        return true;
    };
    let is_news = flow.judged != judged
        || this.from != way.from
        || flow.group != group
        || now.wrapping_sub(told) & (u32::MAX >> 1) >= TELL;
    if is_news {
        told = now.wrapping_sub(TELL);
    }
    *this = way;
    flow.group = group;
    flow.acknowledged = [now, told << 1 | stays(packet) as u32];
    track::add_volume(flow, track.direction, length);
    flow.seen = ingress.control.tick;
    flow.initiator = track.direction as u8;
    compiler_fence(Ordering::SeqCst);
    flow.judged = judged;
    is_news
}

/// Takes note that it was told of.
#[inline(always)]
pub fn told<T: Tables>(tables: &mut T, ingress: &Ingress, packet: &Packet) {
    let now = tables.now();
    let track = asking(ingress, packet);
    if let Some(flow) = half::lookup(tables, &track.key) {
        let [said, rest] = flow.acknowledged;
        flow.acknowledged = [said, now << 1 | rest & 1];
    }
}

/// What is said to groups by this host from this port to that, whichever group.
#[inline(always)]
fn asking(ingress: &Ingress, packet: &Packet) -> Track {
    let to_nobody = Packet {
        destination: nobody(packet.source),
        ..*packet
    };
    track::of(ingress.admission.segment, &to_nobody)
}

/// Whether a packet answers one to a group, and by which rule.
#[inline(always)]
pub fn answers<T: Tables>(
    tables: &mut T,
    ingress: &Ingress,
    link: &Link,
    packet: &Packet,
) -> Option<Authorised> {
    let answers = packet.kind == Kind::Udp && !packet.destination.is_unspecified();
    if !answers || link.destination & MAC_GROUP != 0 {
        return None;
    }
    let now = tables.now();
    let track = track::of(
        ingress.admission.segment,
        &Packet {
            source: nobody(packet.source),
            ..*packet
        },
    );
    let flow = half::lookup(tables, &track.key)?;
    let ruling = flow.ruling();
    let [asked_at, rest] = flow.acknowledged;
    let asked = flow.way.get(track.direction ^ 1)?;
    let fits = (flow.judged >> 32) as u32 == ingress.control.epoch
        && way_mac(asked.from) == link.destination
        && now.wrapping_sub(asked_at) <= SOLICITED
        // Who was not asked does not answer.
        && !(ruling.is_inside() && ingress.admission.is(Admission::UPLINK));
    if !fits || (rest & 1 != 0 && !is_here(tables, ingress, packet.source)) {
        return None;
    }
    Some(Authorised {
        ruling: Ruling::allow(ruling.rule()),
        by_sender: false,
    })
}

/// Whether a question goes no further than its segment: broadcasts, and groups that routers keep to a link (RFC 5771 §4,
/// RFC 4291 §2.7).
#[inline(always)]
fn stays(packet: &Packet) -> bool {
    let to = packet.destination;
    match to.is_v4() {
        // What is sent to a group MAC and is no multicast is a broadcast.
        true => to.low32() >> 28 != 0xe || to.low32() >> 8 == 0x00e0_0000,
        false => to.hi >> 48 & 0xf == 2,
    }
}

/// Whether an identified source is one of this segment.
#[inline(always)]
fn is_here<T: Tables>(tables: &T, ingress: &Ingress, ip: Ip) -> bool {
    if !ingress.admission.is(Admission::UPLINK) || ip.is_v6_link_local() {
        return true;
    }
    let network = tables.network(ingress.control.slot, ip);
    network.segment == ingress.admission.segment
}

/// The unspecified address of the same family.
#[inline(always)]
fn nobody(ip: Ip) -> Ip {
    if ip.is_v4() {
        Ip::v4(0)
    } else {
        Ip { hi: 0, lo: 0 }
    }
}
