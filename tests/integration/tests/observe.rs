//! From observe to enforce, as an engineer goes: what no rule allows passes and is told of, by device and rule; rules take
//! it off the list; and what is left on it is what stops.

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

/// Something that is said, which enforcement may not like.
struct Said {
    from: &'static str,
    to: &'static str,
    tcp: bool,
    port: u16,
    count: u32,
    /// Why it would be dropped: by a rule, or for want of one (`-`). None: a rule allows it.
    would_drop: Option<&'static str>,
}

const fn said(
    from: &'static str,
    to: &'static str,
    (tcp, port): (bool, u16),
    count: u32,
    would_drop: Option<&'static str>,
) -> Said {
    Said {
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

const SAID: [Said; 7] = [
    said("guest", "internet", (TCP, 25), 2, Some("-")),
    said("guest", "records", (TCP, 445), 1, Some("no-smb")),
    said("guest", "internet", (TCP, 80), 3, None),
    said("guest", "internet", (UDP, 53), 2, None),
    said("station-1", "records", (UDP, 514), 1, Some("-")),
    said("station-1", "records", (TCP, 443), 2, None),
    said("rockville", "station-1", (TCP, 22), 1, Some("-")),
];

/// A port that no rule knows, of announcements by broadcast.
const ANNOUNCED: u16 = 6000;

#[test]
fn what_would_be_dropped_passes_and_is_told_by_device_and_rule() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start()?;
    gateway.must(&["apply", &variant(&lab, "observed", &OBSERVED)?])?;
    let watcher = Watcher::start(gateway, &["--output", "json"])?;
    hears_something(&lab, &watcher)?;

    // Nothing of it is stopped.
    let mut running: Vec<Running> = Vec::new();
    for said in &SAID {
        running.push(start(&lab, said)?);
    }
    // Nor what is said to everybody.
    let (from, to) = (lab.host("station-1")?, lab.host("station-2")?);
    let group = broadcast(&from);
    let announcement = Flows::udp(&from, &to, ANNOUNCED).to_address(group);
    running.push(announcement.one_way().start()?);
    for flows in &running {
        flows.established(PATIENCE)?;
    }
    let alone = [
        "ct-1 guest icmp - 1".to_owned(),
        format!("station-1 {group} udp/{ANNOUNCED} - 1"),
    ];
    let expected = |keep: &dyn Fn(&Said) -> bool| {
        let mut all: Vec<String> = SAID
            .iter()
            .filter(|said| keep(said))
            .filter_map(line)
            .collect();
        all.extend(alone.clone());
        all.sort();
        all
    };
    let all = expected(&|_| true);
    is_listed(&lab, &all)?;
    is_watched(&lab, &watcher)?;
    is_shown(gateway)?;
    drop(watcher);

    // A restart forgets nothing.
    gateway.stop()?;
    gateway.start()?;
    is_listed(&lab, &all)?;

    // Observation weakens no posture.
    let (guest, internet) = (lab.host("guest")?, lab.host("internet")?);
    quarantine(gateway, Posture::Contain)?;
    assert!(!guest.connects(internet.at(25), Duration::from_millis(300))?);
    release(gateway)?;
    assert!(guest.connects(internet.at(25), PATIENCE)?);

    // What a rule allows leaves the list.
    let rules = NO_SMB.2.to_owned()
        + "  - {name: station-logs, from: stations, to: records, service: syslog}\n\
           \x20 - {name: guest-mail, from: guest, to: world, service: tcp/25}\n";
    let mut written = OBSERVED;
    written[2].2 = &rules;
    gateway.must(&["apply", &variant(&lab, "written", &written)?])?;
    let left = expected(&|said| ![25, 514].contains(&said.port));
    is_listed(&lab, &left)?;

    // What is left on it is what stops.
    gateway.must(&[
        "apply",
        &variant(&lab, "enforced", &[("policy.yaml", NO_SMB.1, &rules)])?,
    ])?;
    is_listed(&lab, &[])?;
    for said in SAID.iter().filter(|said| said.tcp) {
        let (from, to) = (lab.host(said.from)?, lab.host(said.to)?);
        let goes_on = said.would_drop.is_none() || said.port == 25;
        let within = match goes_on {
            true => PATIENCE,
            false => Duration::from_millis(300),
        };
        let connected = from.connects(to.at(said.port), within)?;
        assert_eq!(
            connected, goes_on,
            "{} to {}:{}",
            said.from, said.to, said.port
        );
    }
    Ok(())
}

/// What is said is told of from now on: a ping that only the segment of guests lets be.
fn hears_something(lab: &Lab, watcher: &Watcher) -> Result<()> {
    let (ct, guest) = (lab.host("ct-1")?, lab.host("guest")?);
    let socket_like = |line: &String| line.contains("\"icmp\"");
    // One flow, however often: the identifier is the process's.
    wait_until("something is heard", || {
        ct.ping(guest.ip(), 1)?;
        Ok(watcher.lines().iter().any(socket_like))
    })
}

fn start(lab: &Lab, said: &Said) -> Result<Running> {
    let (from, to) = (lab.host(said.from)?, lab.host(said.to)?);
    let flows = match said.tcp {
        true => Flows::tcp(&from, &to, said.port),
        false => Flows::udp(&from, &to, said.port),
    };
    flows
        .count(said.count)
        .every(Duration::from_millis(100))
        .start()
}

/// As it is to be listed: from, to, service, rule, flows.
fn line(said: &Said) -> Option<String> {
    let protocol = if said.tcp { "tcp" } else { "udp" };
    let Said {
        from,
        to,
        port,
        count,
        ..
    } = said;
    Some(format!(
        "{from} {to} {protocol}/{port} {} {count}",
        said.would_drop?
    ))
}

/// The hosts of the lab by address: not all are listed devices.
fn name(lab: &Lab, party: &Value) -> String {
    let ip = party["ip"].as_str().expect("has one");
    let hosts = lab.hosts();
    let host = hosts.iter().find(|host| host.ip().to_string() == ip);
    host.map_or(ip, |host| host.name()).to_owned()
}

/// Waits until this is all that `cordon flows --would-drop` lists; pings count once, however many there were.
fn is_listed(lab: &Lab, expected: &[String]) -> Result<()> {
    let mut before = Vec::new();
    wait_until(&format!("{expected:#?} is listed"), || {
        let told = lab
            .gateway()
            .json(&["flows", "--would-drop", "--limit", "1000"])?;
        let talks = told["talks"].as_array().expect("a list");
        let mut lines: Vec<String> = talks
            .iter()
            .map(|talk| {
                let rule = talk["would_drop"]["rule"].as_str().unwrap_or("-");
                let service = talk["service"].as_str().expect("has one");
                let flows = match service {
                    "icmp" => 1,
                    _ => talk["flows"].as_u64().expect("a number"),
                };
                assert!(talk["bytes"].as_u64() > Some(0) || flows == 0, "{talk}");
                let (from, to) = (name(lab, &talk["from"]), name(lab, &talk["to"]));
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

/// Every flow that would be dropped says so as it is opened, and no other does.
fn is_watched(lab: &Lab, watcher: &Watcher) -> Result<()> {
    let events = || -> Vec<Value> {
        let lines = watcher.lines();
        let events = lines
            .iter()
            .map(|line| serde_json::from_str(line).expect("is JSON"));
        events
            .filter(|event: &Value| event["kind"] == "flow")
            .collect()
    };
    wait_until("what is said to everybody is told of", || {
        Ok(events().iter().any(|event| {
            event["to"]["port"] == ANNOUNCED && event["would_drop"]["reason"] == "no-rule"
        }))
    })?;
    for said in &SAID {
        let of = |event: &Value| {
            name(lab, &event["from"]) == said.from
                && name(lab, &event["to"]) == said.to
                && event["to"]["port"] == said.port
        };
        wait_until(&format!("{} is told of", said.port), || {
            Ok(events().iter().any(of))
        })?;
        for event in events().iter().filter(|event| of(event)) {
            let why = &event["would_drop"];
            let rule = why["rule"].as_str().unwrap_or("-");
            let told = why["reason"].is_string().then_some(rule);
            assert_eq!(told, said.would_drop, "{event}");
        }
    }
    Ok(())
}

/// The other commands, and the metrics, say the same.
fn is_shown(gateway: &Gateway) -> Result<()> {
    let status = gateway.json(&["status"])?;
    let segments = status["segments"].as_array().expect("a list");
    for segment in segments {
        let observed = segment["mode"] == "observe";
        assert_eq!(segment["would_drop"].is_object(), observed, "{segment}");
    }
    let said = gateway.must(&["status"])?;
    assert!(
        said.contains("guest is observed: enforcement would have dropped"),
        "{said}"
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
            device.expect("is listed")["would_drop_flows"],
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

    // What a rule allows is shown by that rule, although the answers pass by the observed segment's.
    let web = gateway.json(&["flows", "--rule", "guest-to-world", "--segment", "guest"])?;
    assert_eq!(web["matching"], 5, "{web:#}");
    let of_station = gateway.json(&["flows", "--device", "station-1", "--state", "established"])?;
    let flows = of_station["flows"].as_array().expect("a list");
    assert_eq!(flows.len(), 4, "{of_station:#}");
    let let_be = flows.iter().filter(|flow| flow["would_drop"].is_object());
    assert_eq!(let_be.count(), 2, "{of_station:#}");

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
fn an_explanation_says_what_would_become_of_it_enforced() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start()?;
    gateway.must(&["apply", &variant(&lab, "observed", &OBSERVED)?])?;
    let said = gateway.must(&["explain", "10.29.0.66", "10.200.6.10", "smb"])?;
    assert!(
        said.contains("Enforced, it would be dropped: no-smb denies it (policy.yaml:"),
        "{said}"
    );
    let said = gateway.must(&["explain", "10.29.0.66", "203.0.113.10", "https"])?;
    assert!(!said.contains("Enforced"), "{said}");
    quarantine(gateway, Posture::Contain)?;
    let said = gateway.must(&["explain", "monitor-1", "broadcast", "intellivue-announce"])?;
    assert!(!said.contains("device-facing"), "{said}");
    let said = gateway.must(&["explain", "station-1", "broadcast", "ws-discovery"])?;
    assert!(said.contains("to device-facing ports only"), "{said}");
    let checked = gateway.must(&["check", &variant(&lab, "observed", &OBSERVED)?])?;
    assert!(checked.contains("observed: stations, guest"), "{checked}");
    Ok(())
}
