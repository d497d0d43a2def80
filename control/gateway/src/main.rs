//! `cordond`. Everything is in the library, where tests of other crates find it.

fn main() -> std::process::ExitCode {
    cordon_gateway::main()
}
