//! The help texts.

pub const OVERVIEW: &str = "\
cargo xtask <task>: builds, checks, tests and runs the project.

  demo    shows a hospital in network namespaces: care continues, intruders fail, quarantine, release
  test    checks the gates, runs every test, and counts the results
  lint    checks the gates alone: the project's rules, names, rustfmt, clippy
  bench   measures throughput, new flows, round trips and floods against nftables, a bridge and bare XDP
  fuzz    looks for input that violates a property of tests/fuzz: frames, policy files, calls of the API
  package builds the Debian packages cordon-gateway and cordon-cli
  setup   installs what the other tasks need; they call it themselves

`cargo xtask <task> --help` explains a task. All but lint and package need root: they load programs into the kernel and create
network namespaces. They send no packet outside the namespaces that they create.
";

const SETUP: &str = "\
cargo xtask setup: installs what building, testing, the demo and the benchmark need.

Looks for
  - a toolchain for eBPF: rustup's nightly with rust-src, or Debian's rustc-web with rust-web-src; and bpf-linker
  - rustfmt and clippy, and the clippy of the eBPF toolchain (Debian: rust-web-clippy)
  - the programs that tests, demo and bench run (images/xtask/src/setup/programs.rs)
  - a stock Debian kernel to boot in QEMU
  - a mounted bpf file system

On Debian, as root, it installs what is missing: packages with apt-get, bpf-linker with cargo install, rustfmt and
clippy with rustup. It neither starts nor enables the services of the packages. Elsewhere it prints what to install
and ends with 1. The output of the installers goes to target/setup.log.
";

const TEST: &str = "\
cargo xtask test [ARGUMENTS OF cargo test]: checks the gates, then runs every test, as root.

  1. installs what is missing (cargo xtask setup)
  2. checks the gates, the cheapest first (cargo xtask lint)
  3. builds every target once (debug profile, opt-level 1)
  4. runs `cargo test --workspace`

Prints each gate that failed with the commands that correct it. The last line is `N passed, N failed`; a gate counts
as one. Ends with 1 if a gate, the build or a test failed, or if a test was skipped that is not listed in
images/xtask/src/test/skips.rs.

  cargo xtask test                                  everything
  cargo xtask test -p cordon-vm                     one package
  cargo xtask test -p cordon-kernel -- idle         the tests with `idle` in their names
";

const DEMO: &str = "\
cargo xtask demo [--keep] [ARGUMENTS OF THE DEMO]: a hospital, an intruder, a quarantine, a release.

Installs what is missing, builds everything (debug profile, as for the tests), and runs cordon-demo as root. Ends
with the exit code of the demo: not 0 if a promise was broken.

  --keep    leaves the hospital running and prints what to try
  -- --help other options of the demo
";

const BENCH: &str = "\
cargo xtask bench [--json FILE] [ARGUMENTS OF THE BENCH]: how fast Cordon is, compared with the alternatives.

Installs what is missing, builds for release, and runs cordon-bench as root. It measures in turn: bare XDP redirect,
nftables configured as its experts would, and Cordon. Run nothing else on the machine meanwhile.

  --json FILE    writes the figures as records {\"name\", \"value\", \"unit\"}
  -- --help      other options of the bench
";

const FUZZ: &str = "\
cargo xtask fuzz [TARGET]... [--minutes N]: looks for input that violates a property of tests/fuzz, with libFuzzer.

  frames    sequences of frames: user space and the oracle decide the same about each
  policy    policy files: accepted, or refused with every error and its position
  api       calls of the local API: answered or disconnected; a refused call changes no state

Runs the targets one after another, for 5 minutes each by default; all of them if none is named. Installs what is
missing, cargo-fuzz included. The corpus stays in target/fuzz/corpus for the next run. Ends with 1 if a failing input
was found: it is in target/fuzz/found, and tests/fuzz/README.md says what to do with it.
";

const PACKAGE: &str = "\
cargo xtask package [--twice]: builds the Debian packages cordon-gateway and cordon-cli, and checks them with lintian.

Installs what is missing (debhelper, lintian, cargo-auditable, cargo-cyclonedx; as root). Builds the programs for release
with the list of their dependencies inside, makes manual pages and completions from the command line's definition, and
lists the dependencies as CycloneDX. The packages are in target/package/first.

  --twice    builds everything twice, in different folders, and compares the packages byte by byte
";

const LINT: &str = "\
cargo xtask lint [GATE]...: checks the gates, all of them or those named.

  rules        which crate may depend on which; what may lie at the top level; a README.md in every member's folder;
               where `unsafe` may stand; no Rust file over 600 lines; paths and links in Markdown files exist
  names        no banned word in an identifier or a file name (images/xtask/src/lint/names.rs has the words, and the
               terms to use instead)
  rustfmt      cargo fmt --check, in the workspace and in the crates outside it: dataplane/xdp, benches/programs,
               tests/fuzz/targets
  clippy       every target of the workspace, warnings denied
  clippy-ebpf  dataplane/xdp and benches/programs, by the toolchain that builds them, warnings denied

Prints every problem, and for each gate that failed the commands that correct it. Ends with 1 if one failed. Needs no
root and installs nothing; clippy needs the eBPF toolchain (cargo xtask setup).
";

pub fn of(task: &str) -> Option<&'static str> {
    match task {
        "setup" => Some(SETUP),
        "test" => Some(TEST),
        "demo" => Some(DEMO),
        "bench" => Some(BENCH),
        "fuzz" => Some(FUZZ),
        "lint" => Some(LINT),
        "package" => Some(PACKAGE),
        _ => None,
    }
}
