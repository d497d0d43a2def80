//! Compares Cordon with nftables, a bridge and bare XDP: the cost of a gateway for a frame, a new flow and a round
//! trip. `README.md` describes the method.

mod bed;
mod echo;
mod floods;
mod gateways;
mod hosts;
mod namespace;
mod newflows;
mod payload;
mod plan;
mod policy;
mod processor;
mod programs;
mod report;
mod rtt;
mod stop;
mod throughput;
mod traffic;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use plan::Plan;
use report::Findings;

/// Compares Cordon with nftables, a bare bridge and a bare XDP redirect: throughput, new flows, round trips, floods.
///
/// Runs as root, in its own network namespaces, and cleans up after itself. Fails if frames were lost, dropped or
/// miscounted unexpectedly. A missed aim is shown, but is not a failure.
#[derive(Parser)]
#[command(name = "cordon-bench")]
struct Options {
    /// Write the results to this file, as a list of {"name", "value", "unit"}.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How often each case is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// The duration of a measurement, in seconds.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Measure only these cases, by their names or first parts: for example `cordon.60k,redirect.60k` or `newflows`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// The processor to send, forward and receive on. [default: the last one]
    #[arg(long)]
    processor: Option<usize>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be between 0.1 and 60".to_owned()),
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
    namespace::mount_private_bpf()?;
    let plan = Plan {
        rounds: options.rounds.into(),
        seconds: options.seconds,
        only: options.only.clone(),
        sender: options.processor.unwrap_or_else(processor::last),
    };
    let names = throughput::names()
        .chain(newflows::names())
        .chain(rtt::names())
        .chain(floods::names());
    plan.check(&names.collect::<Vec<_>>())?;
    eprintln!("sender, gateway and sink on processor {}", plan.sender);
    let mut findings = Findings::default();
    let established = throughput::cases(&plan).into_iter();
    let new = newflows::cases(&plan).into_iter();
    let needed = established
        .map(|case| (case.kind, case.site))
        .chain(new.map(|case| (case.kind, case.site)));
    let mut beds = bed::set_up(needed, plan.sender)?;
    findings.add(throughput::measure(&plan, &mut beds)?);
    // This removes the established flows.
    findings.add(newflows::measure(&plan, &mut beds)?);
    drop(beds);
    findings.add(rtt::measure(&plan)?);
    findings.add(floods::measure(&plan)?);
    print!("{}{}", findings.table, report::aims(&findings.aims));
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&findings.records)? + "\n";
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let wrong = findings.wrong;
    ensure!(
        wrong == 0,
        "{wrong} measurements do not add up, see above: the figures are not valid"
    );
    Ok(())
}
