//! The three sides, kept in step.

use std::fmt;

use cordon_compile::{Compiled, compile};
use cordon_kernel::Idle;
use cordon_oracle::Oracle;
use cordon_policy::{Date, Mac, Policy, Posture};
use cordon_portable::{Generation, Portable};
use cordon_verdict::abi::fdb_key;

use super::faults::Fault;
use super::kernel::{Kernel, PORTS};
use super::said::{Said, Verdict};
use super::wire::Wire;

/// The day on which all policies are compiled.
pub(super) fn today() -> Date {
    Date::new(2026, 6, 15).expect("is a day")
}

/// No tagged frame shorter than 20 bytes comes out at a port's other end: the kernel drops it there before anyone sees
/// it, for there is nothing behind its tag. One of two tags may have been taken off. No wire carries one either.
const SHORTEST: usize = 24;

/// Who says what.
pub struct Sides {
    portable: Portable,
    oracle: Oracle,
    kernel: Option<Kernel>,
    generation: Generation,
    /// The numbers of the policy's segments, by index.
    numbers: Vec<u16>,
    /// The clock, in ticks.
    now: u32,
    /// What is flooded goes over it for real.
    wire: Option<Wire>,
    fault: Option<Fault>,
}

/// Not all say the same.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What the kernel says, where it was asked.
    pub kernel: Option<Said>,
    /// What user space says.
    pub portable: Said,
    /// What the oracle says.
    pub oracle: Said,
}

impl Sides {
    /// Without the kernel, two sides are left. With a fault, one side is wrong on purpose: the kernel, as far as the
    /// fault is in the tables, or else user space.
    pub fn new(kernel: Option<Kernel>, fault: Option<Fault>) -> Sides {
        Sides {
            portable: Portable::default(),
            oracle: Oracle::new(today()),
            kernel,
            generation: Generation::default(),
            numbers: Vec::new(),
            now: 0,
            wire: None,
            fault,
        }
    }

    /// Another gateway to which the same has happened, of user space and the oracle alone.
    pub fn fork(&self) -> Sides {
        Sides {
            portable: self.portable.clone(),
            oracle: self.oracle.clone(),
            numbers: self.numbers.clone(),
            kernel: None,
            generation: self.generation.clone(),
            now: self.now,
            wire: None,
            fault: self.fault,
        }
    }

    /// From now on, frames that are to be flooded go through the kernel's ports for real, instead of a test run.
    pub fn go_live(&mut self) {
        self.wire = Some(Wire::open());
    }

    /// Whether the kernel is one of the sides.
    pub fn has_kernel(&self) -> bool {
        self.kernel.is_some()
    }

    /// Whether all copies of such frames have come out, and nothing else.
    ///
    /// # Errors
    /// What is wrong.
    pub fn compare_live(&self) -> Result<usize, String> {
        self.wire.as_ref().map_or(Ok(0), Wire::compare)
    }

    /// Puts a policy into force on all sides.
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
        // The kernel's clock has gone on as well.
        self.pass_time(1);
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

    /// Moves the clock on by so many ticks, on all sides but the kernel.
    pub fn pass_time(&mut self, ticks: u32) {
        self.now += ticks;
        self.portable.memory.now = self.now;
        self.oracle.set_clock(self.now.into());
    }

    /// From now on a host of a segment has as many established flows as it may: one that has any, for the kernel holds
    /// everybody who has opened one.
    pub fn hold(&mut self, segment: u16, mac: Mac) {
        // Where there is no such segment nobody is in it.
        let Some(number) = self.numbers.get(usize::from(segment)).copied() else {
            return;
        };
        if let Some(kernel) = &mut self.kernel {
            let idle = Idle {
                quota: 1,
                ..Idle::default()
            };
            kernel.dataplane.sweep(&idle).expect("can be swept");
        }
        let [a, b, c, d, e, f] = mac.0;
        let key = fdb_key(number, u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
        self.portable.memory.limits.entry(key).or_default().over = 1;
        self.oracle.set_replete(segment.into(), mac, true);
    }

    /// Has a frame judged on all sides. A port beyond the gateway's stands for an interface that is none.
    ///
    /// # Errors
    /// [`Difference`].
    pub fn judge(&mut self, port: u16, frame: &[u8]) -> Result<Said, Box<Difference>> {
        let live = self.will_flood(port, frame);
        let kernel = match (&mut self.wire, &mut self.kernel) {
            (Some(wire), _) if live => {
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
        // Nobody here looks at what was told of.
        self.portable.memory.events.clear();
        let portable = Said::portable(portable, &self.generation);
        let index = (port < PORTS).then_some(usize::from(port));
        let oracle = Said::oracle(self.oracle.judge(index, frame), &self.numbers);
        let kernel_agrees = kernel.as_ref().is_none_or(|kernel| kernel.agrees(&oracle));
        if let (true, Some(wire), Verdict::Flood { copies, .. }) =
            (live, &mut self.wire, &oracle.verdict)
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

    /// Whether a frame that comes next goes over the wire: only floods do, as user space sees it.
    fn will_flood(&self, port: u16, frame: &[u8]) -> bool {
        if self.wire.is_none() || port >= PORTS || frame.len() < SHORTEST {
            return false;
        }
        let judged = self.portable.clone().judge(port, frame);
        let said = Said::portable(judged, &self.generation);
        matches!(said.verdict, Verdict::Flood { .. })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kernel {
            Some(kernel) => writeln!(f, "  kernel:   {kernel}")?,
            None => writeln!(f, "  kernel:   not asked")?,
        }
        writeln!(f, "  portable: {}", self.portable)?;
        write!(f, "  oracle:   {}", self.oracle)
    }
}
