//! The only process of the virtual machine: attaches the XDP program to veth interfaces, runs the scenario on it,
//! prints the outcome of each frame, and turns the machine off.

mod netlink;

use std::convert::Infallible;
use std::fs::{self, File};

use anyhow::{Context, Result};
use cordon_compile::Compiled;
use cordon_kernel::{Dataplane, Options};
use cordon_tables::Generation;
use cordon_verdict::Reason;
use cordon_verdict::abi::location_port;
use cordon_vm::scenario::{self, Gateway, NICS, Outcome};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::reboot::{RebootMode, reboot};
use nix::unistd::Pid;

const XDP_DROP: u32 = 1;
/// The frame is passed to the tc program, which copies it.
const XDP_PASS: u32 = 2;
const XDP_REDIRECT: u32 = 4;

fn main() -> Result<Infallible> {
    match run() {
        Ok(()) => println!("{}", cordon_vm::DONE),
        Err(error) => println!("failed: {error:#}"),
    }
    // A reboot, not a power-off: QEMU ends at a reboot even if the kernel does not know how to power off.
    Ok(reboot(RebootMode::RB_AUTOBOOT)?)
}

fn run() -> Result<()> {
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys")] {
        mount(
            Some(kind),
            place,
            Some(kind),
            MsFlags::empty(),
            None::<&str>,
        )
        .with_context(|| format!("mounting {place}"))?;
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    println!("{}{}", cordon_vm::KERNEL, release.trim());
    for name in cordon_vm::MODULES {
        let module = File::open(format!("/{name}"))?;
        finit_module(&module, c"", ModuleInitFlags::empty())
            .with_context(|| format!("loading {name}"))?;
    }
    for nic in NICS {
        netlink::veth(nic, &format!("{nic}-peer"))?;
    }
    // The trace of a frame is per CPU: read it on the CPU that judged the frame.
    let mut one = CpuSet::new();
    one.set(0)?;
    sched_setaffinity(Pid::from_raw(0), &one)?;

    let options = Options {
        trace: true,
        ..Options::new("/sys/fs/bpf/cordon")
    };
    let (mut dataplane, _) = Dataplane::open(&options)?;
    for (port, nic) in (0..).zip(NICS) {
        dataplane.attach(port, nic)?;
    }
    let mut gateway = Kernel {
        dataplane,
        tables: Generation::default(),
    };
    for record in scenario::run(&mut gateway)? {
        println!("{}{}", cordon_vm::VERDICT, record.line);
    }
    Ok(())
}

struct Kernel {
    dataplane: Dataplane,
    /// The tables of the policy: they map attachments to ports.
    tables: Generation,
}

impl Gateway for Kernel {
    fn install(&mut self, policy: Compiled) -> Result<()> {
        self.dataplane
            .install(&policy.generation, policy.rules, 0)?;
        self.tables = policy.generation;
        Ok(())
    }

    fn set_posture(&mut self, posture: u8) -> Result<()> {
        self.dataplane.set_posture(posture)?;
        Ok(())
    }

    fn judge(&mut self, port: u16, frame: &[u8]) -> Result<Outcome> {
        let run = self.dataplane.run(port, frame)?;
        Ok(match (run.action, run.trace.reason) {
            (XDP_DROP, number @ 1..) => {
                let reason = Reason::from_number(number).context("an unknown reason")?;
                Outcome::Dropped(reason.name())
            }
            (XDP_REDIRECT, 0) if run.trace.flood > 0 => Outcome::Flooded,
            (XDP_PASS, 0) if run.copies.is_some() => Outcome::Flooded,
            (XDP_REDIRECT, 0) => Outcome::Forwarded {
                port: location_port(self.tables.location(run.trace.egress)),
                frame: run.frame,
            },
            (action, reason) => {
                anyhow::bail!("the program returned {action} with reason {reason}")
            }
        })
    }
}
