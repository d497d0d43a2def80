//! Cordon beside nftables, a bridge and bare XDP: what a gateway costs a frame, a new flow and a round trip. See
//! `README.md` for how it is measured.

mod bed;
mod floods;
mod gateways;
mod hosts;
mod namespace;
mod newflows;
mod noise;
mod policy;
mod processor;
mod profile;
mod programs;
mod report;
mod rounds;
mod rtt;
mod sample;
mod stop;
mod throughput;
mod traffic;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use bed::Bed;
use report::Findings;
use rounds::Plan;
use throughput::Report;

/// Compares Cordon with nftables, a bare bridge and a bare XDP redirect: throughput, new flows, round trips, floods.
///
/// Runs as root, in network namespaces of its own, and leaves nothing behind. Fails if frames were lost, dropped or
/// miscounted where none should be; an aim that is missed is shown, and is no failure.
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
    /// Only these cases: as a whole or their first parts, `cordon.60k,redirect.60k` or `newflows` for example.
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
    plan.check()?;
    eprintln!("sender, gateway and sink on processor {}", plan.sender);
    let mut findings = Findings::default();
    let mut beds = plan.beds()?;
    findings.add(throughput(&plan, &mut beds)?);
    // Flows that stand are forgotten now.
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
        "{wrong} measurements do not add up, as said above: the figures count for nothing"
    );
    Ok(())
}

/// Frames a second, of established flows.
fn throughput(plan: &Plan, beds: &mut [Bed]) -> Result<Findings> {
    let cases = plan.cases();
    if cases.is_empty() {
        return Ok(Findings::default());
    }
    eprintln!(
        "60-byte UDP frames (64 with Cordon's VLAN tag), in one direction of flows established in both"
    );
    let samples = plan.measure(beds)?;
    let nanoseconds = profile::all(&cases, beds, plan.sender)?;
    Ok(Report {
        samples,
        nanoseconds,
    }
    .findings())
}
