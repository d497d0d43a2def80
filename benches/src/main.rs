//! Throughput beside nftables and bare XDP.

fn main() {}
