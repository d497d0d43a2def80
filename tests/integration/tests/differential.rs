//! A million frames over generated policies through the XDP program, through the same verdict in user space, and
//! through the oracle, which agree on every one.
//!
//! `CORDON_SEED` and `CORDON_FRAMES` rerun and scale it.

use cordon_integration::differential::{
    Difference, Kernel, Scenario, Settings, Sides, Step, Tally, in_namespace, shrink,
};

#[test]
fn kernel_user_space_and_oracle_agree() {
    let settings = Settings::from_environment();
    println!(
        "CORDON_SEED={} CORDON_FRAMES={}",
        settings.seed, settings.frames
    );
    in_namespace(move || {
        let mut sides = Sides::new(Some(Kernel::open("differential")), None);
        let mut scenario = Scenario::new(settings);
        let mut tally = Tally::default();
        if let Err((number, difference)) = scenario.run(&mut sides, &mut tally) {
            panic!(
                "{}",
                report(settings, number, &difference, &scenario.history)
            );
        }
        println!("{tally}");
    });
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
            out += "\nwhat led to it, the last steps:\n";
            let (first, rest) = history.split_at(1.min(history.len()));
            for step in first.iter().chain(&rest[rest.len().saturating_sub(30)..]) {
                out += &step.to_string();
            }
        }
    }
    out
}
