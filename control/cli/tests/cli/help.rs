//! Help texts and usage errors.

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
    assert_eq!(fake.calls(), [""; 0], "help makes no call");
}

/// The help shows how to quarantine before anything else.
#[test]
fn help_starts_with_the_quarantine() {
    let help = cordon(&Fake::new(&[]), "--help");
    let above = help
        .stdout
        .split("Usage:")
        .next()
        .expect("text before the usage");
    assert!(above.contains("cordon quarantine site --reason"), "{above}");
}

#[test]
fn without_a_command_the_help_is_printed() {
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
fn without_a_scope_the_scopes_are_listed() {
    snapshot::text(
        "quarantine-no-scope",
        &cordon(&Fake::new(&[]), "quarantine").transcript,
    );
    snapshot::text(
        "release-no-scope",
        &cordon(&Fake::new(&[]), "release").transcript,
    );
}

/// `cordon help quarantine site`, as with other tools.
#[test]
fn help_works_as_a_command() {
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

/// A word that is no command gets a hint by its meaning: `contain` is similar to `confirm`, but means `quarantine`.
#[test]
fn unknown_commands_come_with_a_hint() {
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
    assert_eq!(fake.calls(), [""; 0], "no call is made");
}
