//! A hospital, an intruder, a quarantine, a release: told on a terminal, measured as it is told.

mod acts;
mod counting;
mod dicom;
mod hl7;
mod hospital;
mod interrupt;
mod ledger;
mod records;
mod servers;
mod tell;
mod watching;
mod wire;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, Subcommand};

use hospital::Hospital;
use ledger::Ledger;
use tell::Tell;

/// A hospital in network namespaces: care goes on, intruders fail, one command cuts the site off, another opens it again.
///
/// Everything happens in network namespaces of its own, by real programs, through the real gateway; no packet leaves this
/// machine. Ends with 1 if anything was not as promised, and says what.
#[derive(Parser)]
#[command(
    name = "cordon-demo",
    version,
    override_usage = "cargo xtask demo [--keep]",
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Cli {
    /// Leave the hospital up afterwards, and say what to try.
    #[arg(long)]
    keep: bool,
    #[command(subcommand)]
    server: Option<Server>,
}

/// What the demo runs of itself inside the hospital.
#[derive(Subcommand)]
enum Server {
    /// Takes connections at these ports and ends them.
    #[command(hide = true)]
    Doors {
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
        Some(Server::Doors { ports }) => servers::doors(&ports).map(|()| true),
        Some(Server::Engine { port }) => hl7::engine(port).map(|()| true),
        None => play(cli.keep),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("\nThe demo could not go on: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What every act works with.
struct Story {
    tell: Tell,
    ledger: Ledger,
    hospital: Hospital,
    /// What it comes to, if every promise is kept.
    moral: String,
}

/// Plays all acts, and answers whether everything was as promised.
fn play(keep: bool) -> Result<bool> {
    interrupt::listen()?;
    let began = Instant::now();
    let tell = Tell::new(began);
    acts::opening(&tell)?;
    let mut story = Story {
        hospital: Hospital::raise()?,
        ledger: Ledger::default(),
        moral: String::new(),
        tell,
    };
    acts::arrival::play(&mut story, began.elapsed())?;
    acts::care::play(&mut story)?;
    acts::intruders::play(&mut story)?;
    let traffic = acts::quarantine::play(&mut story)?;
    acts::release::play(&mut story, traffic)?;
    let kept = story.ledger.tell(&story.tell, &story.moral)?;
    match keep {
        true => acts::keep(story)?,
        false => {
            let tell = story.tell;
            drop(story.hospital);
            tell.ended()?;
        }
    }
    Ok(kept)
}
