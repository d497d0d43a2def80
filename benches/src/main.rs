//! Throughput beside nftables and bare XDP: what a gateway costs a frame. See `README.md` for how it is measured.

mod bed;
mod gateways;
mod namespace;
mod noise;
mod policy;
mod processor;
mod profile;
mod programs;
mod report;
mod rounds;
mod sample;
mod stop;
mod traffic;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use gateways::Kind;
use report::Report;
use rounds::Plan;

/// Compares the throughput of Cordon with that of nftables and of a bare XDP redirect.
///
/// Runs as root, in network namespaces of its own, and leaves nothing behind. Fails if frames were lost, dropped or
/// miscounted; an aim that is missed is shown, and is no failure.
#[derive(Parser)]
#[command(name = "cordon-bench")]
struct Options {
    /// Write what was measured to this file, as a list of {"name", "value", "unit"}.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How often each case is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// For how long each time.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Only these cases, `cordon.60k,redirect.60k` for example.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// The processor to send, forward and receive on; the last one if not given.
    #[arg(long)]
    processor: Option<usize>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("between 0.1 and 60".to_owned()),
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cordon-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    stop::listen()?;
    namespace::own_bpf_file_system()?;
    let plan = Plan {
        rounds: options.rounds.into(),
        seconds: options.seconds,
        only: options.only.clone(),
        sender: options.processor.unwrap_or_else(processor::last),
    };
    eprintln!(
        "60-byte UDP frames (64 with Cordon's VLAN tag), in one direction of flows established in both; sender, gateway \
         and sink on processor {}",
        plan.sender
    );
    let mut beds = plan.beds()?;
    let samples = plan.measure(&mut beds)?;
    let mut nanoseconds = BTreeMap::new();
    for case in plan.cases() {
        stop::check()?;
        let bed = beds
            .iter()
            .find(|bed| bed.kind == case.kind && bed.devices == case.devices);
        if let Some(bed) = bed.filter(|bed| bed.kind != Kind::Nftables) {
            let taken = profile::nanoseconds(bed, case.flows, plan.sender)?;
            nanoseconds.insert(case, taken);
        }
    }
    let report = Report {
        samples,
        nanoseconds,
    };
    print!("{}", report.table());
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report.records())? + "\n";
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let wrong = report.wrong();
    ensure!(
        wrong == 0,
        "{wrong} measurements do not add up, as said above: the figures count for nothing"
    );
    Ok(())
}
