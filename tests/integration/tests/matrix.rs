//! The test matrix: the XDP program, user space and the oracle judge every cell of `src/matrix/table.rs`.

use cordon_integration::differential::{Kernel, Sides, in_namespace};
use cordon_integration::matrix::{GUARDS, MATRIX, Tables, run};

const TABLES: Tables = Tables {
    rows: MATRIX,
    guards: GUARDS,
};

/// How many wrong cells a failure prints.
const SHOWN: usize = 20;

fn shown(all: &[String]) -> String {
    let first: Vec<&str> = all.iter().take(SHOWN).map(String::as_str).collect();
    format!("{} in all\n{}", all.len(), first.join("\n"))
}

#[test]
fn every_cell_matches_the_table() {
    in_namespace(|| {
        let mut sides = Sides::new(Some(Kernel::open("matrix")), None);
        let outcome = run(&mut sides, TABLES);
        println!("{outcome}");
        assert!(outcome.wrong.is_empty(), "{}", shown(&outcome.wrong));
        // A cell must not pass with any other entry in the table.
        assert!(
            outcome.ambiguous.is_empty(),
            "{}",
            shown(&outcome.ambiguous)
        );
        assert!(outcome.count() > 10_000, "cells are missing");
    });
}

#[test]
fn a_wrong_cell_in_the_table_is_found() {
    let mut rows = MATRIX.to_vec();
    // Allowed TCP to the wider network, at contain.
    assert_eq!(rows[0].cells[0], "aapppp");
    rows[0].cells[0] = "aaappp";
    let tables = Tables {
        rows: &rows,
        ..TABLES
    };
    let outcome = run(&mut Sides::new(None, None), tables);
    // Five kinds of attachment, two IP versions.
    assert_eq!(outcome.wrong.len(), 10, "{}", shown(&outcome.wrong));
    for wrong in &outcome.wrong {
        assert!(wrong.starts_with("Tcp(Open), out, leg 1"), "{wrong}");
        assert!(wrong.contains(", contain, "), "{wrong}");
    }
}
