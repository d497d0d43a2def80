//! The help is the manual that people have at three in the morning.

use crate::fake::Fake;
use crate::run::cordon;
use crate::snapshot;

#[test]
fn help_of_every_command() {
    let fake = Fake::new(&[]);
    let top = cordon(&fake, "--help");
    snapshot::text("help", &top.transcript);
    let commands = top
        .stdout
        .split("Commands:")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next())
        .expect("a list");
    let mut names: Vec<&str> = commands
        .lines()
        .filter_map(|line| {
            line.strip_prefix("  ")?
                .split(' ')
                .next()
                .filter(|name| !name.is_empty())
        })
        .collect();
    assert_eq!(names.len(), 13, "{names:?}");
    names.extend(["quarantine site", "release site"]);
    for name in names {
        let help = cordon(&fake, &format!("{name} --help"));
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{name}");
        snapshot::text(
            &format!("help-{}", name.replace(' ', "-")),
            &snapshot::without_reasons(&help.transcript),
        );
    }
    assert_eq!(fake.heard(), [""; 0], "help asks nobody");
}

/// Whoever has never seen the tool is led to the one action.
#[test]
fn help_leads_to_the_quarantine() {
    let help = cordon(&Fake::new(&[]), "--help");
    let above = help.stdout.split("Usage:").next().expect("something");
    assert!(above.contains("cordon quarantine site --reason"), "{above}");
}

#[test]
fn no_command_is_answered_with_help() {
    let fake = Fake::new(&[]);
    let output = crate::run::program(&fake.socket())
        .output()
        .expect("it runs");
    let ran = crate::run::ran("", &fake.socket(), &output);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("cordon quarantine site --reason"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_quarantine_of_nothing_says_what_there_is() {
    snapshot::text(
        "quarantine-no-scope",
        &cordon(&Fake::new(&[]), "quarantine").transcript,
    );
    snapshot::text(
        "release-no-scope",
        &cordon(&Fake::new(&[]), "release").transcript,
    );
}

/// `cordon help quarantine site` is what other tools taught people to type.
#[test]
fn help_is_a_word_too() {
    let fake = Fake::new(&[]);
    for (word, flag) in [
        ("help", "--help"),
        ("help quarantine", "quarantine --help"),
        ("help quarantine site", "quarantine site --help"),
    ] {
        let (word, flag) = (cordon(&fake, word), cordon(&fake, flag));
        assert_eq!((word.code, &word.stdout), (0, &flag.stdout));
    }
    assert_eq!(cordon(&fake, "help nonsense").code, 2);
}

/// What sounds like a command is told for what it means: `contain` is nearly `confirm`, and another thing.
#[test]
fn words_that_are_no_commands() {
    let fake = Fake::new(&[]);
    for (name, line) in [
        ("usage-posture", "contain"),
        ("usage-open", "unquarantine site"),
        ("usage-events", "events"),
        ("usage-mistyped", "statsu"),
        ("usage-reason-without-scope", "quarantine --reason fire"),
        ("usage-device", "quarantine ct-1 --reason fire"),
    ] {
        snapshot::text(name, &cordon(&fake, line).transcript);
    }
    assert_eq!(fake.heard(), [""; 0], "nobody is asked");
}
