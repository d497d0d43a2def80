//! `cordon`, the command line.

mod args;
mod client;
mod commands;
mod error;
mod render;
mod usage;

use std::process::ExitCode;

use args::Form;
use client::Client;
use error::{Error, Exit};
use render::{Ink, Out};
use usage::Wrong;

/// What every command works with.
pub struct App {
    /// The gateway.
    pub gateway: Client,
    /// Standard output: what was asked for.
    pub out: Out,
    /// Standard error: everything else.
    pub err: Out,
    /// Whether to print the API's JSON.
    pub json: bool,
}

fn main() -> ExitCode {
    let read = usage::read(std::env::args_os());
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let cli = match read {
        Ok(cli) => cli,
        Err(wrong) => return misread(&wrong, &mut Out::stderr(!unwanted)),
    };
    let colour = !cli.global.no_color && !unwanted;
    let mut out = Out::stdout(colour);
    let mut err = Out::stderr(colour);
    let json = cli.global.output == Form::Json;
    let done = Client::new(&cli.global.socket(), cli.global.timeout).and_then(|gateway| {
        let mut app = App {
            gateway,
            out: Out::stdout(colour),
            err: Out::stderr(colour),
            json,
        };
        let exit = commands::run(cli.command, &mut app);
        // What was printed before an error is worth having too.
        app.out.flush().and(exit)
    });
    let exit = done.unwrap_or_else(|error| complain(&error, &mut out, &mut err, json));
    ExitCode::from(exit as u8)
}

/// Says what is wrong with a command line, and what was perhaps meant. To clap, help is an error too.
fn misread(wrong: &Wrong, err: &mut Out) -> ExitCode {
    let (hint, code) = match wrong {
        Wrong::Word(word, what, hint) => {
            let error = err.ink(Ink::Bad, "error");
            let _ = err.line(format_args!("{error}: `{}` {what}", render::clean(word)));
            (Some(hint), Exit::Usage as u8)
        }
        Wrong::Clap(error, hint) => {
            let _ = error.print();
            (hint.as_ref(), if error.use_stderr() { 2 } else { 0 })
        }
    };
    if let Some(hint) = hint {
        let _ = err.line(format_args!("  hint: {hint}"));
    }
    ExitCode::from(code)
}

/// Says what went wrong and what to do. Where standard error fails too, nobody is left to be told.
fn complain(error: &Error, out: &mut Out, err: &mut Out, json: bool) -> Exit {
    if let (true, Error::Refused(failure)) = (json, error) {
        let _ = out
            .json(&serde_json::json!(failure))
            .and_then(|()| out.flush());
    }
    let word = err.ink(Ink::Bad, "error");
    let _ = err.line(format_args!(
        "{word}: {}",
        render::clean(&error.to_string())
    ));
    if let Some(hint) = error.hint() {
        let _ = err.line(format_args!("  hint: {}", render::clean(&hint)));
    }
    error.exit()
}
