//! The tasks of the project: `cargo xtask --help`.

mod fuzz;
mod help;
mod lint;
mod package;
mod run;
mod setup;
mod step;
mod test;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

/// The exit code for a wrong command line, the same as that of `clap`.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => {
            eprint!("{}", help::OVERVIEW);
            return ExitCode::from(USAGE);
        }
    };
    if matches!(task, "help" | "-h" | "--help") {
        print!(
            "{}",
            rest.first()
                .map_or(Some(help::OVERVIEW), |task| help::of(task))
                .unwrap_or(help::OVERVIEW)
        );
        return ExitCode::SUCCESS;
    }
    let Some(text) = help::of(task) else {
        eprint!("there is no task `{task}`\n\n{}", help::OVERVIEW);
        return ExitCode::from(USAGE);
    };
    // Arguments after `--` are for the program that the task runs.
    let own = rest.iter().take_while(|argument| *argument != "--");
    if own
        .into_iter()
        .any(|argument| argument == "-h" || argument == "--help")
    {
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    if task == "setup" && !rest.is_empty() {
        eprint!(
            "`{task}` takes no arguments, but got `{}`\n\n{text}",
            rest.join(" ")
        );
        return ExitCode::from(USAGE);
    }
    let workspace = Workspace::here();
    let outcome = match task {
        "setup" => setup::run(&workspace, setup::Purpose::Test).map(|()| ExitCode::SUCCESS),
        "test" => test::run(&workspace, rest),
        "demo" => run::demo(&workspace, rest),
        "bench" => run::bench(&workspace, rest),
        "fuzz" => fuzz::run(&workspace, rest),
        "package" => package::run(&workspace, rest),
        _ => lint::run(&workspace, rest),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("\nxtask {task}: {error:#}");
        ExitCode::FAILURE
    })
}
