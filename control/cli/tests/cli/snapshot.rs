//! Compares output with snapshots.

use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "snapshots", name]
        .iter()
        .collect()
}

fn updating() -> bool {
    std::env::var_os("CORDON_UPDATE_SNAPSHOTS").is_some()
}

/// Compares a text with its snapshot.
pub fn text(name: &str, got: &str) {
    let path = path(&format!("{name}.txt"));
    if updating() {
        std::fs::write(&path, got).expect("can be written");
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        want == got,
        "{} differs; if the new output is right, run again with CORDON_UPDATE_SNAPSHOTS=1\n--- was\n{want}--- is\n{got}",
        path.display()
    );
}

/// A transcript with the list of drop reasons cut out, so that a new reason changes no snapshot.
pub fn without_reasons(transcript: &str) -> String {
    let mut listing = false;
    let mut kept = Vec::new();
    for line in transcript.lines() {
        let listed = line.contains("no-policy");
        if listed {
            kept.push("(the drop reasons)");
        }
        listing = listed || (listing && !line.is_empty());
        if !listing {
            kept.push(line);
        }
    }
    kept.join("\n") + "\n"
}

/// Compares a JSON document with its snapshot, ignoring the order of its fields.
pub fn json(name: &str, got: &str) {
    let path = path(&format!("{name}.json"));
    let got: serde_json::Value = serde_json::from_str(got).expect("it is one JSON document");
    if updating() {
        std::fs::write(&path, format!("{got:#}\n")).expect("can be written");
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    let want: serde_json::Value = serde_json::from_str(&want).unwrap_or_default();
    assert_eq!(
        want,
        got,
        "{} differs; if the new one is right, run again with CORDON_UPDATE_SNAPSHOTS=1",
        path.display()
    );
}
