//! The exposition: every metric, with the value that belongs to it.

use std::io::Write;
use std::process::{Command, Stdio};

use cordon_kernel::TableBytes;
use cordon_verdict::Reason;
use cordon_verdict::abi::Counter;

use super::*;
use crate::engine::{Counts, order_seconds};
use crate::observed::Totals;

/// A snapshot whose values are distinct and nonzero.
fn full() -> Snapshot {
    let counter = |packets| Counter {
        packets,
        bytes: packets * 100,
    };
    Snapshot {
        counts: Counts {
            passed: counter(101),
            drops: Reason::ALL
                .iter()
                .map(|reason| (*reason, counter(1)))
                .collect(),
            rules: Vec::new(),
            forbidden: 102,
            events_lost: 1,
        },
        rules: vec![
            ("a".to_owned(), counter(103)),
            ("b \"c\"".to_owned(), counter(104)),
        ],
        flows: [105, 106],
        flows_limit: 107,
        flows_removed: 108,
        observed: vec![(
            "guest".to_owned(),
            Totals {
                flows: 119,
                bytes: 120,
            },
        )],
        events_missed: 109,
        devices: [111, 112],
        posture: 2,
        orders: 113,
        generation: 114,
        policy: [115, 116, 117],
        compile_seconds: 0.5,
        install_seconds: 0.25,
        table_bytes: TableBytes {
            policy: Some(121),
            flows: 122,
            other: 123,
        },
        unconfirmed: true,
        ports: vec![("access0".to_owned(), "eth1".to_owned(), true)],
        warnings: 118,
    }
}

fn rendered() -> String {
    let seconds = order_seconds();
    seconds.observe(0.01);
    render(&full(), &seconds).expect("is well formed")
}

#[test]
fn every_metric_has_help_text_and_depends_on_the_snapshot() {
    let text = rendered();
    let blank = render(&Snapshot::default(), &order_seconds()).expect("is well formed");
    for Definition { name, help, .. } in TABLE {
        assert!(text.contains(&format!("# HELP {name} {help}\n")), "{name}");
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| {
                line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} "))
            })
            .collect();
        assert!(!lines.is_empty(), "{name}");
        for line in lines {
            let moved = !blank.lines().any(|other| other == line);
            assert!(moved || *name == "cordon_build_info", "{line}");
            assert!(!line.ends_with(" 0"), "{line}");
        }
    }
    assert!(text.contains("cordon_order_seconds_bucket{le=\"0.01\"} 1\n"));
    assert!(text.contains("# HELP process_resident_memory_bytes"));
}

#[test]
fn each_value_is_exported_under_its_name_and_labels() {
    let text = rendered();
    for line in [
        "cordon_packets_total{verdict=\"passed\"} 101",
        "cordon_bytes_total{verdict=\"passed\"} 10100",
        "cordon_packets_forbidden_after_acknowledgement_total 102",
        "cordon_rule_packets_total{rule=\"a\"} 103",
        "cordon_rule_bytes_total{rule=\"b \\\"c\\\"\"} 10400",
        "cordon_flows{state=\"established\"} 105",
        "cordon_flows{state=\"half-open\"} 106",
        "cordon_observed_flows_total{segment=\"guest\"} 119",
        "cordon_observed_bytes_total{segment=\"guest\"} 120",
        "cordon_devices{state=\"unseen\"} 112",
        "cordon_posture{scope=\"site\"} 2",
        "cordon_table_bytes{table=\"policy\"} 121",
        "cordon_table_bytes{table=\"flows\"} 122",
        "cordon_table_bytes{table=\"other\"} 123",
        "cordon_events_lost_total 110",
        "cordon_port_up{device=\"eth1\",port=\"access0\"} 1",
    ] {
        let found = text.lines().any(|found| found == line);
        let other = line.replace(
            "device=\"eth1\",port=\"access0\"",
            "port=\"access0\",device=\"eth1\"",
        );
        assert!(
            found || text.lines().any(|found| found == other),
            "{line}\n{text}"
        );
    }
    let dropped = format!(
        "cordon_packets_total{{verdict=\"dropped\"}} {}",
        Reason::ALL.len()
    );
    assert!(text.lines().any(|line| line == dropped));
}

#[test]
fn promtool_accepts_the_exposition() {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed (Debian's package prometheus)");
    let mut input = promtool.stdin.take().expect("is piped");
    input.write_all(rendered().as_bytes()).expect("reads");
    drop(input);
    let output = promtool.wait_with_output().expect("ends");
    let report = [output.stdout, output.stderr].concat();
    let report = String::from_utf8_lossy(&report);
    assert!(output.status.success() && report.is_empty(), "{report}");
}
