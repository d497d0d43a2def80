//! The XDP program, the same verdict in user space, and the oracle judge a million frames over generated policies, and
//! must agree on every one.
//!
//! `CORDON_SEED` and `CORDON_FRAMES` repeat and scale a run.

use cordon_integration::differential::{
    BACK, Difference, FAULTS, Fault, Kernel, STITCHED, Scenario, Settings, Sides, Step, Tally,
    in_namespace, shrink,
};

#[test]
fn kernel_user_space_and_oracle_agree() {
    let settings = Settings::from_environment();
    in_namespace(move || {
        let mut sides = Sides::new(Some(Kernel::open("differential")), None);
        let tally = agree(settings, &mut sides);
        println!("{tally}");
        // A hundred of a million frames.
        let gaps = tally.gaps(settings.frames / 10_000);
        assert!(gaps.is_empty(), "too rare, or impossible: {gaps:#?}");
    });
}

/// Without the kernel a policy is quick to install: many more policies, with fewer frames each.
#[test]
fn user_space_and_oracle_agree_on_many_policies() {
    let settings = Settings::from_environment();
    let settings = Settings {
        frames: settings.frames / 2,
        per_policy: 250,
        timed: true,
        ..settings
    };
    let tally = agree(settings, &mut Sides::new(None, None));
    println!("{tally}");
    let gaps = tally.gaps(settings.frames / 10_000);
    assert!(gaps.is_empty(), "too rare, or impossible: {gaps:#?}");
}

/// Copies of a flooded frame are made on egress, which a test run does not reach: here these frames go through the
/// ports.
#[test]
fn copies_of_flooded_frames_on_the_wire_match_the_oracle() {
    let settings = Settings {
        frames: 20_000,
        per_policy: 500,
        ..Settings::from_environment()
    };
    in_namespace(move || {
        let mut sides = Sides::new(Some(Kernel::open("flooded")), None);
        sides.use_wire();
        let tally = agree(settings, &mut sides);
        let copies = sides
            .compare_wire()
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        println!("{copies} copies came out");
        assert!(copies > 500, "only {copies} copies");
        // Copies that the program at tc makes one by one.
        for egress in [STITCHED, BACK] {
            let count = tally.egresses.get(egress).copied().unwrap_or_default();
            assert!(count > 50, "{egress}: only {count} frames");
        }
    });
}

/// The number of frames within which every fault must show.
const ENOUGH: usize = 1_000_000;

#[test]
fn every_fault_is_found() {
    let mut missed = Vec::new();
    for fault in FAULTS {
        match found(*fault, None) {
            Some(number) => println!("{:<50} frame {number}", fault.name),
            None => missed.push(fault.name),
        }
    }
    assert!(
        missed.is_empty(),
        "not found in {ENOUGH} frames: {missed:#?}"
    );
}

#[test]
fn faults_in_the_kernels_tables_are_found() {
    in_namespace(|| {
        let chosen = [
            "admit: an attachment",
            "identify: a device",
            "authorise: deny and allow",
        ];
        for (index, start) in chosen.into_iter().enumerate() {
            let fault = FAULTS.iter().find(|fault| fault.name.starts_with(start));
            let fault = fault.expect("there is such a fault");
            let kernel = Kernel::open(&format!("fault-{index}"));
            let number = found(*fault, Some(kernel)).expect(fault.name);
            println!("{:<50} frame {number}", fault.name);
        }
    });
}

#[test]
fn faults_in_flooded_copies_are_found_on_the_wire() {
    for name in ["forward: copies have", "forward: a stitched VLAN"] {
        check_found_on_the_wire(name);
    }
}

fn check_found_on_the_wire(name: &'static str) {
    let fault = FAULTS.iter().find(|fault| fault.name.starts_with(name));
    let fault = *fault.expect("there is such a fault");
    in_namespace(move || {
        let settings = Settings {
            seed: 1,
            frames: 3000,
            per_policy: 300,
            timed: false,
        };
        let mut sides = Sides::new(
            Some(Kernel::open(&name.replace([' ', ':'], "-"))),
            Some(fault),
        );
        sides.use_wire();
        // It ends where the fault shows in a frame that is too short for the wire.
        let _ = Scenario::new(settings).run(&mut sides, &mut Tally::default());
        let wrong = sides.compare_wire().expect_err("the copies differ");
        println!("{wrong}");
    });
}

/// The number of the frame at which a fault shows, if it does.
fn found(fault: Fault, kernel: Option<Kernel>) -> Option<usize> {
    let settings = Settings {
        seed: 1,
        frames: ENOUGH,
        per_policy: 500,
        timed: kernel.is_none(),
    };
    let mut sides = Sides::new(kernel, Some(fault));
    let result = Scenario::new(settings).run(&mut sides, &mut Tally::default());
    result.err().map(|(number, _)| number)
}

fn agree(settings: Settings, sides: &mut Sides) -> Tally {
    println!("CORDON_SEED={} frames={}", settings.seed, settings.frames);
    let mut scenario = Scenario::new(settings);
    let mut tally = Tally::default();
    if let Err((number, difference)) = scenario.run(sides, &mut tally) {
        panic!(
            "{}",
            report(settings, number, &difference, &scenario.history)
        );
    }
    tally
}

fn report(settings: Settings, number: usize, difference: &Difference, history: &[Step]) -> String {
    let mut out = format!(
        "frame {number} of CORDON_SEED={} is judged differently\n{difference}\n",
        settings.seed
    );
    match shrink(history) {
        Some((steps, difference)) => {
            out += &format!("\nreproduced in {} steps:\n", steps.len());
            for step in &steps {
                out += &step.to_string();
            }
            out += &format!("{difference}\n");
        }
        None => {
            out +=
                "\nthe policy, and the last steps that concern the last frame's MAC addresses:\n";
            let (first, rest) = history.split_at(1.min(history.len()));
            let related: Vec<&Step> = rest.iter().filter(|step| is_related(step, rest)).collect();
            let last = &related[related.len().saturating_sub(30)..];
            for step in first.iter().chain(last.iter().copied()) {
                out += &step.to_string();
            }
        }
    }
    out
}

/// Whether a step may affect the last frame: every posture does, and frames from or to one of its MAC addresses.
fn is_related(step: &Step, history: &[Step]) -> bool {
    let macs = |frame: &[u8]| [0, 6].map(|at| frame.get(at..at + 6).map(<[u8]>::to_vec));
    match (step, history.last()) {
        (Step::Frame(_, frame), Some(Step::Frame(_, last))) => {
            let last = macs(last);
            macs(frame).iter().any(|mac| last.contains(mac))
        }
        _ => true,
    }
}
