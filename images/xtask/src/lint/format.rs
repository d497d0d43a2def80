//! rustfmt.

use anyhow::Result;

use super::OUTSIDE;
use crate::workspace::{self, Workspace};

/// Prints what rustfmt would change, and returns the commands that change it.
pub fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let mut remedies = Vec::new();
    for arguments in selections() {
        let mut command = workspace.cargo();
        command.arg("fmt").args(&arguments).arg("--check");
        if !workspace::run(&mut command)?.success() {
            remedies.push(format!("cargo fmt {}", arguments.join(" ")));
        }
    }
    Ok(remedies)
}

/// The arguments of `cargo fmt` that together select every crate.
fn selections() -> Vec<Vec<String>> {
    let outside = OUTSIDE.iter().map(|folder| {
        let manifest = format!("{folder}/Cargo.toml");
        vec!["--manifest-path".to_owned(), manifest]
    });
    std::iter::once(vec!["--all".to_owned()])
        .chain(outside)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_outside_the_workspace_are_formatted_too() {
        let commands: Vec<String> = selections().iter().map(|words| words.join(" ")).collect();
        assert_eq!(commands.len(), 1 + OUTSIDE.len());
        assert_eq!(commands[0], "--all");
        assert!(commands.contains(&"--manifest-path dataplane/xdp/Cargo.toml".to_owned()));
    }
}
