//! A million frames over generated policies through the XDP program, through the same verdict in user space, and
//! through the oracle, which agree on every one.
//!
//! `CORDON_SEED` and `CORDON_FRAMES` rerun and scale it.

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
        // Of a million frames a hundred.
        let amiss = tally.amiss(settings.frames / 10_000);
        assert!(
            amiss.is_empty(),
            "too seldom to prove anything, or not at all possible: {amiss:#?}"
        );
    });
}

/// Without the kernel a policy costs little: many more of them, each with fewer frames.
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
    let amiss = tally.amiss(settings.frames / 10_000);
    assert!(amiss.is_empty(), "too seldom: {amiss:#?}");
}

/// The copies of a flooded frame are made on the way out, where a test run does not come to: frames that are to be
/// flooded go through the ports for real.
#[test]
fn what_is_flooded_comes_out_as_the_oracle_says() {
    let settings = Settings {
        frames: 20_000,
        per_policy: 500,
        ..Settings::from_environment()
    };
    in_namespace(move || {
        let mut sides = Sides::new(Some(Kernel::open("flooded")), None);
        sides.go_live();
        let tally = agree(settings, &mut sides);
        let copies = sides
            .compare_live()
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        println!("{copies} copies came out");
        assert!(copies > 500, "{copies} copies are too few to tell");
        // Made one by one, behind the XDP program.
        for way in [STITCHED, BACK] {
            let count = tally.egresses.get(way).copied().unwrap_or_default();
            assert!(count > 50, "{way}: {count} are too few to tell");
        }
    });
}

/// So many are enough to see a fault.
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
fn faults_in_the_tables_of_the_kernel_are_found() {
    in_namespace(|| {
        let chosen = [
            "admit: an attachment",
            "identify: a device",
            "authorise: what is denied",
        ];
        for (index, start) in chosen.into_iter().enumerate() {
            let fault = FAULTS.iter().find(|fault| fault.name.starts_with(start));
            let fault = fault.expect("is there");
            let kernel = Kernel::open(&format!("fault-{index}"));
            let number = found(*fault, Some(kernel)).expect(fault.name);
            println!("{:<50} frame {number}", fault.name);
        }
    });
}

#[test]
fn a_fault_in_what_comes_out_is_found() {
    for name in ["forward: copies have", "forward: a stitched VLAN"] {
        wrong_on_the_wire(name);
    }
}

fn wrong_on_the_wire(name: &'static str) {
    let fault = FAULTS.iter().find(|fault| fault.name.starts_with(name));
    let fault = *fault.expect("is there");
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
        sides.go_live();
        agree(settings, &mut sides);
        let wrong = sides.compare_live().expect_err("other tags come out");
        println!("{wrong}");
    });
}

/// The number of the frame at which a fault shows.
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
            out += &format!("\nthe same in {} steps:\n", steps.len());
            for step in &steps {
                out += &step.to_string();
            }
            out += &format!("{difference}\n");
        }
        None => {
            out += "\nwhat led to it: the policy, and the last steps that share an end with the last frame:\n";
            let (first, rest) = history.split_at(1.min(history.len()));
            let near: Vec<&Step> = rest.iter().filter(|step| is_near(step, rest)).collect();
            let last = &near[near.len().saturating_sub(30)..];
            for step in first.iter().chain(last.iter().copied()) {
                out += &step.to_string();
            }
        }
    }
    out
}

/// Whether a step bears on the last frame: all postures do, and frames from or to one of its MAC addresses.
fn is_near(step: &Step, history: &[Step]) -> bool {
    let macs = |frame: &[u8]| [0, 6].map(|at| frame.get(at..at + 6).map(<[u8]>::to_vec));
    match (step, history.last()) {
        (Step::Frame(_, frame), Some(Step::Frame(_, last))) => {
            let last = macs(last);
            macs(frame).iter().any(|mac| last.contains(mac))
        }
        _ => true,
    }
}
