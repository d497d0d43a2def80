//! The XDP program on a stock kernel in QEMU.
//!
//! [`program::build`] makes a static binary of `guest/`, [`initramfs::Initramfs`] wraps it up, [`machine::boot`] runs
//! it as the first and only process of a kernel. It plays [`scenario`] to the XDP program and prints what became of
//! each frame; the test plays the same to the tables in memory and compares.

pub mod initramfs;
pub mod machine;
pub mod program;
pub mod scenario;

/// What is a module in the stock kernel: the interfaces, and what programs at tc need.
pub const MODULES: [&str; 3] = ["veth.ko", "sch_ingress.ko", "cls_bpf.ko"];

/// Before the release of the kernel, on the console.
pub const KERNEL: &str = "KERNEL ";
/// Before what became of a frame.
pub const VERDICT: &str = "VERDICT ";
/// The last word of a machine that has played everything.
pub const DONE: &str = "DONE";
