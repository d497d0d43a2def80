//! Idle timeouts of flows, where a service sets one.

use std::time::Duration;

use cordon_policy::Policy;

use crate::rule_index;

/// Returns a function that looks up the idle timeout of a flow by the number of the rule that allowed it, its IP protocol and
/// destination port. It returns none if the service of the rule sets no timeout, or the rule is built in.
///
/// Where several services of the rule match the flow, the longest timeout applies.
pub fn idle_timeout_of(policy: &Policy) -> impl Fn(u32, u8, u16) -> Option<Duration> {
    move |rule, protocol, port| {
        let rule = rule_index(rule).and_then(|index| policy.rules.get(index))?;
        let mut longest = None;
        for (service, idle) in &rule.idle {
            if service.matches(protocol, port) {
                longest = longest.max(Some(*idle));
            }
        }
        longest
    }
}
