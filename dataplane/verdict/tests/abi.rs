//! A changed record needs a new ABI version. Otherwise an upgraded program would misread the tables of the one before
//! it.

use std::fs;
use std::hash::Hasher;
use std::path::Path;

use cordon_verdict::abi::VERSION;

/// The ABI version, and the hash of the source of its records: all files in `src/abi`, without comments and tests.
const PINNED: (u32, u64) = (8, 0xeda2_7d2a_936a_8476);

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[test]
fn records_do_not_change_within_a_version() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/abi");
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("is there")
        .map(|entry| entry.expect("is read").path())
        .collect();
    files.sort();
    let mut fnv = Fnv(0xcbf2_9ce4_8422_2325);
    for file in &files {
        let text = fs::read_to_string(file).expect("is text");
        // Tests at the end of a file are not part of the ABI.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with("//")) {
            fnv.write(line.as_bytes());
        }
    }
    let now = (VERSION, fnv.finish());
    assert_eq!(
        now,
        PINNED,
        "the source of the ABI has changed: raise `VERSION` in src/abi/mod.rs, and pin {:#x} here. If the content of the tables \
         keeps its meaning (a renamed item, a function's body), pin the hash alone.",
        fnv.finish()
    );
}
