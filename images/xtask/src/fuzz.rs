//! Builds the fuzz targets of `tests/fuzz`, and runs them one after another.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

use crate::setup::{self, Purpose};
use crate::step::Steps;
use crate::workspace::{self, Workspace};

const TARGETS: &[&str] = &["frames", "policy", "api"];
/// Of cargo-fuzz. Pinned: another version may need another compiler.
const VERSION: &str = "0.13.2";
/// How long each target runs by default.
const MINUTES: u64 = 5;

/// The targets to run, and for how long.
#[derive(Debug, PartialEq, Eq)]
struct Arguments<'a> {
    targets: Vec<&'a str>,
    minutes: u64,
}

impl<'a> Arguments<'a> {
    fn parse(arguments: &'a [String]) -> Result<Arguments<'a>> {
        let mut targets = Vec::new();
        let mut minutes = MINUTES;
        let mut arguments = arguments.iter().map(String::as_str);
        while let Some(argument) = arguments.next() {
            let value = match argument.strip_prefix("--minutes") {
                Some("") => arguments.next(),
                Some(rest) => rest.strip_prefix('='),
                None => {
                    ensure!(
                        TARGETS.contains(&argument),
                        "there is no target `{argument}`: there are {}",
                        TARGETS.join(", ")
                    );
                    targets.push(argument);
                    continue;
                }
            };
            minutes = value
                .and_then(|value| value.parse().ok())
                .context("`--minutes` takes a number: `--minutes 60`")?;
        }
        if targets.is_empty() {
            targets = TARGETS.to_vec();
        }
        Ok(Arguments { targets, minutes })
    }
}

pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let Arguments { targets, minutes } = Arguments::parse(arguments)?;
    setup::run(workspace, Purpose::Run)?;
    install_cargo_fuzz(workspace)?;
    let mut failed = Vec::new();
    for target in &targets {
        println!("fuzz: {target}, {minutes} minutes");
        if !fuzz(workspace, target, minutes)? {
            failed.push(*target);
        }
    }
    if failed.is_empty() {
        println!("fuzz: no failing input found");
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "fuzz: failing input found by {}: it is in {}; tests/fuzz/README.md says what to do with it",
        failed.join(", "),
        workspace.target.join("fuzz/found").display()
    );
    Ok(ExitCode::FAILURE)
}

/// cargo-fuzz knows the many compiler flags that libFuzzer needs.
fn install_cargo_fuzz(workspace: &Workspace) -> Result<()> {
    let version = workspace.cargo().args(["fuzz", "--version"]).output()?;
    if version.status.success() {
        return Ok(());
    }
    let steps = Steps::new(workspace.target.join("setup.log"))?;
    steps.run(
        &format!("building cargo-fuzz {VERSION} (half a minute)"),
        workspace
            .cargo()
            .args(["install", "cargo-fuzz", "--version", VERSION, "--locked"])
            .env_remove("RUSTFLAGS"),
    )
}

/// Runs a target. Returns whether every input passed.
fn fuzz(workspace: &Workspace, target: &str, minutes: u64) -> Result<bool> {
    let folder = workspace.target.join("fuzz");
    let built = workspace::run(
        workspace
            .cargo()
            .args(["fuzz", "build", "--fuzz-dir", "tests/fuzz/targets"])
            // A stable compiler has no sanitizers, and the crates under test forbid unsafe code.
            .args(["--sanitizer", "none", target, "--target-dir"])
            .arg(&folder),
    )?;
    if !built.success() {
        bail!("building {target} failed");
    }
    // Not `cargo fuzz run`: it creates folders next to the sources.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let program = folder.join(platform).join("release").join(target);
    let corpus = folder.join("corpus").join(target);
    let found = folder.join("found").join(target);
    for folder in [&corpus, &found] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let sources = workspace.root.join("tests/fuzz");
    let committed = ["seeds", "found"].map(|folder| sources.join(folder).join(target));
    let mut command = Command::new(program);
    command
        .arg(corpus)
        .args(committed.iter().filter(|folder| folder.is_dir()))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg(format!("-max_total_time={}", minutes * 60))
        .args(["-max_len=8192", "-timeout=20", "-rss_limit_mb=2048"])
        .arg("-print_final_stats=1");
    let dictionary = sources.join("dictionaries").join(format!("{target}.dict"));
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    Ok(workspace::run(&mut command)?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(Vec<String>, u64)> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let Arguments { targets, minutes } = Arguments::parse(&arguments)?;
        Ok((targets.into_iter().map(str::to_owned).collect(), minutes))
    }

    #[test]
    fn targets_and_minutes_have_defaults() {
        let all: Vec<String> = TARGETS.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(parse("").expect("is right"), (all, MINUTES));
        let one = (vec!["api".to_owned()], 60);
        assert_eq!(parse("api --minutes 60").expect("is right"), one);
        assert_eq!(parse("--minutes=60 api").expect("is right"), one);
    }

    #[test]
    fn wrong_arguments_are_refused_with_advice() {
        for (line, message) in [
            ("apis", "there are frames, policy, api"),
            ("api --minutes", "takes a number"),
            ("api --minutes soon", "takes a number"),
            ("api --minutesx", "takes a number"),
        ] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(message), "{line}: {error}");
        }
    }
}
