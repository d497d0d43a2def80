//! The shadow policy: the policy in force as if every segment were enforced. It is compiled without observe rules, and
//! the same verdict function judges the same packets by it.

use std::sync::Arc;

use cordon_policy::{Mode, Origin, Posture};
use cordon_protocol::WouldDrop;
use cordon_verdict::Reason;
use cordon_verdict::abi::{location_port, service_index};

use crate::active_policy::ActivePolicy;
use crate::probe;

use super::opening::FlowOpening;

/// The verdict of the shadow policy on a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadowVerdict {
    /// This rule allows it.
    Allows(u32),
    /// This rule drops it; 0: no rule matches.
    Drops(u32),
    /// It is dropped before the rules, or cannot be judged.
    NotByRule,
}

/// A policy and its shadow.
pub struct ShadowPolicy {
    /// The policy in force.
    pub base: Arc<ActivePolicy>,
    /// The shadow: enforced, with the same rule numbers.
    pub enforced: ActivePolicy,
}

impl ShadowPolicy {
    /// Compiles the shadow of a policy; none if no segment is observed.
    pub fn new(base: &Arc<ActivePolicy>) -> Option<ShadowPolicy> {
        base.observed_segments().next()?;
        let mut policy = (*base.policy).clone();
        // Observe rules come last, so the others keep their numbers. The invariants were checked already.
        policy.rules.retain(|rule| rule.origin != Origin::Observe);
        policy.invariants.clear();
        for segment in &mut policy.segments {
            segment.mode = Mode::Enforce;
        }
        match cordon_compile::compile(&policy, base.day) {
            Ok(compiled) => Some(ShadowPolicy {
                enforced: ActivePolicy::new(
                    Arc::new(policy),
                    base.hash.clone(),
                    base.day,
                    compiled,
                ),
                base: Arc::clone(base),
            }),
            Err(rejected) => {
                tracing::error!(
                    "the shadow policy does not compile: would-drop is not reported: {rejected}"
                );
                None
            }
        }
    }

    /// Judges the first packet of a flow.
    pub fn judge(&self, opening: &FlowOpening) -> ShadowVerdict {
        match self.judge_opening(opening) {
            ShadowVerdict::Drops(rule) => {
                match opening.reversed().map(|other| self.judge_opening(&other)) {
                    // The flow was first seen in mid-stream, by a packet of the server.
                    Some(ShadowVerdict::Allows(rule)) if self.looks_like_a_reply(opening) => {
                        ShadowVerdict::Allows(rule)
                    }
                    _ => ShadowVerdict::Drops(rule),
                }
            }
            other => other,
        }
    }

    fn judge_opening(&self, opening: &FlowOpening) -> ShadowVerdict {
        let Some(frame) = opening.frame(&self.enforced) else {
            return ShadowVerdict::NotByRule;
        };
        self.enforced.portable(|portable| {
            portable.set_posture(Posture::Normal as u8);
            probe::reset(portable);
            let outcome = portable
                .judge(location_port(opening.ingress), &frame)
                .outcome;
            probe::reset(portable);
            match outcome.verdict {
                Ok(_) => ShadowVerdict::Allows(outcome.rule),
                Err(Reason::Rule | Reason::NoRule) => ShadowVerdict::Drops(outcome.rule),
                Err(_) => ShadowVerdict::NotByRule,
            }
        })
    }

    /// Whether the source port is one that a service names, and the destination port is not.
    fn looks_like_a_reply(&self, opening: &FlowOpening) -> bool {
        let is_service = |port: u16| {
            let index = service_index(opening.protocol, port) as usize;
            self.enforced.generation(|generation| {
                generation
                    .services
                    .get(index)
                    .is_some_and(|class| *class != 0)
            })
        };
        let [from, to] = opening.ports;
        is_service(from) && !is_service(to)
    }

    /// What enforcement does, as the API reports it.
    pub fn would_drop(&self, rule: u32) -> WouldDrop {
        let reason = if rule == 0 {
            Reason::NoRule
        } else {
            Reason::Rule
        };
        WouldDrop {
            reason: reason.name().to_owned(),
            rule: self.enforced.rule(rule).map(str::to_owned),
            place: self.enforced.rule_position(rule),
        }
    }
}
