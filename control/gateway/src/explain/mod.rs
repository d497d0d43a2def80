//! Why a packet would pass, or not: the very packet, as bytes, judged by the very function and tables, at every
//! posture. Nothing is asserted here about what the verdict does.

pub mod ends;
pub mod packet;

use cordon_policy::{Binding, Posture, Reach};
use cordon_portable::Portable;
use cordon_protocol::{AtPosture, Explanation, Question, WouldDrop};
use cordon_verdict::abi::{location, location_port};
use cordon_verdict::{Egress, Outcome, Reason};

use crate::engine::Gateway;
use crate::names::Named;
use crate::observed::Observed;
use crate::refusal::Refusal;

use ends::Ends;
use packet::{Packet, Wire};

/// Judges the packets of a question by the policy in force.
///
/// # Errors
/// [`Refusal::NotFound`] where a name means nothing, or no such packet crosses this gateway.
pub fn explain(
    gateway: &Gateway,
    observed: &Observed,
    question: &Question,
) -> Result<Vec<Explanation>, Refusal> {
    let (named, posture) = {
        let engine = gateway.engine();
        (engine.current(), engine.posture())
    };
    let Some(named) = named else {
        return Err(Refusal::NotFound {
            message: "there is no policy, so nothing is forwarded".to_owned(),
            hint: "give one: `cordon apply DIR`".to_owned(),
        });
    };
    let mut explained = explain_by(&named, posture, question)?;
    if let Some(twin) = observed.twin(&named) {
        let enforced = explain_by(&twin.enforced, posture, question)?;
        for (one, enforced) in explained.iter_mut().zip(&enforced) {
            mark(one, enforced);
        }
    }
    Ok(explained)
}

/// Says of what passes what enforcement would do to it.
fn mark(one: &mut Explanation, enforced: &Explanation) {
    for (at, enforced) in one.postures.iter_mut().zip(&enforced.postures) {
        let by_policy = [Reason::Rule, Reason::NoRule].map(Reason::name);
        let reason = enforced.reason.as_deref().unwrap_or_default();
        if at.allowed && by_policy.contains(&reason) {
            at.would_drop = Some(WouldDrop {
                reason: reason.to_owned(),
                rule: enforced.rule.clone(),
                place: enforced.place.clone(),
            });
        }
    }
}

fn explain_by(
    named: &Named,
    posture: Posture,
    question: &Question,
) -> Result<Vec<Explanation>, Refusal> {
    let ends = Ends::find(named, &question.from, &question.to)?;
    let services = named.policy.service(&question.service).ok_or_else(|| {
        let known = named
            .policy
            .services
            .iter()
            .map(|service| service.name.as_str());
        let hint =
            "a service is a name of the policy or the catalogue, or `tcp/104`, `udp/53`, `icmp`";
        Refusal::unknown("service", &question.service, known, hint)
    })?;
    let crossings = crossings(named, &ends)?;
    let packets = services
        .iter()
        .flat_map(|service| packet::of(named, *service));
    let explain = |packet: Packet| Explanation {
        from: ends.from.in_words(named),
        to: ends.to.in_words(named),
        packet: packet.to_string(),
        reach: reach(named, &ends).name().to_owned(),
        ingress: named.at(crossings[0].ingress),
        posture: posture.to_string(),
        postures: named.portable(|portable| judge(named, portable, &crossings, &ends, packet)),
    };
    Ok(packets.map(explain).collect())
}

/// A way into the gateway. What goes from one segment to another is judged twice: on its way to the router, and
/// when the router sends it back.
struct Crossing {
    /// The place of an attachment.
    ingress: u32,
    /// The type of the outer of two VLAN tags there.
    outer_type: u16,
    /// Source and destination.
    macs: [[u8; 6]; 2],
}

/// No device's: a router's, as far as the gateway can tell.
pub const ROUTER: [u8; 6] = [0x02, 0xff, 0, 0, 0, 0x01];

fn crossings(named: &Named, ends: &Ends) -> Result<Vec<Crossing>, Refusal> {
    let router = named.free_mac(ROUTER);
    let (from, to) = (ends.from.segment(named), ends.to.segment(named));
    let mut crossings = Vec::new();
    if let Some(segment) = from {
        let stays = to == from || ends.to.is_group();
        let ingress = attachment_of(named, segment, false, ends.from.binding(named))?;
        crossings.push(Crossing {
            ingress,
            outer_type: named.outer_type(ingress),
            macs: [
                ends.from.mac(named),
                if stays { ends.to.mac(named) } else { router },
            ],
        });
        if stays {
            return Ok(crossings);
        }
    }
    if let Some(segment) = to {
        // The router sends it into the segment of its destination.
        let ingress = attachment_of(named, segment, true, None)?;
        crossings.push(Crossing {
            ingress,
            outer_type: named.outer_type(ingress),
            macs: [router, ends.to.mac(named)],
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

/// Where a segment's frames come in, from its devices or from the router: the first of its attachments there, or the
/// first that a device may be at.
fn attachment_of(
    named: &Named,
    segment: usize,
    uplink: bool,
    bound: Option<Binding>,
) -> Result<u32, Refusal> {
    let policy = &named.policy;
    let segment = &policy.segments[segment];
    let wanted = |attachment: &&cordon_policy::Attachment| {
        policy.ports[attachment.port].uplink == uplink
            && bound.is_none_or(|bound| bound.allows(**attachment))
    };
    match segment.attachments.iter().find(wanted) {
        Some(found) => Ok(location(found.port as u16, found.vlan, found.inner)),
        None => Err(Refusal::NotFound {
            message: format!(
                "segment `{}` is attached to no {}, so no such packet comes in",
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

fn reach(named: &Named, ends: &Ends) -> Reach {
    if ends.to.is_group() {
        // What is flooded stays in its segment.
        return Reach::WithinZone;
    }
    Reach::between(&named.policy, ends.from.zone(named), ends.to.zone(named))
}

fn judge(
    named: &Named,
    portable: &mut Portable,
    crossings: &[Crossing],
    ends: &Ends,
    packet: Packet,
) -> Vec<AtPosture> {
    let at = |posture: Posture| {
        let last = cross(portable, crossings, ends, packet, posture);
        let inside = |outcome: &Outcome| {
            ends.to.is_group() && matches!(outcome.verdict, Ok(Egress::Flood { inside: true, .. }))
        };
        let inside = last.as_ref().is_some_and(inside);
        let rule = last.map_or(0, |outcome| outcome.rule);
        let refused = last.and_then(|outcome| outcome.verdict.err());
        AtPosture {
            posture: posture.to_string(),
            allowed: refused.is_none(),
            inside,
            would_drop: None,
            reason: refused.map(|reason| reason.name().to_owned()),
            rule: named.rule(rule).map(str::to_owned),
            place: named.place(rule),
        }
    };
    Posture::ALL.into_iter().map(at).collect()
}

/// What became of a packet at its last crossing: the first that drops it.
fn cross(
    portable: &mut Portable,
    crossings: &[Crossing],
    ends: &Ends,
    packet: Packet,
    posture: Posture,
) -> Option<Outcome> {
    portable.set_posture(posture as u8);
    let mut last = None;
    for crossing in crossings {
        // Every crossing as the first packet of a flow: nothing known, nothing learned.
        forget(portable);
        let frame = packet.frame(&Wire {
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
    forget(portable);
    last
}

/// What becomes of the first packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It passes.
    Passes,
    /// It is dropped for this reason, by this rule; by none for 0.
    Drops(Reason, u32),
    /// No such packet crosses this gateway.
    Unknown,
}

/// What becomes of a packet between two hosts at posture normal.
pub fn fate(named: &Named, ends: &Ends, packet: Packet) -> Fate {
    let Ok(crossings) = crossings(named, ends) else {
        return Fate::Unknown;
    };
    let posture = Posture::Normal;
    let last = named.portable(|portable| cross(portable, &crossings, ends, packet, posture));
    match last {
        None => Fate::Unknown,
        Some(Outcome { verdict: Ok(_), .. }) => Fate::Passes,
        Some(Outcome {
            verdict: Err(reason),
            rule,
            ..
        }) => Fate::Drops(reason, rule),
    }
}

/// Takes away whatever a packet left behind: the next must not find its flow, nor be the one too many.
pub fn forget(portable: &mut Portable) {
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

#[cfg(test)]
mod stitched;
#[cfg(test)]
mod tests;
