//! Runs a flood and measures clinical traffic during it.

use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::unistd::Pid;

use crate::gateways::Kind;
use crate::hosts::Hosts;
use crate::plan::Plan;
use crate::processor;
use crate::programs::Generator;
use crate::traffic::Device;

use super::clinical::{Clinical, Request};
use super::flood::{Flood, check_drops};
use super::report::{Outcome, name};

/// A compromised asset tag, which floods its server. The server does not answer.
pub const COMPROMISED: Device = Device(7);
const TARGET: &str = "10.200.7.10";
/// How long clinical flows run before the flood, and the flood before the measurement.
const SETTLE: Duration = Duration::from_millis(250);

/// Measures one flood through one gateway.
///
/// # Errors
/// If frames cannot be sent, no request is answered, or Cordon drops other frames than the flood's, loses established
/// flows or uses more memory.
pub fn measure(
    hosts: &mut Hosts,
    clinical: &[Device],
    flood: Flood,
    plan: &Plan,
) -> Result<Outcome> {
    let drops = hosts.gateway(|gateway| {
        gateway.flush_flows()?;
        Ok(gateway.counters()?.dropped)
    })?;
    let stop = [AtomicBool::new(false), AtomicBool::new(false)];
    let (requests, [first, last], before) = thread::scope(|scope| -> Result<_> {
        let running = Clinical::start(scope, hosts, clinical, plan.sender, &stop)?;
        thread::sleep(SETTLE);
        let measured = run(hosts, flood, plan);
        let requests = running.stop(&stop)?;
        let (readings, before) = measured?;
        Ok((requests, readings, before))
    })?;
    let (from, to) = (first.at, last.at);
    let span = (to - from).as_secs_f64();
    let during: Vec<&Request> = requests
        .iter()
        .filter(|request| (from..to).contains(&request.at))
        .collect();
    let mut took: Vec<f64> = during
        .iter()
        .filter_map(|request| Some(request.took?.as_secs_f64() * 1e6))
        .collect();
    took.sort_by(f64::total_cmp);
    if took.is_empty() {
        bail!("{}: no request was answered", name(flood, hosts.kind));
    }
    let (after, established, dropped) = hosts.gateway(|gateway| {
        Ok((
            gateway.memory()?,
            gateway.established()?,
            gateway.counters()?.dropped,
        ))
    })?;
    if hosts.kind == Kind::Cordon {
        check_drops(flood, &drops, &dropped)?;
        if established < clinical.len() as u64 {
            bail!(
                "{}: only {established} flows are established",
                name(flood, hosts.kind)
            );
        }
        if after != before {
            bail!(
                "{}: tables grew from {before} to {after} bytes",
                name(flood, hosts.kind)
            );
        }
    }
    Ok(Outcome {
        offered: (last.frames - first.frames) as f64 / span / 1e3,
        loss: 1.0 - took.len() as f64 / during.len() as f64,
        median: took[took.len() / 2],
        p99: took[took.len() * 99 / 100],
        memory: [before, after],
        established,
    })
}

/// Counters at the start or the end of the measurement.
struct Reading {
    at: Instant,
    /// Frames that the devices have sent.
    frames: u64,
}

/// Runs the flood. Returns the readings at the start and the end of the measurement, and the memory before the flood.
fn run(hosts: &mut Hosts, flood: Flood, plan: &Plan) -> Result<([Reading; 2], u64)> {
    let before = hosts.gateway(|gateway| gateway.memory())?;
    let hosts = &*hosts;
    let generator = match flood {
        Flood::Kernel(payload) => Some(hosts.generator(COMPROMISED, payload)?),
        _ => None,
    };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut flooding = None;
        let mut running = Vec::new();
        if let Some(generator) = &generator {
            flooding = Some(scope.spawn(|| -> Result<()> {
                processor::pin(plan.sender, Pid::from_raw(0))?;
                while !over.load(Ordering::Relaxed) {
                    generator.send(100_000)?;
                }
                Ok(())
            }));
        }
        if let Flood::Hping3(payload) = flood {
            let command = [
                &["hping3", "-q", "--flood"],
                payload.hping3_arguments(),
                &[TARGET],
            ]
            .concat();
            for _ in 0..thread::available_parallelism()?.get() {
                running.push(Running(hosts.start(COMPROMISED, &command)?));
            }
        }
        let read = || -> Result<Reading> {
            let written = generator.as_ref().map_or(Ok(0), Generator::sent)?;
            Ok(Reading {
                at: Instant::now(),
                frames: hosts.sent()? + written,
            })
        };
        thread::sleep(SETTLE);
        let first = read();
        thread::sleep(Duration::from_secs_f64(plan.seconds));
        let last = read();
        over.store(true, Ordering::Relaxed);
        drop(running);
        if let Some(thread) = flooding {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(([first?, last?], before))
    })
}

/// A program that runs until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
