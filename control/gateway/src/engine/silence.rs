//! For how long flows may be silent, as the policy says of the rule that lets them pass.

use std::sync::Arc;
use std::time::Duration;

use cordon_kernel::{FlowEntry, Silence};

use super::Engine;
use crate::names::Named;

/// What is said, by epoch.
pub(super) struct Silences {
    /// The policy in force, and the first epoch that was judged by it.
    now: Option<(Arc<Named>, u32)>,
    /// The one before.
    before: Option<(Arc<Named>, u32)>,
    /// The longest that either says.
    longest: Duration,
}

impl Engine {
    pub(super) fn silences(&self) -> Silences {
        let slot = self.plane.control().map_or(0, |control| control.slot);
        let of = |slot: u8| Some((self.slots.get(slot)?, self.filled[usize::from(slot)]));
        let (now, before) = (of(slot), of(slot ^ 1));
        let policies = now.iter().chain(&before);
        let longest = policies.map(|(named, _)| named.longest_silence).max();
        Silences {
            now,
            before,
            longest: longest.unwrap_or_default(),
        }
    }
}

impl Silences {
    pub fn of(&self, entry: &FlowEntry) -> Silence {
        if self.longest.is_zero() {
            return Silence::Usual;
        }
        let epoch = entry.epoch();
        let said = |named: &Named| {
            let rule = entry.flow.ruling().rule();
            named.silence(rule, entry.protocol, entry.server_port())
        };
        match (&self.now, &self.before) {
            (Some((named, since)), _) if epoch >= *since => match said(named) {
                Some(time) => Silence::Exactly(time),
                None => Silence::Usual,
            },
            // Its next packet is judged by what is in force now. Until then it is let be, whichever says more.
            (_, Some((named, since))) if epoch >= *since => {
                Silence::AtLeast(said(named).unwrap_or_default())
            }
            _ => Silence::AtLeast(self.longest),
        }
    }
}
