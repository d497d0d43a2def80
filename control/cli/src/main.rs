//! `cordon`, the command line. The code is in the library.

fn main() -> std::process::ExitCode {
    cordon_cli::main()
}
