//! Shared by the tests of the program in the kernel.

use std::path::PathBuf;
use std::process::Command;

use cordon_kernel::{Dataplane, Options};

/// The interfaces, by port number.
pub const PORTS: [&str; 3] = ["eth1", "eth2", "eth3"];

/// Runs `ip`.
pub fn ip(command: &str) {
    let status = Command::new("ip")
        .args(command.split(' '))
        .status()
        .expect("iproute2 is installed");
    assert!(status.success(), "ip {command}");
}

/// A pin directory that is removed when the test ends.
pub struct Pins(pub PathBuf);

impl Pins {
    pub fn new(name: &str) -> Pins {
        let path = format!("/sys/fs/bpf/cordon-test-{}-{name}", std::process::id());
        Pins(path.into())
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a test in a new network namespace with [`PORTS`], each one end of a veth pair, on one processor.
pub fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("the test runs as root");
        for port in PORTS {
            ip(&format!("link add {port} type veth peer name {port}-peer"));
            // Without IPv6 addresses the kernel sends no frames of its own, which would be counted with the test's.
            for end in [port, &format!("{port}-peer")] {
                ip(&format!("link set {end} addrgenmode none"));
            }
            ip(&format!("link set {port}-peer up"));
        }
        let mut one = nix::sched::CpuSet::new();
        one.set(0).expect("there is a first processor");
        nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &one)
            .expect("can be pinned to it");
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// The data plane on all ports, with tracing.
pub fn traced(pins: &Pins) -> Dataplane {
    traced_with(pins, Options::new(&pins.0).flows4)
}

/// As [`traced`], with a table of so many IPv4 flows.
pub fn traced_with(pins: &Pins, flows4: u32) -> Dataplane {
    let options = Options {
        trace: true,
        flows4,
        ..Options::new(&pins.0)
    };
    let (mut kernel, _) = Dataplane::open(&options).expect("loads");
    for (port, nic) in PORTS.into_iter().enumerate() {
        kernel.attach(port as u16, nic).expect("attaches");
    }
    kernel
}
