//! The XDP program on four ports in a network namespace of its own.

use std::path::PathBuf;
use std::process::Command;

use cordon_kernel::{Dataplane, Opened, Options};
use cordon_policy::Posture;
use cordon_portable::Generation;

use super::said::Said;

/// Ports `p0` to `p14`, as many as a gateway has, each a veth whose other end is `p<i>-peer`.
pub const PORTS: u16 = 15;

/// A frame that the kernel does not take for a test run: `BPF_PROG_TEST_RUN` wants an Ethernet header.
const SHORTEST: usize = 14;

/// The program, loaded to trace.
pub struct Kernel {
    /// The data plane.
    pub dataplane: Dataplane,
    generation: Generation,
    stranger: u32,
    pins: PathBuf,
}

/// Runs a program to its end.
pub(super) fn run(program: &str, arguments: &str) {
    let status = Command::new(program).args(arguments.split(' ')).status();
    let status = status.unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
    assert!(status.success(), "{program} {arguments}");
}

/// Runs in a network namespace of its own, which goes with the thread, on one processor: what the program writes
/// down is read on the processor it ran on.
pub fn in_namespace<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new()
        .name("namespace".to_owned())
        .spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
                .expect("the test runs as root");
            // The kernel's own chatter would be judged between the test's frames.
            std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")
                .expect("is this namespace's");
            for port in 0..PORTS {
                run(
                    "ip",
                    &format!("link add p{port} type veth peer name p{port}-peer"),
                );
                run("ip", &format!("link set p{port}-peer up"));
            }
            let here = nix::sched::sched_getcpu().expect("is on one");
            let mut one = nix::sched::CpuSet::new();
            one.set(here).expect("is a processor");
            nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &one)
                .expect("may be pinned to it");
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
        let stranger = nix::net::if_::if_nametoindex("p0-peer").expect("is there");
        Kernel {
            dataplane,
            generation: Generation::default(),
            stranger,
            pins,
        }
    }

    /// As [`super::Sides::install`].
    pub fn install(&mut self, generation: &Generation, rules: usize, posture: Posture) {
        self.generation = generation.clone();
        self.dataplane
            .install(generation, rules, posture as u8)
            .expect("the kernel takes the policy");
    }

    /// As [`super::Sides::set_posture`].
    pub fn set_posture(&mut self, posture: Posture) {
        self.dataplane
            .set_posture(posture as u8)
            .expect("the kernel takes the posture");
    }

    /// What the kernel says of a frame, if it takes it for a test run. A port that is none stands for an interface
    /// that is none.
    pub fn judge(&mut self, port: u16, frame: &[u8]) -> Option<Said> {
        if frame.len() < SHORTEST {
            return None;
        }
        let run = match port < PORTS {
            true => self.dataplane.run(port, frame),
            false => self.dataplane.run_on(self.stranger, frame),
        };
        let run = run.expect("the kernel runs the program");
        Some(Said::kernel(run, &self.generation))
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.pins);
    }
}
