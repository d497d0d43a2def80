//! `cordond`. The code is in the library, so that tests of other crates can use it.

/// A policy of 100,000 devices is a million small allocations. The C library's allocator coalesces freed blocks at the
/// next allocation, in the middle of the next change of policy, which doubles the time of a change.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cordon_gateway::main()
}
