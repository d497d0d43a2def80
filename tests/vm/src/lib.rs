//! The XDP program on a stock kernel in QEMU.
//!
//! [`program::build`] makes a static binary of `guest/`, [`initramfs::Initramfs`] packs it, and [`machine::boot`] runs
//! it as the only process of a kernel. It runs [`scenario`] on the XDP program and prints the outcome of each frame.
//! The test runs the same scenario in user space and compares.

pub mod initramfs;
pub mod machine;
pub mod program;
pub mod scenario;

/// Modules of the stock kernel that the guest loads: for veth interfaces and tc programs.
pub const MODULES: [&str; 3] = ["veth.ko", "sch_ingress.ko", "cls_bpf.ko"];

/// Prefix of the console line with the kernel release.
pub const KERNEL: &str = "KERNEL ";
/// Prefix of a console line with the outcome of a frame.
pub const VERDICT: &str = "VERDICT ";
/// The last line of a guest that has run the whole scenario.
pub const DONE: &str = "DONE";
