//! How long flows may be silent, where a service says so.

use std::time::Duration;

use cordon_policy::Policy;

use crate::rule_index;

/// Answers how long a flow may be silent, by the number of the rule that let it pass, its protocol and the port it was
/// opened to: as the service says that the rule has it by; none where that says nothing, or the rule is built in.
///
/// Where several of the rule's services hold the port, the longest time counts.
pub fn idle_of_rule(policy: &Policy) -> impl Fn(u32, u8, u16) -> Option<Duration> {
    move |rule, protocol, port| {
        let rule = rule_index(rule).and_then(|index| policy.rules.get(index))?;
        let mut longest = None;
        for (service, idle) in &rule.idle {
            if service.holds(protocol, port) {
                longest = longest.max(Some(*idle));
            }
        }
        longest
    }
}
