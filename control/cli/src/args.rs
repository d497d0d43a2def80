//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::app::App;
use crate::commands;
use crate::error::{Error, Exit};
use crate::parse::duration;

const ABOUT: &str = "\
The command line of a Cordon gateway.

Is the site compromised? Cut it off from the wider network; care inside it continues:

    cordon quarantine site --reason \"what you saw\"

Open it again:

    cordon release site --reason \"why it is over\"";

const AFTER: &str = "\
Exit codes:
  0  done
  1  refused or failed: a policy with errors, an order that was refused, an unknown name
  2  the command line is wrong
  3  the gateway is not reachable, or its answer cannot be used
  4  explain: the packet is dropped at the posture in force
  5  your role does not include the call: nothing was changed

`cordon COMMAND --help` explains a command.";

/// The command line.
#[derive(Parser)]
#[command(
    name = "cordon",
    version,
    about = ABOUT,
    after_help = AFTER,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The gateway's socket. The default is $CORDON_SOCKET, or else /run/cordon/cordond.sock.
    // Not clap's `env`: clap would take the variable for an argument, and print no help for a bare `cordon`.
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// A table for people, or the JSON of the API for programs.
    #[arg(long, global = true, value_name = "FORM", default_value = "table")]
    pub output: Form,
    /// No colour, even on a terminal. A non-empty variable NO_COLOR does the same.
    #[arg(long, global = true)]
    pub no_color: bool,
    /// How long to wait for the gateway's answer.
    #[arg(long, global = true, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
}

impl Global {
    /// The path of the gateway's socket.
    pub fn socket(&self) -> PathBuf {
        let variable = std::env::var_os("CORDON_SOCKET").filter(|path| !path.is_empty());
        let default = || variable.map_or_else(|| cordon_protocol::SOCKET.into(), PathBuf::from);
        self.socket.clone().unwrap_or_else(default)
    }
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum Form {
    Table,
    Json,
}

/// A command with its own options.
#[derive(Subcommand)]
pub enum Command {
    Status(commands::Status),
    Quarantine(commands::Quarantine),
    Release(commands::Release),
    Watch(commands::Watch),
    Flows(commands::Flows),
    Explain(commands::Explain),
    Devices(commands::Devices),
    Rules(commands::Rules),
    Services(commands::Services),
    Orders(commands::Orders),
    Check(commands::Check),
    Apply(commands::Apply),
    Confirm(commands::Confirm),
}

impl Command {
    /// Runs it.
    pub fn run(self, app: &mut App) -> Result<Exit, Error> {
        match self {
            Command::Status(status) => status.run(app),
            Command::Quarantine(quarantine) => quarantine.run(app),
            Command::Release(release) => release.run(app),
            Command::Watch(watch) => watch.run(app),
            Command::Flows(flows) => flows.run(app),
            Command::Explain(explain) => explain.run(app),
            Command::Devices(devices) => devices.run(app),
            Command::Rules(rules) => rules.run(app),
            Command::Services(services) => services.run(app),
            Command::Orders(orders) => orders.run(app),
            Command::Check(check) => check.run(app),
            Command::Apply(apply) => apply.run(app),
            Command::Confirm(confirm) => confirm.run(app),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_accepts_the_definition_of_the_command_line() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn the_help_names_the_default_socket() {
        let help = <Cli as clap::CommandFactory>::command()
            .render_long_help()
            .to_string();
        assert!(help.contains(cordon_protocol::SOCKET), "{help}");
    }
}
