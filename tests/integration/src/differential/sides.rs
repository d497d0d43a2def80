//! The three implementations under comparison, driven with the same steps.

use std::fmt;

use cordon_compile::{Compiled, compile};
use cordon_kernel::SweepLimits;
use cordon_oracle::Oracle;
use cordon_policy::{Date, Mac, Policy, Posture};
use cordon_portable::Portable;
use cordon_tables::Generation;
use cordon_verdict::abi::fdb_key;

use super::decision::{Decision, Verdict};
use super::faults::Fault;
use super::kernel::{Kernel, PORTS};
use super::ticks;
use super::wire::Wire;

/// The date for which all policies are compiled.
pub(super) fn today() -> Date {
    Date::new(2026, 6, 15).expect("the date is valid")
}

/// The shortest frame that is sent over the wire. The kernel drops a received tagged frame of less than 20 bytes before
/// a capture sees it, and the gateway may remove one of two tags.
const SHORTEST: usize = 24;

/// The sides of a comparison.
pub struct Sides {
    portable: Portable,
    oracle: Oracle,
    kernel: Option<Kernel>,
    generation: Generation,
    /// The numbers of the policy's segments, by index.
    numbers: Vec<u16>,
    /// The clock, in ticks.
    now: u32,
    /// The kernel's clock when the other sides last followed it.
    kernel_tick: u64,
    /// Carries the frames that are to be flooded.
    wire: Option<Wire>,
    fault: Option<Fault>,
}

/// The decisions on a frame on which the sides do not agree.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The kernel's decision, if it judged the frame.
    pub kernel: Option<Decision>,
    /// User space's decision.
    pub portable: Decision,
    /// The oracle's decision.
    pub oracle: Decision,
}

impl Sides {
    /// The sides: all three, or user space and oracle alone. A fault makes one side decide wrongly: a fault in the
    /// tables the kernel if it takes part, any other fault user space.
    pub fn new(kernel: Option<Kernel>, fault: Option<Fault>) -> Sides {
        Sides {
            portable: Portable::default(),
            oracle: Oracle::new(today()),
            kernel,
            generation: Generation::default(),
            numbers: Vec::new(),
            now: 0,
            kernel_tick: ticks::clock(),
            wire: None,
            fault,
        }
    }

    /// A copy of user space and oracle in their present state, without the kernel.
    pub fn fork(&self) -> Sides {
        Sides {
            portable: self.portable.clone(),
            oracle: self.oracle.clone(),
            numbers: self.numbers.clone(),
            kernel: None,
            generation: self.generation.clone(),
            now: self.now,
            kernel_tick: self.kernel_tick,
            wire: None,
            fault: self.fault,
        }
    }

    /// From now on, frames that are to be flooded are sent through the kernel's ports instead of a test run.
    pub fn use_wire(&mut self) {
        self.wire = Some(Wire::open());
    }

    /// Whether the kernel is one of the sides.
    pub fn has_kernel(&self) -> bool {
        self.kernel.is_some()
    }

    /// Checks that the ports have sent exactly the expected copies of flooded frames. Returns their number.
    ///
    /// # Errors
    /// The first copy that differs.
    pub fn compare_wire(&self) -> Result<usize, String> {
        self.wire.as_ref().map_or(Ok(0), Wire::compare)
    }

    /// Installs a policy on all sides.
    pub fn install(&mut self, policy: &Policy, posture: Posture) {
        let compiled = compile(policy, today());
        let Compiled {
            mut generation,
            rules,
            ..
        } = compiled.unwrap_or_else(|rejected| panic!("does not compile: {rejected}"));
        let mut faulty = generation.clone();
        if let Some(fault) = &self.fault {
            (fault.generation)(&mut faulty);
        }
        match &mut self.kernel {
            Some(kernel) => kernel.install(&faulty, rules, posture),
            None => generation = faulty,
        }
        match self.kernel {
            Some(_) => _ = self.follow_kernel(),
            None => self.pass_time(1),
        }
        self.generation = generation.clone();
        self.portable.install(generation, posture as u8);
        self.numbers = policy
            .segments
            .iter()
            .map(|segment| segment.number)
            .collect();
        self.oracle.install(policy.clone(), posture);
    }

    /// Changes the posture on all sides.
    pub fn set_posture(&mut self, posture: Posture) {
        if let Some(kernel) = &mut self.kernel {
            kernel.set_posture(posture);
        }
        match &self.fault {
            Some(fault) => (fault.posture)(&mut self.portable, posture as u8),
            None => self.portable.set_posture(posture as u8),
        }
        self.oracle.set_posture(posture);
    }

    /// Advances the clock of user space and oracle by the ticks that have passed in the kernel, if it takes part.
    /// Returns their number.
    pub fn follow_kernel(&mut self) -> u32 {
        if self.kernel.is_none() {
            return 0;
        }
        let tick = ticks::settled_clock();
        let passed = (tick - self.kernel_tick) as u32;
        self.kernel_tick = tick;
        if passed > 0 {
            self.pass_time(passed);
        }
        passed
    }

    /// Advances the clock of user space and oracle. The kernel's cannot be set.
    pub fn pass_time(&mut self, ticks: u32) {
        self.now += ticks;
        self.portable.memory.now = self.now;
        self.oracle.set_clock(self.now.into());
    }

    /// From now on a host of a segment is over its quota of established flows. The kernel's sweep applies a quota of
    /// one flow to every host, so callers use this for a host that has opened one.
    pub fn throttle(&mut self, segment: u16, mac: Mac) {
        // The policy has no such segment.
        let Some(number) = self.numbers.get(usize::from(segment)).copied() else {
            return;
        };
        if let Some(kernel) = &mut self.kernel {
            let idle = SweepLimits {
                quota: 1,
                ..SweepLimits::default()
            };
            kernel.dataplane.sweep(&idle).expect("the sweep succeeds");
        }
        let [a, b, c, d, e, f] = mac.0;
        let key = fdb_key(number, u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
        self.portable.memory.limits.entry(key).or_default().over = 1;
        self.oracle.set_at_flow_limit(segment.into(), mac, true);
    }

    /// Has a frame judged on all sides. A port number from [`PORTS`] on stands for an interface that is not a port.
    ///
    /// # Errors
    /// [`Difference`].
    pub fn judge(&mut self, port: u16, frame: &[u8]) -> Result<Decision, Box<Difference>> {
        self.follow_kernel();
        let on_wire = self.will_flood(port, frame);
        let kernel = match (&mut self.wire, &mut self.kernel) {
            (Some(wire), _) if on_wire => {
                wire.send(port, frame);
                None
            }
            (_, Some(kernel)) => kernel.judge(port, frame),
            _ => None,
        };
        let portable = match &self.fault {
            None => self.portable.judge(port, frame),
            Some(fault) => {
                (fault.before)(&mut self.portable);
                let mut judged = self.portable.judge(port, &(fault.frame)(frame));
                (fault.after)(port, frame, &mut judged);
                judged
            }
        };
        // Events are not compared.
        self.portable.memory.events.clear();
        let portable = Decision::portable(portable, &self.generation);
        let index = (port < PORTS).then_some(usize::from(port));
        let oracle = Decision::oracle(self.oracle.judge(index, frame), &self.numbers);
        let kernel_agrees = kernel.as_ref().is_none_or(|kernel| kernel.agrees(&oracle));
        if let (true, Some(wire), Verdict::Flood { copies, .. }) =
            (on_wire, &mut self.wire, &oracle.verdict)
        {
            wire.expect(port, frame, copies.as_deref().unwrap_or_default());
        }
        if portable.agrees(&oracle) && kernel_agrees {
            return Ok(oracle);
        }
        Err(Box::new(Difference {
            kernel,
            portable,
            oracle,
        }))
    }

    /// Whether a frame would be flooded, as user space decides, and so goes over the wire.
    fn will_flood(&self, port: u16, frame: &[u8]) -> bool {
        if self.wire.is_none() || port >= PORTS || frame.len() < SHORTEST {
            return false;
        }
        let judged = self.portable.clone().judge(port, frame);
        let decision = Decision::portable(judged, &self.generation);
        matches!(decision.verdict, Verdict::Flood { .. })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kernel {
            Some(kernel) => writeln!(f, "  kernel:   {kernel}")?,
            None => writeln!(f, "  kernel:   did not judge it")?,
        }
        writeln!(f, "  portable: {}", self.portable)?;
        write!(f, "  oracle:   {}", self.oracle)
    }
}
