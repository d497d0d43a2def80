//! `cordon services`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use cordon_policy::{CATALOGUE, Service};
use serde::Serialize;

use super::check::validate;
use crate::app::App;
use crate::error::{Error, Exit};
use crate::render::{Cell, Style, Table};

/// List the services that rules can name, and their ports, without a gateway
#[derive(Args)]
pub struct Services {
    /// A policy directory, whose services are listed too.
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// A service, as `--output json` prints it.
#[derive(Serialize)]
struct Listed {
    name: String,
    ports: Vec<String>,
    /// Whether it is in the catalogue, and unchanged.
    catalogue: bool,
    idle_seconds: Option<u64>,
}

impl Services {
    /// Runs the command.
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
                let services = validate(app, directory)?.policy.services.into_iter();
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
            return Ok(Exit::Success);
        }
        let mut table = Table::new(&["SERVICE", "FROM", "PORTS"]);
        for service in &listed {
            table.row([
                Cell::styled(Style::Strong, &service.name),
                Cell::from(match (service.catalogue, service.idle_seconds) {
                    (true, _) => "catalogue".to_owned(),
                    (false, None) => "policy.yaml".to_owned(),
                    (false, Some(seconds)) => {
                        let idle = humantime::format_duration(Duration::from_secs(seconds));
                        format!("policy.yaml, idle for up to {idle}")
                    }
                }),
                Cell::from(service.ports.join(", ")),
            ]);
        }
        app.out.table(&table)?;
        app.out.line("")?;
        app.out.line("a rule can also name ports: `service: tcp/5000-5010`; `services:` in policy.yaml defines others")?;
        Ok(Exit::Success)
    }
}
