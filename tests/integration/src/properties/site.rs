//! A policy in force at a simulated gateway, whose state can be emptied without compiling the policy again.

use cordon_compile::compile;
use cordon_policy::{Attachment, Date, OuterTag, Policy, Posture, Sources, from_sources};
use cordon_portable::{Judged, Memory, Portable};
use cordon_tables::Generation;
use cordon_verdict::abi::Control;

use crate::generate::frame::{SERVICE_TAG, VLAN_TAG};

/// The date for which policies are compiled.
pub fn today() -> Date {
    Date::new(2026, 6, 15).expect("the date is valid")
}

/// A policy in force.
pub struct Site {
    /// The validated policy.
    pub policy: Policy,
    /// The texts that the policy was read from.
    pub sources: Sources,
    gateway: Portable,
    /// Empty tables, to take the place of the policy's while the state is copied.
    spare: Option<[Generation; 2]>,
}

impl Site {
    /// Puts a policy into force.
    ///
    /// # Panics
    /// If the policy is invalid.
    pub fn new(sources: Sources) -> Site {
        let policy = match from_sources(&sources) {
            Ok(validated) => validated.policy,
            Err(rejected) => panic!("the policy is invalid: {rejected}\n{sources:#?}"),
        };
        let compiled = compile(&policy, today());
        let compiled = compiled.unwrap_or_else(|rejected| panic!("does not compile: {rejected}"));
        let mut gateway = Portable::default();
        gateway.install(compiled.generation, 0);
        Site {
            policy,
            sources,
            gateway,
            spare: None,
        }
    }

    /// Forgets all stations, flows and counters, and sets the posture.
    pub fn reset(&mut self, posture: Posture) {
        let memory = &mut self.gateway.memory;
        forget(memory);
        memory.now = 100;
        memory.control = Control {
            epoch: 1,
            posture: posture as u8,
            ..memory.control
        };
    }

    /// An order: another posture for the frames to come.
    pub fn set_posture(&mut self, posture: Posture) {
        self.gateway.set_posture(posture as u8);
    }

    /// Advances the clock.
    pub fn pass_time(&mut self, ticks: u32) {
        self.gateway.memory.now += ticks;
    }

    /// Judges a frame that arrives at a port.
    pub fn judge(&mut self, port: u16, frame: &[u8]) -> Judged {
        let judged = self.gateway.judge(port, frame);
        self.gateway.memory.events.clear();
        judged
    }

    /// Does something with the gateway, and then sets its state back.
    pub fn tentatively<T>(&mut self, attempt: impl FnOnce(&mut Site) -> T) -> T {
        // Without the policy's tables, which are large and do not change.
        let empty = || {
            let mut empty = Generation::default();
            empty.services = Vec::new();
            empty
        };
        let slots = self.spare.take().unwrap_or_else(|| [empty(), empty()]);
        let slots = std::mem::replace(&mut self.gateway.memory.slots, slots);
        let before = self.gateway.memory.clone();
        let spare = std::mem::replace(&mut self.gateway.memory.slots, slots);
        let result = attempt(self);
        let slots = std::mem::replace(&mut self.gateway.memory.slots, spare);
        self.gateway.memory = before;
        let spare = std::mem::replace(&mut self.gateway.memory.slots, slots);
        self.spare = Some(spare);
        result
    }

    /// Whether a port is an uplink.
    pub fn is_uplink(&self, port: u16) -> bool {
        let port = self.policy.ports.get(usize::from(port));
        port.is_some_and(|port| port.uplink)
    }

    /// The frames that leave by uplinks.
    pub fn crossing(&self, judged: &Judged) -> Vec<(u16, Vec<u8>)> {
        let crossing = |(port, _): &&(u16, Vec<u8>)| self.is_uplink(*port);
        judged.leaving.iter().filter(crossing).cloned().collect()
    }

    /// The attachments of a segment, at uplinks or at device-facing ports.
    pub fn attachments(&self, segment: usize, uplink: bool) -> Vec<Attachment> {
        let all = self.policy.segments[segment].attachments.iter();
        all.filter(|at| self.policy.ports[at.port].uplink == uplink)
            .copied()
            .collect()
    }

    /// The tags of frames at an attachment, with priority 0.
    pub fn tags(&self, at: Attachment) -> Vec<(u16, u16)> {
        let outer = match self.policy.ports[at.port].outer_tag {
            OuterTag::Dot1ad => SERVICE_TAG,
            OuterTag::Dot1q => VLAN_TAG,
        };
        match (at.vlan, at.inner) {
            (0, _) => Vec::new(),
            (vlan, 0) => vec![(VLAN_TAG, vlan)],
            (vlan, inner) => vec![(outer, vlan), (VLAN_TAG, inner)],
        }
    }
}

/// Empties everything but the policy's tables.
fn forget(memory: &mut Memory) {
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
