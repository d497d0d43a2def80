//! cordond, the daemon on the appliance.

fn main() {}
