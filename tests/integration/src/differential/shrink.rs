//! A difference in as few steps as will show it.

use super::history::Step;
use super::sides::{Difference, Sides};

/// Plays steps to user space and the oracle alone; the difference at the last frame, if there is one.
fn play(steps: &[Step]) -> Option<Box<Difference>> {
    let mut sides = Sides::new(None, None);
    let (last, before) = steps.split_last()?;
    let mut take = |step: &Step| match step {
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
        // Another difference than the one that is looked for: what comes behind it proves nothing.
        if take(step).is_some() {
            return None;
        }
    }
    take(last)
}

/// The fewest steps found that end in a difference between user space and the oracle; none if what happened under
/// the present policy does not show it by itself, or if it is the kernel that differs.
pub fn shrink(history: &[Step]) -> Option<(Vec<Step>, Box<Difference>)> {
    let mut steps = history.to_vec();
    let mut difference = play(&steps)?;
    let mut chunk = steps.len().div_ceil(2);
    while chunk > 0 {
        // The first step is the policy, the last the one that differs.
        let mut at = 1;
        while at + 1 < steps.len() {
            let end = (at + chunk).min(steps.len() - 1);
            let mut fewer = steps[..at].to_vec();
            fewer.extend_from_slice(&steps[end..]);
            match play(&fewer) {
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
