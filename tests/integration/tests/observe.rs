//! From observe to enforce: in an observed segment, flows that enforcement would drop pass and are listed by device and
//! rule; new rules take flows off the list; and enforcement drops exactly the flows that are still listed.

use std::time::Duration;

use cordon_integration::exposition::Exposition;
use cordon_integration::hospital::{self, broadcast};
use cordon_integration::steps::{PATIENCE, quarantine, release, variant, wait_until};
use cordon_integration::watcher::Watcher;
use cordon_lab::{Flows, Gateway, Lab, Result, Running};
use cordon_policy::Posture;
use serde_json::Value;

const OBSERVED: [(&str, &str, &str); 3] = [
    (
        "site.yaml",
        "unknown: admit}",
        "unknown: admit, mode: observe}",
    ),
    (
        "site.yaml",
        "subnets: [10.23.0.0/24]}",
        "subnets: [10.23.0.0/24], isolate: true, mode: observe}",
    ),
    NO_SMB,
];
const NO_SMB: (&str, &str, &str) = (
    "policy.yaml",
    "rules:\n",
    "rules:\n  - {name: no-smb, from: guest, to: any, service: smb, action: deny}\n",
);

/// A flow that enforcement may drop.
struct Case {
    from: &'static str,
    to: &'static str,
    tcp: bool,
    port: u16,
    count: u32,
    /// The rule that would drop it, or `-` if no rule allows it. None if a rule allows it.
    would_drop: Option<&'static str>,
}

const fn case(
    from: &'static str,
    to: &'static str,
    (tcp, port): (bool, u16),
    count: u32,
    would_drop: Option<&'static str>,
) -> Case {
    Case {
        from,
        to,
        tcp,
        port,
        count,
        would_drop,
    }
}

const TCP: bool = true;
const UDP: bool = false;

const CASES: [Case; 7] = [
    case("guest", "internet", (TCP, 25), 2, Some("-")),
    case("guest", "records", (TCP, 445), 1, Some("no-smb")),
    case("guest", "internet", (TCP, 80), 3, None),
    case("guest", "internet", (UDP, 53), 2, None),
    case("station-1", "records", (UDP, 514), 1, Some("-")),
    case("station-1", "records", (TCP, 443), 2, None),
    case("rockville", "station-1", (TCP, 22), 1, Some("-")),
];

/// The port of broadcast announcements that no rule allows.
const ANNOUNCED: u16 = 6000;

#[test]
fn would_be_drops_pass_and_are_listed_by_device_and_rule() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start()?;
    gateway.must(&["apply", &variant(&lab, "observed", &OBSERVED)?])?;
    let watcher = Watcher::start(gateway, &["--output", "json"])?;
    wait_for_events(&lab, &watcher)?;

    // All flows pass.
    let mut running: Vec<Running> = Vec::new();
    for case in &CASES {
        running.push(start(&lab, case)?);
    }
    // So do broadcasts.
    let (from, to) = (lab.host("station-1")?, lab.host("station-2")?);
    let group = broadcast(&from);
    let announcement = Flows::udp(&from, &to, ANNOUNCED).to_address(group);
    running.push(announcement.one_way().start()?);
    for flows in &running {
        flows.established(PATIENCE)?;
    }
    let others = [
        "ct-1 guest icmp - 1".to_owned(),
        format!("station-1 {group} udp/{ANNOUNCED} - 1"),
    ];
    let expected = |keep: &dyn Fn(&Case) -> bool| {
        let mut all: Vec<String> = CASES
            .iter()
            .filter(|case| keep(case))
            .filter_map(row)
            .collect();
        all.extend(others.clone());
        all.sort();
        all
    };
    let all = expected(&|_| true);
    wait_for_list(&lab, &all)?;
    check_events(&lab, &watcher)?;
    check_views(gateway)?;
    drop(watcher);

    // The list survives a restart.
    gateway.stop()?;
    gateway.start()?;
    wait_for_list(&lab, &all)?;

    // Observe mode does not weaken a posture.
    let (guest, internet) = (lab.host("guest")?, lab.host("internet")?);
    quarantine(gateway, Posture::Contain)?;
    assert!(!guest.connects(internet.at(25), Duration::from_millis(300))?);
    release(gateway)?;
    assert!(guest.connects(internet.at(25), PATIENCE)?);

    // Flows that a rule allows leave the list.
    let rules = NO_SMB.2.to_owned()
        + "  - {name: station-logs, from: stations, to: records, service: syslog}\n\
           \x20 - {name: guest-mail, from: guest, to: world, service: tcp/25}\n";
    let mut written = OBSERVED;
    written[2].2 = &rules;
    gateway.must(&["apply", &variant(&lab, "written", &written)?])?;
    let left = expected(&|case| ![25, 514].contains(&case.port));
    wait_for_list(&lab, &left)?;

    // Enforcement drops the flows that are still listed.
    gateway.must(&[
        "apply",
        &variant(&lab, "enforced", &[("policy.yaml", NO_SMB.1, &rules)])?,
    ])?;
    wait_for_list(&lab, &[])?;
    for case in CASES.iter().filter(|case| case.tcp) {
        let (from, to) = (lab.host(case.from)?, lab.host(case.to)?);
        let is_allowed = case.would_drop.is_none() || case.port == 25;
        let within = match is_allowed {
            true => PATIENCE,
            false => Duration::from_millis(300),
        };
        let connected = from.connects(to.at(case.port), within)?;
        assert_eq!(
            connected, is_allowed,
            "{} to {}:{}",
            case.from, case.to, case.port
        );
    }
    Ok(())
}

/// Waits until the watcher receives events. Sends pings, which pass only because the guest segment is observed.
fn wait_for_events(lab: &Lab, watcher: &Watcher) -> Result<()> {
    let (ct, guest) = (lab.host("ct-1")?, lab.host("guest")?);
    let is_ping = |line: &String| line.contains("\"icmp\"");
    // All pings are one flow, because the lab sends them with the process's identifier.
    wait_until("an event is received", || {
        ct.ping(guest.ip(), 1)?;
        Ok(watcher.lines().iter().any(is_ping))
    })
}

fn start(lab: &Lab, case: &Case) -> Result<Running> {
    let (from, to) = (lab.host(case.from)?, lab.host(case.to)?);
    let flows = match case.tcp {
        true => Flows::tcp(&from, &to, case.port),
        false => Flows::udp(&from, &to, case.port),
    };
    flows
        .count(case.count)
        .every(Duration::from_millis(100))
        .start()
}

/// The expected row of the list: from, to, service, rule, flows.
fn row(case: &Case) -> Option<String> {
    let protocol = if case.tcp { "tcp" } else { "udp" };
    let Case {
        from,
        to,
        port,
        count,
        ..
    } = case;
    Some(format!(
        "{from} {to} {protocol}/{port} {} {count}",
        case.would_drop?
    ))
}

/// The lab's name of a flow's end: not all hosts are listed devices.
fn name(lab: &Lab, end: &Value) -> String {
    let ip = end["ip"].as_str().expect("the end has an address");
    let hosts = lab.hosts();
    let host = hosts.iter().find(|host| host.ip().to_string() == ip);
    host.map_or(ip, |host| host.name()).to_owned()
}

/// Waits until `cordon flows --would-drop` lists exactly these rows. Pings count as one flow.
fn wait_for_list(lab: &Lab, expected: &[String]) -> Result<()> {
    let mut before = Vec::new();
    wait_until(&format!("{expected:#?} is listed"), || {
        let answer = lab
            .gateway()
            .json(&["flows", "--would-drop", "--limit", "1000"])?;
        let entries = answer["talks"].as_array().expect("a list");
        let mut lines: Vec<String> = entries
            .iter()
            .map(|entry| {
                let rule = entry["would_drop"]["rule"].as_str().unwrap_or("-");
                let service = entry["service"].as_str().expect("the entry has a service");
                let flows = match service {
                    "icmp" => 1,
                    _ => entry["flows"].as_u64().expect("a number"),
                };
                assert!(entry["bytes"].as_u64() > Some(0) || flows == 0, "{entry}");
                let (from, to) = (name(lab, &entry["from"]), name(lab, &entry["to"]));
                format!("{from} {to} {service} {rule} {flows}")
            })
            .collect();
        lines.sort();
        if lines != before {
            println!("listed: {lines:#?}");
            before.clone_from(&lines);
        }
        Ok(lines == expected)
    })
}

/// Waits until the watcher has an event for every flow, and checks which events say that the flow would be dropped.
fn check_events(lab: &Lab, watcher: &Watcher) -> Result<()> {
    let events = || -> Vec<Value> {
        let lines = watcher.lines();
        let events = lines
            .iter()
            .map(|line| serde_json::from_str(line).expect("the event is JSON"));
        events
            .filter(|event: &Value| event["kind"] == "flow")
            .collect()
    };
    wait_until("there is an event for the broadcast", || {
        Ok(events().iter().any(|event| {
            event["to"]["port"] == ANNOUNCED && event["would_drop"]["reason"] == "no-rule"
        }))
    })?;
    for case in &CASES {
        let is_of_case = |event: &Value| {
            name(lab, &event["from"]) == case.from
                && name(lab, &event["to"]) == case.to
                && event["to"]["port"] == case.port
        };
        wait_until(&format!("there is an event for port {}", case.port), || {
            Ok(events().iter().any(is_of_case))
        })?;
        for event in events().iter().filter(|event| is_of_case(event)) {
            let why = &event["would_drop"];
            let rule = why["rule"].as_str().unwrap_or("-");
            let would_drop = why["reason"].is_string().then_some(rule);
            assert_eq!(would_drop, case.would_drop, "{event}");
        }
    }
    Ok(())
}

/// Checks that other commands and the metrics show the same.
fn check_views(gateway: &Gateway) -> Result<()> {
    let status = gateway.json(&["status"])?;
    let segments = status["segments"].as_array().expect("a list");
    for segment in segments {
        let observed = segment["mode"] == "observe";
        assert_eq!(segment["would_drop"].is_object(), observed, "{segment}");
    }
    let output = gateway.must(&["status"])?;
    assert!(
        output.contains("guest is observed: enforcement would have dropped"),
        "{output}"
    );
    let devices = gateway.json(&["devices"])?;
    for (name, flows) in [
        ("station-1", Value::from(3)),
        ("station-2", 0.into()),
        ("ct-1", Value::Null),
    ] {
        let device = devices
            .as_array()
            .into_iter()
            .flatten()
            .find(|device| device["name"] == name);
        assert_eq!(
            device.expect("the device is listed")["would_drop_flows"],
            flows,
            "{name}"
        );
    }
    let by_rule = gateway.must(&["flows", "--would-drop", "--by", "device,rule"])?;
    assert!(
        by_rule.contains("no-smb denies it (policy.yaml:"),
        "{by_rule}"
    );
    println!("{by_rule}");

    // A flow is listed under the rule that allows it, although its answers pass by the observed segment's rule.
    let web = gateway.json(&["flows", "--rule", "guest-to-world", "--segment", "guest"])?;
    assert_eq!(web["matching"], 5, "{web:#}");
    let of_station = gateway.json(&["flows", "--device", "station-1", "--state", "established"])?;
    let flows = of_station["flows"].as_array().expect("a list");
    assert_eq!(flows.len(), 4, "{of_station:#}");
    let would_drop = flows.iter().filter(|flow| flow["would_drop"].is_object());
    assert_eq!(would_drop.count(), 2, "{of_station:#}");

    for (segment, least) in [("guest", 4.0), ("stations", 2.0)] {
        for (what, least) in [("flows", least), ("bytes", least * 60.0)] {
            let series = format!("cordon_observed_{what}_total{{segment=\"{segment}\"}}");
            let value = Exposition::read(&gateway.metrics()?).value(&series);
            assert!(value >= Some(least), "{series}: {value:?}");
        }
    }
    Ok(())
}

#[test]
fn explain_shows_what_enforcement_would_do() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start()?;
    gateway.must(&["apply", &variant(&lab, "observed", &OBSERVED)?])?;
    let output = gateway.must(&["explain", "10.29.0.66", "10.200.6.10", "smb"])?;
    assert!(
        output.contains("Enforced, it would be dropped: no-smb denies it (policy.yaml:"),
        "{output}"
    );
    let output = gateway.must(&["explain", "10.29.0.66", "203.0.113.10", "https"])?;
    assert!(!output.contains("Enforced"), "{output}");
    quarantine(gateway, Posture::Contain)?;
    let output = gateway.must(&["explain", "monitor-1", "broadcast", "intellivue-announce"])?;
    assert!(!output.contains("device-facing"), "{output}");
    // No other device-facing attachment would get a copy.
    let refused = gateway.cordon(&["explain", "station-1", "broadcast", "ws-discovery"])?;
    assert!(
        refused.stdout.contains("it is dropped: posture"),
        "{}",
        refused.stdout
    );
    let checked = gateway.must(&["check", &variant(&lab, "observed", &OBSERVED)?])?;
    assert!(checked.contains("observed: stations, guest"), "{checked}");
    Ok(())
}
