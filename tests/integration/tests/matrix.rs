//! The test matrix: every cell of `src/matrix/table.rs` through the XDP program, user space and the oracle.

use cordon_integration::differential::{Kernel, Sides, in_namespace};
use cordon_integration::matrix::{GUARDS, MATRIX, Tables, run};

const TABLES: Tables = Tables {
    rows: MATRIX,
    guards: GUARDS,
};

/// So many are enough to see what is wrong.
const SHOWN: usize = 20;

fn shown(all: &[String]) -> String {
    let first: Vec<&str> = all.iter().take(SHOWN).map(String::as_str).collect();
    format!("{} in all\n{}", all.len(), first.join("\n"))
}

#[test]
fn every_cell_is_as_the_table_says() {
    in_namespace(|| {
        let mut sides = Sides::new(Some(Kernel::open("matrix")), None);
        let outcome = run(&mut sides, TABLES);
        println!("{outcome}");
        assert!(outcome.wrong.is_empty(), "{}", shown(&outcome.wrong));
        // Whatever else the table might say of a cell, it would not have passed.
        assert!(outcome.blind.is_empty(), "{}", shown(&outcome.blind));
        assert!(outcome.count() > 10_000, "cells are missing");
    });
}

#[test]
fn a_cell_that_says_something_else_is_found() {
    let flip = |cells: &mut &'static str, to: &'static str| *cells = to;
    let mut rows = MATRIX.to_vec();
    // TCP that is open, to the wider network, at contain.
    assert_eq!(rows[0].cells[0], "aapppp");
    flip(&mut rows[0].cells[0], "aaappp");
    let tables = Tables {
        rows: &rows,
        ..TABLES
    };
    let outcome = run(&mut Sides::new(None, None), tables);
    // Five attachment kinds, two versions.
    assert_eq!(outcome.wrong.len(), 10, "{}", shown(&outcome.wrong));
    for wrong in &outcome.wrong {
        assert!(wrong.starts_with("Tcp(Open), out, leg 1"), "{wrong}");
        assert!(wrong.contains(", contain, "), "{wrong}");
    }
}
