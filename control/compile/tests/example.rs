//! The example policy.

use std::path::Path;

use cordon_policy::{Date, load};

#[test]
fn it_compiles() {
    let directory =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy/examples/manchester-memorial");
    let policy = load(&directory).expect("is right").policy;
    let today = Date::new(2026, 10, 1).expect("is a day");
    let compiled = cordon_compile::compile(&policy, today).expect("keeps its invariants");
    assert_eq!(compiled.rules, 3 + policy.rules.len());
    println!(
        "{} classes, {} rows",
        compiled.classes,
        compiled.generation.policy.len()
    );
}
