//! Putting a policy into force: write it to the other slot ([`Stager`]), change the control word, wait for a grace period.

use cordon_tables::Generation;
use cordon_verdict::abi::{Control, Counter, RULES};

use crate::barrier::Expedited;
use crate::dataplane::{Dataplane, next_epoch};
use crate::error::Error;
use crate::stager::Stager;

/// The result of a change of policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The control word in force now.
    pub control: Control,
    /// The counters of the previous generation's rules, by rule number.
    pub counted: Vec<Counter>,
}

impl Dataplane {
    /// Opens a writer of the slot that is not in force. It can work while other operations run. Only one may be in use,
    /// and its owner must not call [`Dataplane::install`] meanwhile.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn stager(&self) -> Result<Stager, Error> {
        Stager::open(&self.pins)
    }

    /// Puts a policy and a posture (0 normal to 5 sever) into force together: [`Stager::write`] and [`Dataplane::flip`] in
    /// one call.
    ///
    /// # Errors
    /// [`Error::TooMany`], and [`Error::Map`] or [`Error::Batch`] if the kernel has no memory for it: the previous policy
    /// stays in force. [`Error::Barrier`], with the new policy in force for every new packet.
    pub fn install(
        &mut self,
        generation: &Generation,
        rules: usize,
        posture: u8,
    ) -> Result<Installed, Error> {
        let slot = self.control()?.slot ^ 1;
        self.stager()?.write(slot, generation, rules)?;
        self.flip(posture, RULES)
    }

    /// Puts the generation in the other slot into force, with a posture. On return no packet is judged by the previous
    /// policy. Flows stay, and are judged again at their next packet. `rules` is the number of rules of the previous
    /// policy, whose counters are read.
    ///
    /// # Errors
    /// [`Error::Map`]: the previous policy stays in force. [`Error::Barrier`], with the new policy in force for every new
    /// packet.
    pub fn flip(&mut self, posture: u8, rules: usize) -> Result<Installed, Error> {
        let _expedited = Expedited::new();
        let before = self.control()?;
        let control = self.set_control(Control {
            epoch: next_epoch(before.epoch),
            posture,
            slot: before.slot ^ 1,
            ..before
        })?;
        let counted = self.rule_counters(before.slot, rules)?;
        Ok(Installed { control, counted })
    }
}
