//! The XDP program on a stock kernel in QEMU.
