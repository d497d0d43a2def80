//! `cordon-pages DIR`: writes the manual pages and shell completions into a directory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

fn main() -> Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.context("usage: cordon-pages DIR")?;
    write(&directory)
}

fn write(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let daemon = cordon_gateway::command().about("The daemon of a Cordon gateway");
    page(directory, &daemon, "8", daemon.get_name())?;
    let mut line = cordon_cli::command();
    line.build();
    pages(directory, &line, line.get_name())?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut line.clone(), "cordon", directory)?;
    }
    Ok(())
}

/// The pages of a command and of its subcommands: `cordon-quarantine-site.1`.
fn pages(directory: &Path, command: &Command, name: &str) -> Result<()> {
    page(directory, command, "1", name)?;
    for subcommand in command.get_subcommands() {
        pages(
            directory,
            subcommand,
            &format!("{name}-{}", subcommand.get_name()),
        )?;
    }
    Ok(())
}

fn page(directory: &Path, command: &Command, section: &str, name: &str) -> Result<()> {
    let mut command = command.clone();
    // The first line alone: what `apropos` and the page's head show.
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    let first = about.lines().next().unwrap_or_default().to_owned();
    if command.get_long_about().is_none() && about != first {
        command = command.long_about(about.clone());
    }
    command = command.about(first);
    let path = directory.join(format!("{name}.{section}"));
    let mut out = Vec::new();
    Man::new(command)
        .title(name.to_uppercase())
        .section(section)
        // The date of the build would differ from build to build.
        .date("")
        .render(&mut out)?;
    fs::write(&path, out).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_every_shell_its_completions() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        write(directory.path()).expect("the pages are written");
        for name in [
            "cordond.8",
            "cordon.1",
            "cordon-status.1",
            "cordon-quarantine.1",
            "cordon.bash",
            "_cordon",
            "cordon.fish",
        ] {
            let text = fs::read_to_string(directory.path().join(name));
            assert!(!text.expect(name).is_empty(), "{name}");
        }
        let page = fs::read_to_string(directory.path().join("cordond.8")).expect("is there");
        assert!(page.contains("gateway.toml"), "{page}");
    }
}
