//! The demo: a hospital, intruders, a quarantine, a release; printed on a terminal and measured in the same run.

mod acts;
mod checks;
mod counters;
mod dicom;
mod drop_watch;
mod hl7;
mod hospital;
mod interrupt;
mod narrator;
mod records;
mod servers;
mod wire;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, Subcommand};

use checks::Checks;
use hospital::Hospital;
use narrator::Narrator;

/// A hospital in network namespaces: clinical traffic passes, intruders fail, one command cuts the site off, another
/// releases it.
///
/// Real programs communicate through the real gateway, in network namespaces of the demo; no packet leaves this
/// machine. The exit code is 1 if a check failed.
#[derive(Parser)]
#[command(
    name = "cordon-demo",
    version,
    override_usage = "cargo xtask demo [--keep]",
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Cli {
    /// Keep the hospital afterwards, and print commands to try.
    #[arg(long)]
    keep: bool,
    #[command(subcommand)]
    server: Option<Server>,
}

/// Servers of the demo itself, which it runs in hosts of the hospital.
#[derive(Subcommand)]
enum Server {
    /// Accepts connections at these ports and closes them.
    #[command(hide = true)]
    Accept {
        /// TCP ports.
        ports: Vec<u16>,
    },
    /// An interface engine: acknowledges HL7 messages.
    #[command(hide = true)]
    Engine {
        /// TCP port.
        port: u16,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.server {
        Some(Server::Accept { ports }) => servers::accept(&ports).map(|()| true),
        Some(Server::Engine { port }) => hl7::engine(port).map(|()| true),
        None => play(cli.keep),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("\nThe demo has stopped because of an error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// State that all acts share.
struct Story {
    narrator: Narrator,
    checks: Checks,
    hospital: Hospital,
    /// The result to print if all checks passed.
    conclusion: String,
}

/// Plays all acts. Returns whether all checks passed.
fn play(keep: bool) -> Result<bool> {
    interrupt::listen()?;
    let began = Instant::now();
    let narrator = Narrator::new(began);
    acts::opening(&narrator)?;
    let mut story = Story {
        hospital: Hospital::raise()?,
        checks: Checks::default(),
        conclusion: String::new(),
        narrator,
    };
    acts::startup::play(&mut story, began.elapsed())?;
    acts::care::play(&mut story)?;
    acts::intruders::play(&mut story)?;
    let traffic = acts::quarantine::play(&mut story)?;
    acts::release::play(&mut story, traffic)?;
    let passed = story.checks.summary(&story.narrator, &story.conclusion)?;
    match keep {
        true => acts::keep(story)?,
        false => {
            let narrator = story.narrator;
            drop(story.hospital);
            narrator.finished()?;
        }
    }
    Ok(passed)
}
