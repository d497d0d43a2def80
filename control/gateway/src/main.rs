//! `cordond`. Everything is in the library, where tests of other crates find it.

/// A policy of a hundred thousand devices is a million small pieces of memory. The C library's allocator puts them together
/// when the next piece is asked for, in the middle of the next change: half of what that took.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cordon_gateway::main()
}
