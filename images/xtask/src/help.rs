//! What the tasks do, for whoever asks.

pub const OVERVIEW: &str = "\
cargo xtask <task>: what a person would otherwise type twice.

  demo    a hospital in network namespaces: care goes on, intruders fail, quarantine, release
  test    every test, and how many passed
  bench   throughput, new flows, round trips and floods, beside nftables, a bridge and bare XDP
  fuzz    any bytes as frames, policy files, calls of the API
  setup   installs what the others need; they run it themselves
  lint    formatting, clippy, and the project's own rules

`cargo xtask <task> --help` says more. All but lint run as root: they load programs into the kernel and make
network namespaces. They touch no network outside the namespaces that they make.
";

const SETUP: &str = "\
cargo xtask setup: makes this machine able to build, test, demonstrate and measure.

Finds out which eBPF toolchain is open: rustup's nightly with rust-src, or Debian's rustc-web with rust-web-src;
bpf-linker with either. Then looks for the real programs that tests, demo and bench run, for a stock Debian kernel
to boot in QEMU, and for a bpf file system.

On Debian, as root, installs what is missing: packages with apt-get, bpf-linker with cargo install. Services that
come with packages are neither started nor enabled. Elsewhere it says what to install, and ends with 1.
Nothing is missing: says so at once. What the installers print goes to target/setup.log.
";

const TEST: &str = "\
cargo xtask test [ARGUMENTS OF cargo test]: every test, as root.

Sets the machine up, checks the project's own rules, builds every target once (debug profile, opt-level 1), and runs
`cargo test --workspace`. The last line is `N passed, N failed`. Ends with 1 if anything failed, did not build, was
refused by the rules, or was skipped without being on the list in images/xtask/src/test/skips.rs.

  cargo xtask test                                  everything
  cargo xtask test -p cordon-vm                     one package
  cargo xtask test -p cordon-kernel -- idle         the tests whose names hold `idle`
";

const DEMO: &str = "\
cargo xtask demo [--keep] [ARGUMENTS OF THE DEMO]: a hospital, an intruder, a quarantine, a release.

Sets the machine up, builds everything (debug profile, which is what the tests run too), and runs cordon-demo as
root. Ends with the demo's own code: not 0 if anything was not as promised.

  --keep    leaves the hospital up and says what to try
  -- --help what else the demo takes
";

const BENCH: &str = "\
cargo xtask bench [--json FILE] [ARGUMENTS OF THE BENCH]: how fast, beside what else there is.

Sets the machine up, builds for release, and runs cordon-bench as root: bare XDP redirect, nftables as its experts
would configure it, and Cordon, in turn. Let the machine do nothing else meanwhile.

  --json FILE    writes the figures as records {\"name\", \"value\", \"unit\"}
  -- --help      what else the bench takes
";

const FUZZ: &str = "\
cargo xtask fuzz [TARGET]... [--minutes N]: looks for bytes that break something, by libFuzzer.

  frames    frames after one another: user space and the oracle say the same of each
  policy    policy files: a policy, or refused with every error at its place
  api       calls of the local API: answered or hung up on, and what is refused changes nothing

Without a target, one after another; each for 5 minutes unless said. Sets the machine up, and installs cargo-fuzz if it
is not there. What a run has learned stays in target/fuzz/corpus, and the next goes on from there. Ends with 1 if
something was found: it is in target/fuzz/found, and tests/fuzz/README.md says what to do with it.
";

const LINT: &str = "\
cargo xtask lint: formatting, clippy, and the project's own rules.

  rustfmt    cargo fmt --check, the XDP program included
  clippy     every target of the workspace, warnings denied
  rules      which crate may depend on which, where `unsafe` may stand, a README.md in every member's folder, and
             what may lie at the top

Reports all that is wrong, not only the first. `cargo xtask test` checks the rules too. Needs no root and installs
nothing, but compiling needs the eBPF toolchain (cargo xtask setup).
";

pub fn of(task: &str) -> Option<&'static str> {
    match task {
        "setup" => Some(SETUP),
        "test" => Some(TEST),
        "demo" => Some(DEMO),
        "bench" => Some(BENCH),
        "fuzz" => Some(FUZZ),
        "lint" => Some(LINT),
        _ => None,
    }
}
