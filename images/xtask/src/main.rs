//! What a person would otherwise type twice.

fn main() {}
