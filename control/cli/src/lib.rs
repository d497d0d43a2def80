//! `cordon`, the command line: a library, so that its manual pages are made from the definition that it parses.

mod app;
mod args;
mod client;
mod commands;
mod error;
mod parse;
mod render;
mod text;
mod usage;

use std::process::ExitCode;

use app::App;
use args::Form;
use client::Client;
use error::{Error, Exit};
use render::{Out, Style};
use text::clean;
use usage::UsageError;

/// The definition of the command line, for manual pages and completions.
pub fn command() -> clap::Command {
    <args::Cli as clap::CommandFactory>::command()
}

/// Runs what the command line says.
pub fn main() -> ExitCode {
    let parsed = usage::parse(std::env::args_os());
    let is_colour_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return print_usage_error(&error, &mut Out::stderr(!is_colour_unwanted)),
    };
    let colour = !cli.global.no_color && !is_colour_unwanted;
    let mut out = Out::stdout(colour);
    let mut err = Out::stderr(colour);
    let json = cli.global.output == Form::Json;
    let result = Client::new(&cli.global.socket(), cli.global.timeout).and_then(|gateway| {
        let mut app = App {
            gateway,
            out: Out::stdout(colour),
            err: Out::stderr(colour),
            json,
        };
        let exit = cli.command.run(&mut app);
        // Output from before an error is printed too.
        app.out.flush().and(exit)
    });
    let exit = result.unwrap_or_else(|error| print_error(&error, &mut out, &mut err, json));
    ExitCode::from(exit as u8)
}

/// Prints what is wrong with a command line, and what to type instead. For clap, help is an error too.
fn print_usage_error(error: &UsageError, err: &mut Out) -> ExitCode {
    let (hint, code) = match error {
        UsageError::Word {
            word,
            problem,
            hint,
        } => {
            let label = err.style(Style::Bad, "error");
            let _ = err.line(format_args!("{label}: `{}` {problem}", clean(word)));
            (Some(hint), Exit::Usage as u8)
        }
        UsageError::Clap { error, hint } => {
            let _ = error.print();
            let code = match error.use_stderr() {
                true => Exit::Usage,
                false => Exit::Success,
            };
            (hint.as_ref(), code as u8)
        }
    };
    if let Some(hint) = hint {
        let _ = err.line(format_args!("  hint: {hint}"));
    }
    ExitCode::from(code)
}

/// Prints an error and what to do about it. If standard error fails too, there is no other place to report it.
fn print_error(error: &Error, out: &mut Out, err: &mut Out, json: bool) -> Exit {
    if let (true, Error::Refused(failure)) = (json, error) {
        let _ = out
            .json(&serde_json::json!(failure))
            .and_then(|()| out.flush());
    }
    let label = err.style(Style::Bad, "error");
    let _ = err.line(format_args!("{label}: {}", clean(&error.to_string())));
    if let Some(hint) = error.hint() {
        let _ = err.line(format_args!("  hint: {}", clean(&hint)));
    }
    error.exit()
}
