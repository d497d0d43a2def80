//! The XDP program on veth ports in its own network namespace.

use std::path::PathBuf;
use std::process::Command;

use cordon_kernel::{Dataplane, Opened, Options};
use cordon_policy::Posture;
use cordon_tables::Generation;

use super::decision::Decision;

/// The number of ports: `p0` to `p14`, the most that a gateway has, each a veth whose other end is `p<i>-peer`.
pub const PORTS: u16 = 15;

/// The shortest frame that `BPF_PROG_TEST_RUN` accepts: an Ethernet header.
const SHORTEST: usize = 14;

/// The program, loaded with tracing.
pub struct Kernel {
    /// The data plane.
    pub dataplane: Dataplane,
    generation: Generation,
    /// The index of an interface that is not a port.
    other_interface: u32,
    pins: PathBuf,
}

/// Runs a program to its end.
pub(super) fn run(program: &str, arguments: &str) {
    let status = Command::new(program).args(arguments.split(' ')).status();
    let status = status.unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
    assert!(status.success(), "{program} {arguments}");
}

/// Runs a test in a thread with its own network namespace, pinned to one CPU: the trace is read on the CPU that the
/// program ran on.
pub fn in_namespace<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new()
        .name("namespace".to_owned())
        .spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
                .expect("the test runs as root");
            // Otherwise the program would also judge the kernel's own router solicitations and MLD reports.
            std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")
                .expect("IPv6 can be disabled in the namespace");
            for port in 0..PORTS {
                run(
                    "ip",
                    &format!("link add p{port} type veth peer name p{port}-peer"),
                );
                run("ip", &format!("link set p{port}-peer up"));
            }
            let here = nix::sched::sched_getcpu().expect("the thread runs on a CPU");
            let mut cpus = nix::sched::CpuSet::new();
            cpus.set(here).expect("the CPU number is valid");
            nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &cpus)
                .expect("the thread can be pinned");
            test()
        })
        .expect("a thread can be started");
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

impl Kernel {
    /// Loads the program and attaches it to all ports of this namespace.
    pub fn open(name: &str) -> Kernel {
        let pins: PathBuf = format!("/sys/fs/bpf/cordon-test-{}-{name}", std::process::id()).into();
        let options = Options {
            trace: true,
            ..Options::new(&pins)
        };
        let (mut dataplane, opened) = Dataplane::open(&options).expect("the program loads");
        assert_eq!(opened, Opened::New);
        for port in 0..PORTS {
            dataplane
                .attach(port, &format!("p{port}"))
                .expect("attaches in driver mode");
        }
        let other_interface = nix::net::if_::if_nametoindex("p0-peer").expect("p0-peer exists");
        Kernel {
            dataplane,
            generation: Generation::default(),
            other_interface,
            pins,
        }
    }

    /// As [`super::Sides::install`].
    pub fn install(&mut self, generation: &Generation, rules: usize, posture: Posture) {
        self.generation = generation.clone();
        self.dataplane
            .install(generation, rules, posture as u8)
            .expect("the kernel accepts the policy");
    }

    /// As [`super::Sides::set_posture`].
    pub fn set_posture(&mut self, posture: Posture) {
        self.dataplane
            .set_posture(posture as u8)
            .expect("the kernel accepts the posture");
    }

    /// The kernel's decision on a frame; none if it is too short for a test run. A port number from [`PORTS`] on
    /// stands for an interface that is not a port.
    pub fn judge(&mut self, port: u16, frame: &[u8]) -> Option<Decision> {
        if frame.len() < SHORTEST {
            return None;
        }
        let run = match port < PORTS {
            true => self.dataplane.run(port, frame),
            false => self.dataplane.run_on(self.other_interface, frame),
        };
        let run = run.expect("the kernel runs the program");
        Some(Decision::kernel(run, &self.generation))
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.pins);
    }
}
