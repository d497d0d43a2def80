//! How much data a host can hide in the frames that leave a closed site. The measured table is committed beside the code:
//! `CORDON_UPDATE_FREE_BITS=1` writes it again; read the difference.

use std::fs;
use std::path::Path;

use cordon_integration::properties::free_bits::measure;
use cordon_policy::Posture;

/// Bits a second that a listed device may hide, from contain on.
const MOST: f64 = 64.0;

#[test]
fn a_closed_site_leaves_few_bits_free() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/properties/free_bits.txt");
    let measured = measure();
    println!("{}", measured.table);
    if std::env::var_os("CORDON_UPDATE_FREE_BITS").is_some() {
        fs::write(&path, &measured.table).expect("the table can be written");
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    let changed: Vec<_> = measured
        .table
        .lines()
        .filter(|line| !before.lines().any(|other| other == *line))
        .collect();
    assert!(
        before == measured.table,
        "differs from {}:\n{}",
        path.display(),
        changed.join("\n")
    );
    for (sender, posture, bits) in &measured.sums {
        let most = match sender.listed {
            _ if *posture < Posture::Contain => continue,
            true => MOST,
            false => 0.0,
        };
        assert!(
            *bits <= most,
            "{} at {posture}: {bits:.1} bits a second",
            sender.name
        );
    }
}
