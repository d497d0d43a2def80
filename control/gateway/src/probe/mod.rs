//! Probe packets: the first packet of a flow, built as bytes and judged by the verdict function over in-memory tables.

pub mod endpoints;
pub mod packet;

use cordon_policy::{Binding, Posture};
use cordon_portable::Portable;
use cordon_verdict::abi::{location, location_port};
use cordon_verdict::{Outcome, Reason};

use crate::active_policy::ActivePolicy;
use crate::refusal::Refusal;

use endpoints::Ends;
use packet::{FrameHeaders, Packet};

/// An entry of the packet into the gateway. A packet from one segment to another is judged twice: on its way to the
/// router, and when the router sends it back.
pub struct Crossing {
    /// The L2 location of the ingress attachment.
    pub ingress: u32,
    /// The TPID of the outer of two VLAN tags there.
    pub outer_type: u16,
    /// MAC addresses, source and destination.
    pub macs: [[u8; 6]; 2],
}

/// The MAC address that probes use for the router: no device of the policy has it.
pub const ROUTER: [u8; 6] = [0x02, 0xff, 0, 0, 0, 0x01];

/// The MAC address that probes use for the receiver if the sender is an unlisted host too: they are two hosts.
const OTHER_HOST: [u8; 6] = [0x02, 0xff, 0, 0, 2, 0x01];

/// The crossings of a packet, in order.
///
/// # Errors
/// [`Refusal::NotFound`] if no such packet crosses this gateway.
pub fn crossings(active: &ActivePolicy, ends: &Ends) -> Result<Vec<Crossing>, Refusal> {
    let router = active.unlisted_mac(ROUTER);
    let (from, to) = (ends.from.segment(active), ends.to.segment(active));
    let mut crossings = Vec::new();
    if let Some(segment) = from {
        let stays = to == from || ends.to.is_group();
        // A router is at an uplink.
        let uplink = endpoints::is_router(active, ends.from.ip());
        let ingress = attachment_of(active, segment, uplink, ends.from.binding(active))?;
        let own = ends.from.mac(active);
        let to_mac = match ends.to.mac(active) {
            same if same == own => active.unlisted_mac(OTHER_HOST),
            other => other,
        };
        crossings.push(Crossing {
            ingress,
            outer_type: active.outer_type(ingress),
            macs: [own, if stays { to_mac } else { router }],
        });
        if stays {
            return Ok(crossings);
        }
    }
    if let Some(segment) = to {
        // The router sends it into the segment of the destination.
        let ingress = attachment_of(active, segment, true, None)?;
        crossings.push(Crossing {
            ingress,
            outer_type: active.outer_type(ingress),
            macs: [router, ends.to.mac(active)],
        });
    }
    if crossings.is_empty() {
        return Err(Refusal::NotFound {
            message: "neither end is in a segment of this gateway, so no such packet crosses it"
                .to_owned(),
            hint: "name a device, or an address in a segment's subnets".to_owned(),
        });
    }
    Ok(crossings)
}

/// The L2 location where frames of a segment enter, from its devices or from the router: its first attachment of that
/// kind that the device may be at.
fn attachment_of(
    active: &ActivePolicy,
    segment: usize,
    uplink: bool,
    bound: Option<Binding>,
) -> Result<u32, Refusal> {
    let policy = &active.policy;
    let segment = &policy.segments[segment];
    let matches = |attachment: &&cordon_policy::Attachment| {
        policy.ports[attachment.port].uplink == uplink
            && bound.is_none_or(|bound| bound.allows(**attachment))
    };
    match segment.attachments.iter().find(matches) {
        Some(found) => Ok(location(found.port as u16, found.vlan, found.inner)),
        None => Err(Refusal::NotFound {
            message: format!(
                "segment `{}` is attached to no {}, so no such packet enters",
                segment.name,
                if uplink {
                    "uplink"
                } else {
                    "port that faces devices"
                }
            ),
            hint: "`cordon status` lists where segments are attached".to_owned(),
        }),
    }
}

/// The outcome of a packet's last crossing: the first that drops it, if any.
pub fn cross(
    portable: &mut Portable,
    crossings: &[Crossing],
    ends: &Ends,
    packet: Packet,
    posture: Posture,
) -> Option<Outcome> {
    portable.set_posture(posture as u8);
    let mut last = None;
    for crossing in crossings {
        // Each crossing is judged as the first packet of a flow: without flow entries and without an FDB.
        reset(portable);
        let frame = packet.frame(&FrameHeaders {
            ingress: crossing.ingress,
            outer_type: crossing.outer_type,
            macs: crossing.macs,
            ips: [ends.from.ip(), ends.to.ip()],
        });
        let judged = portable.judge(location_port(crossing.ingress), &frame);
        let passes = judged.outcome.verdict.is_ok();
        last = Some(judged.outcome);
        if !passes {
            break;
        }
    }
    reset(portable);
    last
}

/// The outcome of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// It is forwarded.
    Forwarded,
    /// It is dropped for this reason, by this rule; 0: by none.
    Dropped(Reason, u32),
    /// No such packet crosses this gateway.
    Unknown,
}

/// Judges the first packet of a flow between two hosts, at posture normal.
pub fn probe(active: &ActivePolicy, ends: &Ends, packet: Packet) -> ProbeOutcome {
    let Ok(crossings) = crossings(active, ends) else {
        return ProbeOutcome::Unknown;
    };
    let posture = Posture::Normal;
    let last = active.portable(|portable| cross(portable, &crossings, ends, packet, posture));
    match last {
        None => ProbeOutcome::Unknown,
        Some(Outcome { verdict: Ok(_), .. }) => ProbeOutcome::Forwarded,
        Some(Outcome {
            verdict: Err(reason),
            rule,
            ..
        }) => ProbeOutcome::Dropped(reason, rule),
    }
}

/// Clears flows, FDB entries, limits and counters, so that the next probe is judged as the first packet of a flow.
pub fn reset(portable: &mut Portable) {
    let memory = &mut portable.memory;
    memory.stations.clear();
    memory.flows4.clear();
    memory.flows6.clear();
    memory.half4.clear();
    memory.half6.clear();
    memory.limits.clear();
    memory.fragments.clear();
    memory.rates.clear();
    memory.rules.clear();
    memory.drops.clear();
    memory.events.clear();
}
