//! A record that is another needs another version, or an upgrade reads the tables of the program before it as what they are
//! not.

use std::fs;
use std::hash::Hasher;
use std::path::Path;

use cordon_verdict::abi::VERSION;

/// Of every version, what the records come to: all of `src/abi`, but for comments.
const PINNED: (u32, u64) = (6, 0xace1_8eeb_d610_25bd);

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
        // Tests at the end of a file are not what is agreed on.
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
        "what the kernel and user space agree on is another: raise `VERSION` in src/abi/mod.rs, and pin {:#x} here. If what \
         is in the tables means exactly what it did (a name, a function's body), pin the number alone.",
        fnv.finish()
    );
}
