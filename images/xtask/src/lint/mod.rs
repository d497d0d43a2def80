//! The gates that a change has to pass besides the tests: the project's own rules, rustfmt, clippy.

mod clippy;
mod direction;
mod documents;
mod files;
mod format;
mod identifiers;
mod layout;
mod members;
mod names;
mod sources;

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use members::Members;

/// Crates outside the workspace: programs for the kernel, and what is linked with libFuzzer.
const OUTSIDE: &[&str] = &["dataplane/xdp", "benches/programs", "tests/fuzz/targets"];

/// Those of them that are built for eBPF.
const EBPF: &[&str] = &["dataplane/xdp", "benches/programs"];

/// A check of the whole tree.
struct Gate {
    name: &'static str,
    /// Prints every problem, and returns what the reader can do about them: no line if the gate is passed.
    check: fn(&Workspace) -> Result<Vec<String>>,
}

/// The cheapest first.
const GATES: &[Gate] = &[
    Gate {
        name: "rules",
        check: rules,
    },
    Gate {
        name: "names",
        check: banned_names,
    },
    Gate {
        name: "rustfmt",
        check: format::check,
    },
    Gate {
        name: "clippy",
        check: clippy::workspace,
    },
    Gate {
        name: "clippy-ebpf",
        check: clippy::ebpf,
    },
];

/// A gate that was not passed.
pub struct Failure {
    pub gate: &'static str,
    /// What to do about it.
    pub remedies: Vec<String>,
}

impl Failure {
    pub fn print(&self) {
        println!("failed: {}. To correct it:", self.gate);
        for remedy in &self.remedies {
            println!("  {remedy}");
        }
    }
}

/// `cargo xtask lint [GATE]...`
pub fn run(workspace: &Workspace, wanted: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = wanted
        .iter()
        .find(|name| GATES.iter().all(|gate| gate.name != **name))
    {
        let known: Vec<&str> = GATES.iter().map(|gate| gate.name).collect();
        eprintln!(
            "there is no gate `{unknown}`: there are {}",
            known.join(", ")
        );
        return Ok(ExitCode::from(crate::USAGE));
    }
    let failures = check(workspace, |name| {
        wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)
    })?;
    if failures.is_empty() {
        println!("\nlint: passed");
        return Ok(ExitCode::SUCCESS);
    }
    println!();
    failures.iter().for_each(Failure::print);
    Ok(ExitCode::FAILURE)
}

/// Checks every gate, and returns those that failed.
pub fn all(workspace: &Workspace) -> Result<Vec<Failure>> {
    check(workspace, |_| true)
}

fn check(workspace: &Workspace, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Failure>> {
    let mut failures = Vec::new();
    for gate in GATES.iter().filter(|gate| is_wanted(gate.name)) {
        println!("lint: {}", gate.name);
        let remedies = (gate.check)(workspace)?;
        if !remedies.is_empty() {
            failures.push(Failure {
                gate: gate.name,
                remedies,
            });
        }
    }
    Ok(failures)
}

fn rules(workspace: &Workspace) -> Result<Vec<String>> {
    let members = Members::read(workspace)?;
    let mut problems = direction::problems(&members);
    problems.extend(layout::problems(&workspace.root, &members)?);
    problems.extend(sources::problems(&workspace.root)?);
    problems.extend(documents::problems(&workspace.root)?);
    Ok(report(
        &problems,
        "change the places named above, then: cargo xtask lint rules",
    ))
}

fn banned_names(workspace: &Workspace) -> Result<Vec<String>> {
    let problems = names::problems(&workspace.root)?;
    Ok(report(
        &problems,
        "rename what is named above, then: cargo xtask lint names",
    ))
}

/// Prints problems; returns the remedy if there are any.
fn report(problems: &[String], remedy: &str) -> Vec<String> {
    for problem in problems {
        println!("  {problem}");
    }
    match problems.len() {
        0 => Vec::new(),
        1 => vec![format!("1 problem: {remedy}")],
        count => vec![format!("{count} problems: {remedy}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_have_distinct_names_that_the_help_explains() {
        let help = crate::help::of("lint").expect("is a task");
        for (index, gate) in GATES.iter().enumerate() {
            let again = GATES[..index].iter().any(|other| other.name == gate.name);
            assert!(!again, "{} is there twice", gate.name);
            assert!(
                help.contains(&format!("\n  {} ", gate.name)),
                "{}",
                gate.name
            );
        }
    }

    #[test]
    fn problems_are_counted_in_the_remedy() {
        assert!(report(&[], "x").is_empty());
        assert_eq!(report(&["a".into()], "x"), ["1 problem: x"]);
        assert_eq!(report(&["a".into(), "b".into()], "x"), ["2 problems: x"]);
    }
}
