//! Invalid commands.

use cordon_integration::hospital;
use cordon_integration::steps::{hash, posture, variant};
use cordon_lab::Result;
use cordon_policy::Posture;

use super::check_fails;

#[test]
fn invalid_commands_print_the_error_and_change_no_state() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    let down = ["is cordond running", "no gateway answers at"];
    for command in [
        &["status"][..],
        &["quarantine", "site", "--reason", "drill"],
        &["apply", &gateway.policy().display().to_string()],
    ] {
        check_fails(gateway, command, 3, &down)?;
    }

    gateway.start_with_policy()?;
    let policy = hash(gateway)?;
    let wrong = variant(
        &lab,
        "wrong",
        &[
            ("policy.yaml", "service: syslog", "service: sysloq"),
            (
                "devices.csv",
                "ct-1,02:00:5e:21:00:11",
                "ct-1,02:00:5e:21:00",
            ),
        ],
    )?;
    let broken = variant(
        &lab,
        "broken",
        &[(
            "policy.yaml",
            "survives: lockdown, owner: radiology",
            "owner: radiology",
        )],
    )?;
    for (command, exit, words) in [
        (
            &["explain", "no-such-device", "pacs", "dicom"][..],
            1,
            &["no-such-device", "cordon devices"][..],
        ),
        (
            &["flows", "--device", "pump-7"],
            1,
            &["there is no device `pump-7`", "pump-1"],
        ),
        (
            &[
                "quarantine",
                "site",
                "--reason",
                "drill",
                "--for",
                "10 parsecs",
            ],
            2,
            &[
                "10 parsecs",
                "write a number and its unit: 90s, 10m, 2h, 1d",
            ],
        ),
        (
            &["quarantine", "site", "--reason", "drill", "--for", "0s"],
            2,
            &["less than a second"],
        ),
        (&["quarantine", "site"], 2, &["--reason"]),
        (&["quarantine", "site", "--reason", " "], 2, &["empty"]),
        (
            &["quarantine", "ward-3", "--reason", "drill"],
            2,
            &["ward-3", "<SCOPE>"],
        ),
        (
            &[
                "quarantine",
                "site",
                "--reason",
                "drill",
                "--posture",
                "panic",
            ],
            2,
            &["panic", "lockdown"],
        ),
        (
            &["release", "site", "--reason", "over"],
            1,
            &["nothing to release"],
        ),
        (&["confirm"], 1, &["nothing to confirm"]),
        (&["apply", "/nowhere"], 1, &["/nowhere"]),
        // Every error is printed with its position.
        (
            &["apply", &wrong],
            1,
            &[
                "policy.yaml:",
                "sysloq",
                "syslog",
                "devices.csv:2",
                "2 errors",
            ],
        ),
        // A violated invariant.
        (
            &["apply", &broken],
            1,
            &["policy.yaml:", "ct", "pacs", "lockdown"],
        ),
        (&["apply", &wrong, "--confirm", "soon"], 2, &["soon", "10m"]),
    ] {
        check_fails(gateway, command, exit, words)?;
        assert_eq!(hash(gateway)?, policy, "{command:?}");
        assert_eq!(posture(gateway)?, Posture::Normal, "{command:?}");
    }
    Ok(())
}
