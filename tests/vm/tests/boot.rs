//! Boots a stock Debian kernel, and compares what its XDP program decides with what user space does.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cordon_portable::Portable;
use cordon_vm::initramfs::Initramfs;
use cordon_vm::{DONE, KERNEL, MODULES, VERDICT, machine, program, scenario};

/// Emulation is slow, the verifier has much to look at, and others may be at work on the same processors. Less than half a
/// minute where nobody is.
const PATIENCE: Duration = Duration::from_secs(300);

/// What `cargo xtask setup` fetched.
fn fetched(folder: &Path, name: &str) -> Vec<u8> {
    let file = folder.join(name);
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
    let expected = scenario::play(&mut portable).expect("plays in memory");
    for told in &expected {
        assert!(told.as_expected, "{}", told.line);
    }

    let target = program::target_folder().expect("runs under cargo");
    let kernel = target.join("vm/kernel");
    let root = Initramfs::default()
        .folder("dev")
        .device("dev/console", 5, 1)
        .folder("proc")
        .folder("sys")
        .file("init", &program::build().expect("builds"));
    let add = |root: Initramfs, name| root.file(name, &fetched(&kernel, name));
    let archive = MODULES.into_iter().fold(root, add).finish();
    let initramfs = target.join(format!("vm/initramfs-{}.cpio", std::process::id()));
    fs::write(&initramfs, archive).expect("can write beside the kernel");
    let booted = machine::boot(&kernel.join("vmlinuz"), &initramfs, PATIENCE);
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
        "this is no stock kernel of Debian 12: {release}"
    );
    let expected: Vec<&str> = expected.iter().map(|told| told.line.as_str()).collect();
    assert_eq!(after(VERDICT), expected, "the end of the console:\n{end}");
}
