//! The fuzz targets of `tests/fuzz`: built, and run one after another.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

use crate::setup::{self, Purpose};
use crate::step::Steps;
use crate::workspace::{self, Workspace};

const TARGETS: &[&str] = &["frames", "policy", "api"];
/// Another version may want another compiler.
const VERSION: &str = "0.13.2";
/// Of each target.
const MINUTES: u64 = 5;

/// What is to be run, and for how long.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    targets: Vec<&'a str>,
    minutes: u64,
}

impl<'a> Wanted<'a> {
    fn read(arguments: &'a [String]) -> Result<Wanted<'a>> {
        let mut targets = Vec::new();
        let mut minutes = MINUTES;
        let mut arguments = arguments.iter().map(String::as_str);
        while let Some(argument) = arguments.next() {
            let given = match argument.strip_prefix("--minutes") {
                Some("") => arguments.next(),
                Some(given) => given.strip_prefix('='),
                None => {
                    ensure!(
                        TARGETS.contains(&argument),
                        "there is no target `{argument}`: there is {}",
                        TARGETS.join(", ")
                    );
                    targets.push(argument);
                    continue;
                }
            };
            minutes = given
                .and_then(|given| given.parse().ok())
                .context("`--minutes` takes a number: `--minutes 60`")?;
        }
        if targets.is_empty() {
            targets = TARGETS.to_vec();
        }
        Ok(Wanted { targets, minutes })
    }
}

pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let wanted = Wanted::read(arguments)?;
    setup::run(workspace, Purpose::Run)?;
    install(workspace)?;
    let mut broken = Vec::new();
    for target in &wanted.targets {
        println!("fuzz: {target}, {} minutes", wanted.minutes);
        if !fuzz(workspace, target, wanted.minutes)? {
            broken.push(*target);
        }
    }
    if broken.is_empty() {
        println!("fuzz: nothing was found");
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "fuzz: something was found by {}: see {}, and tests/fuzz/README.md on what to do with it",
        broken.join(", "),
        workspace.target.join("fuzz/found").display()
    );
    Ok(ExitCode::FAILURE)
}

/// It sets the compiler's flags for libFuzzer, which are many and change.
fn install(workspace: &Workspace) -> Result<()> {
    let there = workspace.cargo().args(["fuzz", "--version"]).output()?;
    if there.status.success() {
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

/// Runs a target; whether nothing was found.
fn fuzz(workspace: &Workspace, target: &str, minutes: u64) -> Result<bool> {
    let here = workspace.target.join("fuzz");
    let built = workspace::run(
        workspace
            .cargo()
            .args(["fuzz", "build", "--fuzz-dir", "tests/fuzz/targets"])
            // A stable compiler has no sanitizers, and no crate of ours but the loader may be unsafe.
            .args(["--sanitizer", "none", target, "--target-dir"])
            .arg(&here),
    )?;
    if !built.success() {
        bail!("{target} was not built");
    }
    // Not `cargo fuzz run`: it makes folders beside the sources.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let program = here.join(platform).join("release").join(target);
    let corpus = here.join("corpus").join(target);
    let found = here.join("found").join(target);
    for folder in [&corpus, &found] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let sources = workspace.root.join("tests/fuzz");
    let kept = ["seeds", "found"].map(|folder| sources.join(folder).join(target));
    let mut command = Command::new(program);
    command
        .arg(corpus)
        .args(kept.iter().filter(|folder| folder.is_dir()))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg(format!("-max_total_time={}", minutes * 60))
        .args(["-max_len=8192", "-timeout=20", "-rss_limit_mb=2048"])
        .arg("-print_final_stats=1");
    let words = sources.join("dictionaries").join(format!("{target}.dict"));
    if words.exists() {
        command.arg(format!("-dict={}", words.display()));
    }
    Ok(workspace::run(&mut command)?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(Vec<String>, u64)> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let Wanted { targets, minutes } = Wanted::read(&arguments)?;
        Ok((targets.into_iter().map(str::to_owned).collect(), minutes))
    }

    #[test]
    fn one_target_or_all_for_as_long_as_is_asked() {
        let all: Vec<String> = TARGETS.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(read("").expect("is right"), (all, MINUTES));
        let one = (vec!["api".to_owned()], 60);
        assert_eq!(read("api --minutes 60").expect("is right"), one);
        assert_eq!(read("--minutes=60 api").expect("is right"), one);
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for (line, said) in [
            ("apis", "there is frames, policy, api"),
            ("api --minutes", "takes a number"),
            ("api --minutes soon", "takes a number"),
            ("api --minutesx", "takes a number"),
        ] {
            let error = read(line).expect_err(line).to_string();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
