//! The three sides, kept in step.

use std::fmt;

use cordon_compile::{Compiled, compile};
use cordon_oracle::Oracle;
use cordon_policy::{Date, Policy, Posture};
use cordon_portable::Portable;

use super::faults::Fault;
use super::kernel::{Kernel, PORTS};
use super::said::Said;

/// The day on which all policies are compiled.
pub(super) fn today() -> Date {
    Date::new(2026, 6, 15).expect("is a day")
}

/// Who says what.
pub struct Sides {
    portable: Portable,
    oracle: Oracle,
    kernel: Option<Kernel>,
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
    /// Without the kernel, two sides are left. With a fault, user space is wrong on purpose.
    pub fn new(kernel: Option<Kernel>, fault: Option<Fault>) -> Sides {
        Sides {
            portable: Portable::default(),
            oracle: Oracle::new(today()),
            kernel,
            fault,
        }
    }

    /// Puts a policy into force on all sides.
    pub fn install(&mut self, policy: &Policy, posture: Posture) {
        let compiled = compile(policy, today());
        let Compiled {
            mut generation,
            rules,
            ..
        } = compiled.unwrap_or_else(|rejected| panic!("does not compile: {rejected}"));
        if let Some(kernel) = &mut self.kernel {
            kernel.install(&generation, rules, posture);
        }
        if let Some(fault) = &self.fault {
            (fault.generation)(&mut generation);
        }
        self.portable.install(generation, posture as u8);
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

    /// Has a frame judged on all sides. A port beyond the gateway's stands for an interface that is none.
    ///
    /// # Errors
    /// [`Difference`].
    pub fn judge(&mut self, port: u16, frame: &[u8]) -> Result<Said, Box<Difference>> {
        let kernel = self
            .kernel
            .as_mut()
            .and_then(|kernel| kernel.judge(port, frame));
        let portable = match &self.fault {
            None => self.portable.judge(port, frame),
            Some(fault) => {
                (fault.before)(&mut self.portable);
                self.portable.judge(port, &(fault.frame)(frame))
            }
        };
        // Nobody here looks at what was told of.
        self.portable.memory.events.clear();
        let portable = Said::portable(portable);
        let index = (port < PORTS).then_some(usize::from(port));
        let oracle = Said::oracle(self.oracle.judge(index, frame));
        let kernel_agrees = kernel.as_ref().is_none_or(|kernel| kernel.agrees(&oracle));
        if portable.agrees(&oracle) && kernel_agrees {
            return Ok(oracle);
        }
        Err(Box::new(Difference {
            kernel,
            portable,
            oracle,
        }))
    }

    /// User space, open to inspection.
    pub fn portable(&self) -> &Portable {
        &self.portable
    }

    /// The kernel, if it is asked.
    pub fn kernel(&self) -> Option<&Kernel> {
        self.kernel.as_ref()
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
