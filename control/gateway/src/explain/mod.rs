//! Why a packet would pass or be dropped: the packet, as bytes, is judged by the verdict function over the policy's
//! tables, at every posture.

use cordon_policy::{Posture, Reach};
use cordon_portable::Portable;
use cordon_protocol::{AtPosture, Explanation, Question, WouldDrop};
use cordon_verdict::{Egress, Outcome, Reason};

use crate::active_policy::ActivePolicy;
use crate::engine::Gateway;
use crate::observed::Observed;
use crate::probe::endpoints::Ends;
use crate::probe::packet::{self, Packet};
use crate::probe::{Crossing, cross, crossings};
use crate::refusal::Refusal;

/// Answers a question by the policy in force.
///
/// # Errors
/// [`Refusal::NotFound`] if a name is unknown, or no such packet crosses this gateway.
pub fn explain(
    gateway: &Gateway,
    observed: &Observed,
    question: &Question,
) -> Result<Vec<Explanation>, Refusal> {
    let (active, posture) = {
        let engine = gateway.engine();
        (engine.current(), engine.posture())
    };
    let Some(active) = active else {
        return Err(Refusal::NotFound {
            message: "there is no policy, so nothing is forwarded".to_owned(),
            hint: "apply one: `cordon apply DIR`".to_owned(),
        });
    };
    let mut explained = explain_by(&active, posture, question)?;
    if let Some(shadow) = observed.shadow_policy(&active) {
        let enforced = explain_by(&shadow.enforced, posture, question)?;
        for (one, enforced) in explained.iter_mut().zip(&enforced) {
            mark_would_drop(one, enforced);
        }
    }
    Ok(explained)
}

/// Adds to each posture at which the packet passes what enforcement would do.
fn mark_would_drop(one: &mut Explanation, enforced: &Explanation) {
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
    active: &ActivePolicy,
    posture: Posture,
    question: &Question,
) -> Result<Vec<Explanation>, Refusal> {
    let ends = Ends::find(active, &question.from, &question.to)?;
    let services = active.policy.service(&question.service).ok_or_else(|| {
        let known = active
            .policy
            .services
            .iter()
            .map(|service| service.name.as_str());
        let hint =
            "a service is a name from the policy or the catalogue, or `tcp/104`, `udp/53`, `icmp`";
        Refusal::unknown("service", &question.service, known, hint)
    })?;
    let crossings = crossings(active, &ends)?;
    let packets = services
        .iter()
        .flat_map(|service| packet::packets_of(active, *service));
    let explain = |packet: Packet| Explanation {
        from: ends.from.describe(active),
        to: ends.to.describe(active),
        packet: packet.to_string(),
        reach: reach(active, &ends).name().to_owned(),
        ingress: active.attachment_name(crossings[0].ingress),
        posture: posture.to_string(),
        postures: active.portable(|portable| judge(active, portable, &crossings, &ends, packet)),
    };
    Ok(packets.map(explain).collect())
}

fn reach(active: &ActivePolicy, ends: &Ends) -> Reach {
    if ends.to.is_group() {
        // Flooded packets stay in their segment.
        return Reach::WithinZone;
    }
    Reach::between(&active.policy, ends.from.zone(active), ends.to.zone(active))
}

fn judge(
    active: &ActivePolicy,
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
            rule: active.rule(rule).map(str::to_owned),
            place: active.rule_position(rule),
        }
    };
    Posture::ALL.into_iter().map(at).collect()
}

#[cfg(test)]
mod tests;
