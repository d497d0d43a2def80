//! UDP to groups. A packet to a group is recorded as a half-open flow whose other end is the unspecified address, for
//! two uses: the members of the group may answer it, each from its own address and the port that was asked
//! (WS-Discovery, SSDP, BACnet); and it is reported once, not for every packet.

use core::sync::atomic::{Ordering, compiler_fence};

use crate::abi::{Admission, Flow, FlowPath, Ruling, path_mac, path_word};
use crate::address::{Ip, MAC_GROUP};
use crate::admit::Ingress;
use crate::authorise::Authorised;
use crate::flow::{self, FlowId};
use crate::half_open;
use crate::packet::{Kind, Link, Packet};
use crate::tables::Tables;

/// How long after a packet to a group its answers may come, in ticks.
const ANSWER_TIMEOUT: u32 = 10;
/// After how long packets that are still sent to a group are reported again, in ticks.
const REPORT_INTERVAL: u32 = 64;

/// Records a packet to a group. Returns whether it is to be reported: it is new, or the last one came from another
/// sender, to another group or under another policy, or the last report was long ago. It stays due until
/// [`mark_reported`].
#[inline(always)]
pub fn record<T: Tables>(
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
    let flow_id = query_flow(ingress, packet);
    let path = FlowPath {
        from: path_word(link.source, ingress.attachment),
        to: FlowPath::UNKNOWN,
    };
    let group = packet.destination.folded();
    let now = tables.now();
    let judged = Flow::judged(ingress.control.epoch, ruling);
    let flow = match half_open::lookup(tables, &flow_id.key) {
        Some(flow) => flow,
        None => match half_open::add(tables, &flow_id.key, ingress.control.tick) {
            Ok(flow) => flow,
            // If the table is full, answers are judged as any other packet.
            Err(_) => return true,
        },
    };
    let [_, reported] = flow.acknowledged;
    let mut reported = reported >> 1;
    let Some(this) = flow.path.get_mut(flow_id.direction) else {
        return true;
    };
    let is_new = flow.judged != judged
        || this.from != path.from
        || flow.group != group
        || now.wrapping_sub(reported) & (u32::MAX >> 1) >= REPORT_INTERVAL;
    if is_new {
        reported = now.wrapping_sub(REPORT_INTERVAL);
    }
    *this = path;
    flow.group = group;
    flow.acknowledged = [now, reported << 1 | is_link_scoped(packet) as u32];
    flow::add_volume(flow, flow_id.direction, length);
    flow.seen = ingress.control.tick;
    flow.initiator = flow_id.direction as u8;
    compiler_fence(Ordering::SeqCst);
    flow.judged = judged;
    is_new
}

/// Notes that a packet to a group was reported.
#[inline(always)]
pub fn mark_reported<T: Tables>(tables: &mut T, ingress: &Ingress, packet: &Packet) {
    let now = tables.now();
    let flow_id = query_flow(ingress, packet);
    if let Some(flow) = half_open::lookup(tables, &flow_id.key) {
        let [sent_at, rest] = flow.acknowledged;
        flow.acknowledged = [sent_at, now << 1 | rest & 1];
    }
}

/// The flow of packets to any group, from this host and port to this destination port.
#[inline(always)]
fn query_flow(ingress: &Ingress, packet: &Packet) -> FlowId {
    let query = Packet {
        destination: unspecified(packet.source),
        ..*packet
    };
    FlowId::in_segment(ingress.admission.segment, &query)
}

/// Whether a packet answers one to a group, and the rule by which it passes.
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
    let flow_id = FlowId::in_segment(
        ingress.admission.segment,
        &Packet {
            source: unspecified(packet.source),
            ..*packet
        },
    );
    let flow = half_open::lookup(tables, &flow_id.key)?;
    let ruling = flow.ruling();
    let [asked_at, rest] = flow.acknowledged;
    let asked = flow.path.get(flow_id.direction ^ 1)?;
    let fits = (flow.judged >> 32) as u32 == ingress.control.epoch
        && path_mac(asked.from) == link.destination
        && now.wrapping_sub(asked_at) <= ANSWER_TIMEOUT
        // A host behind an uplink did not get a query that stayed inside.
        && !(ruling.is_inside() && ingress.admission.is(Admission::UPLINK));
    if !fits || (rest & 1 != 0 && !is_on_segment(tables, ingress, packet.source)) {
        return None;
    }
    // The answer to a query that stayed inside stays inside, too.
    Some(Authorised {
        ruling,
        by_sender: false,
    })
}

/// Whether a packet to a group stays in its segment: broadcasts, and groups that routers do not forward (RFC 5771 §4,
/// RFC 4291 §2.7).
#[inline(always)]
fn is_link_scoped(packet: &Packet) -> bool {
    let to = packet.destination;
    match to.is_v4() {
        // A packet to a group MAC address that is no multicast is a broadcast.
        true => to.low32() >> 28 != 0xe || to.low32() >> 8 == 0x00e0_0000,
        false => to.hi >> 48 & 0xf == 2,
    }
}

/// Whether a source that was identified is a host of this segment.
#[inline(always)]
fn is_on_segment<T: Tables>(tables: &T, ingress: &Ingress, ip: Ip) -> bool {
    if !ingress.admission.is(Admission::UPLINK) || ip.is_v6_link_local() {
        return true;
    }
    let network = tables.network(ingress.control.slot, ip);
    network.segment == ingress.admission.segment
}

/// The unspecified address of the same family.
#[inline(always)]
fn unspecified(ip: Ip) -> Ip {
    if ip.is_v4() {
        Ip::v4(0)
    } else {
        Ip { hi: 0, lo: 0 }
    }
}
