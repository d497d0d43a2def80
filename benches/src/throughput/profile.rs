//! The run time of the gateway's XDP program for a frame, as the kernel measures it.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aya::programs::loaded_programs;
use aya::sys::{Stats, enable_stats};
use serde_json::Value;

use crate::bed::Bed;
use crate::gateways::Kind;
use crate::{processor, stop};

use super::case::Case;

/// Frames to average over.
const FRAMES: u32 = 1_000_000;

/// Nanoseconds a frame for every case with an XDP program.
///
/// # Errors
/// If the kernel does not report it, or the benchmark is interrupted.
pub fn all(cases: &[Case], beds: &[Bed], sender: usize) -> Result<BTreeMap<Case, f64>> {
    let mut all = BTreeMap::new();
    for case in cases.iter().filter(|case| case.kind != Kind::Nftables) {
        stop::check()?;
        let bed = beds
            .iter()
            .find(|bed| bed.kind == case.kind && bed.site == case.site);
        if let Some(bed) = bed {
            all.insert(*case, nanoseconds(bed, case.flows, sender)?);
        }
    }
    Ok(all)
}

/// Nanoseconds a frame in the program on `eth1`. The kernel's clock reads are included: compare with a program that
/// does no work.
///
/// # Errors
/// If the kernel does not report it.
fn nanoseconds(bed: &Bed, flows: u32, sender: usize) -> Result<f64> {
    let id = bed.inside(|| program_on("eth1"))?;
    let generator = bed.generator(flows)?;
    let _counting = enable_stats(Stats::RunTime).context("the kernel does not measure run time")?;
    processor::run_on(sender, || generator.send(FRAMES / 10))?;
    let before = run_time(id)?;
    processor::run_on(sender, || generator.send(FRAMES))?;
    let after = run_time(id)?;
    let runs = after.1 - before.1;
    ensure!(runs > 0, "the program on eth1 did not run");
    Ok((after.0 - before.0).as_secs_f64() * 1e9 / runs as f64)
}

fn program_on(interface: &str) -> Result<u32> {
    let output = Command::new("ip")
        .args(["-json", "link", "show", "dev", interface])
        .output()
        .context("cannot run ip")?;
    let links: Value = serde_json::from_slice(&output.stdout).context("ip does not print JSON")?;
    links[0]["xdp"]["prog"]["id"]
        .as_u64()
        .and_then(|id| id.try_into().ok())
        .with_context(|| format!("there is no XDP program on {interface}"))
}

fn run_time(id: u32) -> Result<(Duration, u64)> {
    for program in loaded_programs() {
        let program = program.context("cannot list programs")?;
        if program.id() == id {
            return Ok((program.run_time(), program.run_count()));
        }
    }
    anyhow::bail!("program {id} is gone")
}
