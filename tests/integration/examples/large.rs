//! How long a large policy takes, phase by phase: `cargo run --release -p cordon-integration --example large`.

#[path = "../../../control/compile/tests/common/large.rs"]
#[allow(dead_code)]
mod large;

use std::time::{Duration, Instant};

use cordon_kernel::{Dataplane, Options};
use cordon_policy::{Policy, Sources, from_sources};
use nix::time::{ClockId, clock_gettime};

fn sources(devices: usize, rules: usize) -> Sources {
    let large = large::large(devices, rules, "data-centre");
    Sources {
        site: format!(
            "site: test\nports: {{access0: {{device: eth1}}, core0: {{device: eth2, uplink: true}}}}\n{}",
            large.site
        ),
        policy: Some(large.policy),
        devices: Some(format!("name,mac,ips,segment,profile\n{}", large.devices)),
    }
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let busy =
        || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
    let (started, before) = (Instant::now(), busy());
    let done = work();
    println!(
        "{what}: {:.1} ms, {:.1} of them busy",
        started.elapsed().as_secs_f64() * 1000.0,
        (busy() - before).as_secs_f64() * 1000.0
    );
    done
}

fn main() {
    let pins = std::path::PathBuf::from(format!("/sys/fs/bpf/cordon-large-{}", std::process::id()));
    let sources = sources(100_000, 10_000);
    let policy: Policy = timed("validate", || {
        from_sources(&sources).expect("is valid").policy
    });
    let today = "2026-10-01".parse().expect("is a day");
    let compiled = timed("compile", || {
        cordon_compile::compile(&policy, today).expect("compiles")
    });
    println!("{} rows", compiled.generation.policy.len());
    let (mut kernel, _) = Dataplane::open(&Options::new(&pins)).expect("loads");
    let mut stager = kernel.stager().expect("opens");
    for _ in 0..2 {
        let slot = kernel.control().expect("answers").slot ^ 1;
        timed("write", || {
            stager
                .write(slot, &compiled.generation, compiled.rules)
                .expect("is written")
        });
        timed("flip", || kernel.flip(0, compiled.rules).expect("flips"));
    }
    let _ = std::fs::remove_dir_all(&pins);
}
