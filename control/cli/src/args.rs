//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands;

const ABOUT: &str = "\
The command line of a Cordon gateway.

Is the site compromised? Cut it off from the wider network; care inside it goes on:

    cordon quarantine site --reason \"what you saw\"

And open it again:

    cordon release site --reason \"why it is over\"";

const AFTER: &str = "\
Exit codes:
  0  done
  1  refused or failed: a policy with errors, an order not taken, a name that nothing has
  2  the command line is wrong
  3  the gateway is not reachable, or gave no answer that can be used
  4  explain: the packet is dropped at the posture in force

`cordon COMMAND --help` says more.";

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
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The gateway's socket. Without it, that of CORDON_SOCKET, or else /run/cordon/cordond.sock.
    // Not by clap's `env`: to clap, a variable that is set is an argument that was given, and no help is shown.
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// A table for people, or the API's JSON for programs.
    #[arg(long, global = true, value_name = "FORM", default_value = "table")]
    pub output: Form,
    /// No colour, even on a terminal. A variable NO_COLOR that is not empty does the same.
    #[arg(long, global = true)]
    pub no_color: bool,
    /// How long to wait for the gateway's answer.
    #[arg(long, global = true, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
}

impl Global {
    /// Where the gateway is.
    pub fn socket(&self) -> PathBuf {
        let set = std::env::var_os("CORDON_SOCKET").filter(|path| !path.is_empty());
        let known = || set.map_or_else(|| cordon_protocol::SOCKET.into(), PathBuf::from);
        self.socket.clone().unwrap_or_else(known)
    }
}

/// What output looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum Form {
    Table,
    Json,
}

/// What to do.
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

/// A length of time, in whole seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let examples = "write a number and its unit: 90s, 10m, 2h, 1d, 1h30m";
    match humantime::parse_duration(text) {
        Ok(duration) if duration.as_secs() == 0 => {
            Err(format!("that is less than a second; {examples}"))
        }
        Ok(duration) if duration.subsec_nanos() != 0 => {
            Err(format!("seconds are the smallest unit; {examples}"))
        }
        // More than that is a mistyped unit, and would not fit into a date.
        Ok(duration) if duration.as_secs() > 366 * 86_400 => {
            Err(format!("that is more than a year; {examples}"))
        }
        Ok(duration) => Ok(duration),
        Err(_) => Err(examples.to_owned()),
    }
}

/// A text that says something.
pub fn words(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it is empty".to_owned()),
        // What was pasted may have line breaks, which an order that is in a hurry is not refused for.
        words => Ok(words.replace(char::is_control, " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_the_command_line_in_order() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn the_help_names_the_socket_that_is_used() {
        let help = <Cli as clap::CommandFactory>::command()
            .render_long_help()
            .to_string();
        assert!(help.contains(cordon_protocol::SOCKET), "{help}");
    }

    #[test]
    fn what_is_pasted_becomes_one_line() {
        let said = words(" seen at\nRockville\x1b[31m ");
        assert_eq!(said.as_deref(), Ok("seen at Rockville [31m"));
        assert!(words(" \n").is_err());
    }

    #[test]
    fn durations_are_whole_seconds_up_to_a_year() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "10", "m", "10 parsecs", "0s", "1500ms", "2y", "-1h"] {
            let error = duration(wrong).expect_err(wrong);
            assert!(error.contains("10m"), "{wrong}: {error}");
        }
    }
}
