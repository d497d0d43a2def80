//! Shrinks a history to few steps that show the same difference.

use super::history::Step;
use super::sides::{Difference, Sides};

/// Replays steps on user space and the oracle; the difference at the last frame, if there is one.
fn replay(steps: &[Step]) -> Option<Box<Difference>> {
    let mut sides = Sides::new(None, None);
    let (last, before) = steps.split_last()?;
    let mut apply = |step: &Step| match step {
        Step::Install(policy, posture) => {
            sides.install(&policy.1, *posture);
            None
        }
        Step::Posture(posture) => {
            sides.set_posture(*posture);
            None
        }
        Step::Time(ticks) => {
            sides.pass_time(*ticks);
            None
        }
        Step::Frame(port, frame) => sides.judge(*port, frame).err(),
    };
    for step in before {
        // An earlier difference: the rest proves nothing about the one at the last frame.
        if apply(step).is_some() {
            return None;
        }
    }
    apply(last)
}

/// The fewest steps found that end in a difference between user space and the oracle. None if the history since the
/// last policy does not reproduce it, or if only the kernel differs.
pub fn shrink(history: &[Step]) -> Option<(Vec<Step>, Box<Difference>)> {
    let mut steps = history.to_vec();
    let mut difference = replay(&steps)?;
    let mut chunk = steps.len().div_ceil(2);
    while chunk > 0 {
        // The first step is the policy, the last the one that differs.
        let mut at = 1;
        while at + 1 < steps.len() {
            let end = (at + chunk).min(steps.len() - 1);
            let mut fewer = steps[..at].to_vec();
            fewer.extend_from_slice(&steps[end..]);
            match replay(&fewer) {
                Some(found) => {
                    steps = fewer;
                    difference = found;
                }
                None => at = end,
            }
        }
        chunk /= 2;
    }
    Some((steps, difference))
}
