//! Invalid commands, full disks, damaged state and hostile API clients: each is reported, and none opens the site.

mod clients;
mod commands;
mod state;

use cordon_lab::{Gateway, Output, Result};

/// Checks that a command ends with this exit code and prints all of `words`.
fn check_fails(gateway: &Gateway, command: &[&str], exit: i32, words: &[&str]) -> Result<()> {
    let output = gateway.cordon(command)?;
    let text = text(&output);
    assert_eq!(output.status.code(), Some(exit), "{command:?}: {text}");
    for words in words {
        assert!(
            text.contains(words),
            "{command:?} does not print {words:?}: {text}"
        );
    }
    assert!(!text.contains("panicked"), "{command:?}: {text}");
    Ok(())
}

fn text(output: &Output) -> String {
    output.stdout.clone() + &output.stderr
}
