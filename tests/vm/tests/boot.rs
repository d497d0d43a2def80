//! Boots a stock Debian kernel, and compares the verdicts of its XDP program with those of user space.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cordon_portable::Portable;
use cordon_vm::initramfs::Initramfs;
use cordon_vm::{DONE, KERNEL, MODULES, VERDICT, machine, program, scenario};

/// Time limit of the machine. It takes less than 30 s on an idle machine; emulation and the verifier are slow on a busy
/// one.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A file that `cargo xtask setup` has fetched.
fn fetched(directory: &Path, name: &str) -> Vec<u8> {
    let file = directory.join(name);
    fs::read(&file).unwrap_or_else(|error| {
        panic!(
            "{}: {error}: run `cargo xtask setup`, which fetches it",
            file.display()
        )
    })
}

#[test]
fn a_stock_kernel_decides_as_user_space_does() {
    let mut portable = Portable::default();
    let expected = scenario::run(&mut portable).expect("runs in user space");
    for record in &expected {
        assert!(record.as_expected, "{}", record.line);
    }

    let target = program::target_folder().expect("runs under cargo");
    let kernel = target.join("vm/kernel");
    let root = Initramfs::default()
        .directory("dev")
        .device("dev/console", 5, 1)
        .directory("proc")
        .directory("sys")
        .file("init", &program::build().expect("builds"));
    let add = |root: Initramfs, name| root.file(name, &fetched(&kernel, name));
    let archive = MODULES.into_iter().fold(root, add).finish();
    let initramfs = target.join(format!("vm/initramfs-{}.cpio", std::process::id()));
    fs::write(&initramfs, archive).expect("can be written next to the kernel");
    let booted = machine::boot(&kernel.join("vmlinuz"), &initramfs, TIMEOUT);
    fs::remove_file(&initramfs).expect("was written");
    let console = booted.expect("boots, runs and turns itself off");

    let after = |word: &str| -> Vec<&str> {
        let lines = console.iter();
        lines.filter_map(|line| line.strip_prefix(word)).collect()
    };
    let end = machine::tail(&console);
    assert!(
        console.iter().any(|line| line == DONE),
        "it did not finish:\n{end}"
    );
    let release = after(KERNEL).concat();
    assert!(
        release.starts_with("6.1."),
        "not the stock kernel of Debian 12: {release}"
    );
    let expected: Vec<&str> = expected.iter().map(|record| record.line.as_str()).collect();
    assert_eq!(after(VERDICT), expected, "the end of the console:\n{end}");
}
