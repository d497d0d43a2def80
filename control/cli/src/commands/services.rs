//! `cordon services`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use cordon_policy::{CATALOGUE, Service};
use serde::Serialize;

use super::check::validated;
use crate::App;
use crate::error::{Error, Exit};
use crate::render::{Cell, Ink, Table};

/// The services that rules can name, and their ports, without a gateway
#[derive(Args)]
pub struct Services {
    /// A policy's directory: with what it adds to the catalogue, or has otherwise.
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// As `--output json` prints it.
#[derive(Serialize)]
struct Listed {
    name: String,
    ports: Vec<String>,
    /// Whether it is in the catalogue as it is.
    catalogue: bool,
    idle_seconds: Option<u64>,
}

impl Services {
    /// Does it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        let ports = |entries: &[Service]| entries.iter().map(ToString::to_string).collect();
        let known = |name: &str, entries: &[Service]| CATALOGUE.contains(&(name, entries));
        let listed: Vec<Listed> = match &self.directory {
            None => {
                let catalogue = CATALOGUE.iter();
                let listed = catalogue.map(|(name, entries)| Listed {
                    name: (*name).to_owned(),
                    ports: ports(entries),
                    catalogue: true,
                    idle_seconds: None,
                });
                listed.collect()
            }
            Some(directory) => {
                let services = validated(app, directory)?.policy.services.into_iter();
                let listed = services.map(|service| Listed {
                    catalogue: service.idle.is_none() && known(&service.name, &service.entries),
                    ports: ports(&service.entries),
                    name: service.name,
                    idle_seconds: service.idle.map(|idle| idle.as_secs()),
                });
                listed.collect()
            }
        };
        if app.json {
            app.out.json(&serde_json::json!(listed))?;
            return Ok(Exit::Good);
        }
        let mut table = Table::new(&["SERVICE", "FROM", "PORTS"]);
        for service in &listed {
            table.row([
                Cell::ink(Ink::Strong, &service.name),
                Cell::from(match (service.catalogue, service.idle_seconds) {
                    (true, _) => "catalogue".to_owned(),
                    (false, None) => "policy.yaml".to_owned(),
                    (false, Some(seconds)) => {
                        let idle = humantime::format_duration(Duration::from_secs(seconds));
                        format!("policy.yaml, silent for up to {idle}")
                    }
                }),
                Cell::from(service.ports.join(", ")),
            ]);
        }
        app.out.table(&table)?;
        app.out.line("")?;
        app.out.line("a rule may also say the ports: `service: tcp/5000-5010`; a policy has its own under `services:`")?;
        Ok(Exit::Good)
    }
}
