//! `cordond`: the daemon on the appliance.
//!
//! It puts the last valid policy and posture into force, serves the local API and the metrics, and sweeps the flow
//! table. It may be killed at any time: what it put into the kernel stays in force.

mod active_policy;
mod api;
mod clock;
mod config;
mod convert;
mod durable;
mod engine;
mod events;
mod explain;
mod flows;
mod metrics;
mod observed;
mod plane;
mod probe;
mod refusal;
mod scrape;
mod state;
mod store;
mod sync;
mod views;

#[cfg(any(test, feature = "stand-ins"))]
mod kill_switch;
#[cfg(any(test, feature = "stand-ins"))]
pub mod served;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use cordon_kernel::{Dataplane, Events, Options};
use tokio::signal::unix::{SignalKind, signal};

use crate::api::App;
use crate::api::socket::Socket;
use crate::config::{Config, LogFormat};
use crate::engine::{Gateway, Parts};
use crate::observed::Observed;
use crate::store::Directory;

/// The Cordon gateway daemon.
///
/// Forwards between the ports that its policy names, by the XDP program that it loads into the kernel. Without a policy
/// nothing is forwarded: apply one with `cordon apply DIR`.
#[derive(Parser)]
#[command(name = "cordond", version)]
struct Arguments {
    /// The configuration file. Default: /etc/cordon/gateway.toml if it exists, else built-in defaults.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Check the configuration, print errors, and exit.
    #[arg(long)]
    check: bool,
}

/// The definition of the command line, for the manual page.
pub fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the daemon as the command line says.
pub fn main() -> ExitCode {
    match start_up(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cordond: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start_up(arguments: &Arguments) -> anyhow::Result<()> {
    let config = Config::read(arguments.config.as_deref())?;
    if arguments.check {
        println!("the configuration is valid");
        return Ok(());
    }
    start_log(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(run(&config));
    // Calls that have begun, such as an order, are finished.
    runtime.shutdown_timeout(Duration::from_secs(5));
    done
}

fn start_log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::new(&config.log.level);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let order_seconds = engine::order_seconds();
    let _pins = lock_pins(&config.pins)?;
    let (gateway, ring) = start(config, order_seconds.clone()).context("cordond cannot start")?;
    let gateway = Arc::new(gateway);
    let observed = Arc::new(Observed::new(&config.state, Arc::clone(&gateway.clock)));
    let socket = Socket::bind(&config.socket)?;
    let (event_sender, _) = tokio::sync::broadcast::channel(4096);

    if let Some(ring) = ring {
        let observed = Arc::clone(&observed);
        events::forward(ring, gateway.slots.clone(), observed, event_sender.clone())?;
    }
    observed.start(&gateway)?;
    let listen = config.metrics.listen;
    let scraped = (Arc::clone(&gateway), Arc::clone(&observed));
    tokio::spawn(scrape::serve(listen, scraped, order_seconds));
    tokio::spawn(tick(Arc::clone(&gateway)));
    let router = App::new(gateway, Arc::clone(&observed), event_sender).router();
    // Ready: the state from before the restart is in force again, and the API answers.
    let ready = [sd_notify::NotifyState::Ready];
    if let Err(error) = sd_notify::notify(&ready) {
        tracing::warn!("the service manager was not notified of readiness: {error}");
    }
    tracing::info!(socket = %config.socket.path.display(), metrics = %listen, "ready");

    tokio::select! {
        () = socket.serve(router) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    observed.save();
    tracing::info!("stopping; policy and posture stay in force");
    Ok(())
}

/// Locks the pin directory for this process: two daemons would undo each other's changes.
fn lock_pins(pins: &std::path::Path) -> anyhow::Result<impl Drop + use<>> {
    std::fs::create_dir_all(pins).with_context(|| {
        let pins = pins.display();
        format!("{pins} cannot be created (is a bpf file system mounted there? `mount -t bpf bpf /sys/fs/bpf`)")
    })?;
    store::lock(pins).map_err(|error| anyhow::anyhow!("{error}: {}", error.hint()))
}

fn start(
    config: &Config,
    order_seconds: prometheus::Histogram,
) -> anyhow::Result<(Gateway, Option<Events>)> {
    let store = Directory::open(&config.state)
        .map_err(|error| anyhow::anyhow!("{error}: {}", error.hint()))?;
    let (mut dataplane, opened) = Dataplane::open(&Options {
        flows4: config.flows.ipv4,
        flows6: config.flows.ipv6,
        ..Options::new(&config.pins)
    })?;
    let ring = dataplane.take_events();
    let gateway = Gateway::start(Parts {
        plane: Box::new(dataplane),
        opened,
        store: Box::new(store),
        clock: Arc::new(clock::System::new()),
        pins: config.pins.display().to_string(),
        flows: [config.flows.ipv4, config.flows.ipv6],
        order_seconds,
    })?;
    Ok((gateway, ring))
}

/// Periodic work. It may wait for a disk, so it runs on a blocking thread.
async fn tick(gateway: Arc<Gateway>) {
    let mut timer = tokio::time::interval(Duration::from_secs(2));
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        let gateway = Arc::clone(&gateway);
        if let Err(error) = tokio::task::spawn_blocking(move || gateway.tick()).await {
            tracing::error!("periodic work failed: {error}");
        }
    }
}
