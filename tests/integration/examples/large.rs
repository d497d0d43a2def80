//! Measures each phase of applying a large policy: `cargo run --release -p cordon-integration --example large`.

#[path = "../../../control/compile/tests/common/large.rs"]
#[allow(dead_code)]
mod large;

use std::time::{Duration, Instant};

use cordon_compile::Compiled;
use cordon_kernel::{Dataplane, Options, Stager};
use cordon_policy::{Policy, Sources, from_sources};
use cordon_tables::{Change, PolicyTable};
use nix::time::{ClockId, clock_gettime};

/// The daemon's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn sources_of(devices: &str) -> Sources {
    let mut sources = sources(DEVICES, RULES);
    sources.devices = Some(format!("name,mac,ips,segment,profile\n{devices}\n"));
    sources
}

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

/// The resident memory of this process.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status can be read");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.expect("the kernel reports the memory").to_owned()
}

/// Changes the profile of one device at a time: compiles the change, writes it and puts it into force.
fn one_device(
    kernel: &mut Dataplane,
    stager: &mut Stager,
    (mut policy, mut compiled): (Policy, Compiled),
) {
    let today = "2026-10-01".parse().expect("the date is valid");
    let lines = large::large(DEVICES, RULES, "data-centre").devices;
    let mut before: Option<Change> = None;
    for number in [60_001, 20_002, 90_003] {
        let line = large::device(number, number % large::SEGMENTS, 7);
        let mut lines: Vec<&str> = lines.lines().collect();
        lines[number] = line.trim_end();
        let new = from_sources(&sources_of(&lines.join("\n")))
            .expect("the policy is valid")
            .policy;
        let rules = compiled.rules;
        let started = Instant::now();
        let updated = timed("one device: compile", || {
            cordon_compile::update(
                &mut compiled.basis,
                &compiled.generation,
                &policy,
                &new,
                today,
            )
            .expect("the update compiles")
        });
        let slot = kernel.control().expect("the control word can be read").slot ^ 1;
        timed("one device: write", || {
            for change in before.iter().chain([&updated.change]) {
                stager
                    .amend(slot, change, rules)
                    .expect("the change is written");
            }
        });
        timed("one device: flip", || {
            kernel.flip(0, rules).expect("the slot is switched")
        });
        println!(
            "one device: all {:.1} ms",
            started.elapsed().as_secs_f64() * 1000.0
        );
        before = Some(updated.change);
        compiled.generation = updated.generation;
        policy = new;
    }
}

const DEVICES: usize = 100_000;
const RULES: usize = 10_000;

fn main() {
    let pins = std::path::PathBuf::from(format!("/sys/fs/bpf/cordon-large-{}", std::process::id()));
    let sources = sources(DEVICES, RULES);
    let policy: Policy = timed("validate", || {
        from_sources(&sources).expect("the policy is valid").policy
    });
    let today = "2026-10-01".parse().expect("the date is valid");
    let compiled = timed("compile", || {
        cordon_compile::compile(&policy, today).expect("the policy compiles")
    });
    let PolicyTable { sets, rows } = &compiled.generation.policy;
    println!("{} pairs of classes, {} rows", sets.len(), rows.len());
    let (mut kernel, _) = Dataplane::open(&Options::new(&pins)).expect("the program loads");
    let mut stager = kernel.stager().expect("the tables can be opened");
    for _ in 0..2 {
        let slot = kernel.control().expect("the control word can be read").slot ^ 1;
        timed("write", || {
            stager
                .write(slot, &compiled.generation, compiled.rules)
                .expect("the tables are written")
        });
        timed("flip", || {
            kernel
                .flip(0, compiled.rules)
                .expect("the slot is switched")
        });
    }
    println!(
        "kernel: {:?}",
        kernel.table_bytes().expect("the kernel reports the sizes")
    );
    println!("this process: {}", resident());
    one_device(&mut kernel, &mut stager, (policy, compiled));
    let _ = std::fs::remove_dir_all(&pins);
}
