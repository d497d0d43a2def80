//! The alert rules are valid, fire when they should, and name metrics that the daemon exposes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cordon_integration::hospital;
use cordon_lab::Result;

fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images/monitoring")
}

#[test]
fn every_alert_fires_when_it_should() {
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "cordon.tests.yml"],
    ] {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(monitoring())
            .output()
            .expect("promtool runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(output.status.success(), "{arguments:?}: {text}");
    }
    let rules = fs::read_to_string(monitoring().join("cordon.rules.yml")).expect("is there");
    let tests = fs::read_to_string(monitoring().join("cordon.tests.yml")).expect("is there");
    for line in rules.lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            let fires = tests.contains(&format!("alertname: {alert}\n"));
            assert!(fires, "no test sees {alert} fire");
        }
    }
}

#[test]
fn the_rules_name_metrics_that_the_daemon_exposes() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let exposed = gateway.metrics()?;
    let rules = fs::read_to_string(monitoring().join("cordon.rules.yml")).expect("is there");
    let mut named = 0;
    for line in rules.lines().filter(|line| line.contains("expr:")) {
        let is_part = |byte: char| byte.is_ascii_alphanumeric() || byte == '_' || byte == ':';
        for word in line.split(|byte| !is_part(byte)) {
            // Not those that the recording rules make.
            if word.starts_with("cordon_") {
                named += 1;
                let is_exposed = exposed.contains(&format!("# TYPE {word} "));
                assert!(is_exposed, "the daemon does not expose {word}");
            }
        }
    }
    assert!(named > 8, "only {named} metrics found in the rules");
    Ok(())
}
