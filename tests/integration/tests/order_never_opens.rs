//! A stricter posture never lets pass a frame that a laxer one drops, after the same frames.
//!
//! `CORDON_SEED` and `CORDON_RUNS` repeat and scale a run.

use cordon_integration::properties::{order, setting};

#[test]
fn an_order_never_opens() {
    let seed = setting("CORDON_SEED", 20_261_130);
    let frames = setting("CORDON_RUNS", 200_000) as usize;
    let tally = order::check(seed, frames).unwrap_or_else(|wrong| panic!("{wrong}"));
    println!("CORDON_SEED={seed} {tally:?}");
    assert!(tally.passed > frames / 50, "few frames passed: {tally:?}");
    assert!(
        tally.closed > frames / 50,
        "few frames were closed: {tally:?}"
    );
}
