//! 100,000 devices and 10,000 rules are applied under load, and then a change of one device: no frame of the running
//! flows is lost.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use cordon_integration::hospital;
use cordon_integration::steps::{assert_no_loss, delivers_after, posture, start_load, wait_until};
use cordon_integration::wires::Wires;
use cordon_lab::{Flows, Gateway, Result, now};
use cordon_policy::Posture;

const DEVICES: usize = 100_000;
const RULES: usize = 10_000;
const SEGMENTS: usize = 250;
const PROFILES: usize = 50;
const SERVERS: usize = 200;

/// Inserts lines after the first occurrence of `after`.
fn insert(text: &str, after: &str, lines: &str) -> String {
    let at = text.find(after).expect("the policy contains the text") + after.len();
    format!(
        "{}\n{lines}{}",
        &text[..at],
        text[at..].trim_start_matches('\n')
    )
}

/// Adds wards whose devices are absent, and rules for them, to the hospital's policy.
fn enlarge(gateway: &Gateway) {
    let change = |name: &str, work: &dyn Fn(&str) -> String| {
        let path = gateway.policy().join(name);
        let text = fs::read_to_string(&path).expect("the file exists");
        fs::write(&path, work(&text)).expect("the file is written");
    };
    change("site.yaml", &|text| {
        let mut segments = String::new();
        for ward in 0..SEGMENTS {
            let vlan = 1000 + ward;
            writeln!(
                segments,
                "  ward-{ward}: {{attach: [access0.{vlan}, core0.{vlan}], subnets: [172.20.{ward}.0/24, 172.21.{ward}.0/24], isolate: true}}"
            )
            .expect("writing to a string succeeds");
        }
        let wards: Vec<String> = (0..SEGMENTS).map(|ward| format!("ward-{ward}")).collect();
        let zone = format!("  absent: {{segments: [{}]}}\n", wards.join(", "));
        insert(&insert(text, "segments:", &segments), "zones:", &zone)
    });
    change("devices.csv", &|text| {
        let mut text = text.to_owned();
        for number in 0..DEVICES {
            let (ward, host) = (number % SEGMENTS, number / SEGMENTS);
            writeln!(
                text,
                "d{number},02:00:5f:{:02x}:{:02x}:{:02x},172.{}.{ward}.{},ward-{ward},profile-{},care,low",
                number >> 16,
                number >> 8 & 0xff,
                number & 0xff,
                20 + host / 250,
                host % 250 + 1,
                (ward * 3 + host % 3) % PROFILES
            )
            .expect("writing to a string succeeds");
        }
        text
    });
    change("policy.yaml", &|text| {
        let mut groups = String::new();
        for profile in 0..PROFILES {
            writeln!(groups, "  p{profile}: {{profile: profile-{profile}}}")
                .expect("writing to a string succeeds");
        }
        for server in 0..SERVERS {
            writeln!(groups, "  n{server}: {{networks: [10.201.{server}.0/24]}}")
                .expect("writing to a string succeeds");
        }
        let mut rules = String::new();
        for rule in 0..RULES {
            let (from, to) = (
                match rule % 4 {
                    0 => format!("p{}", rule % PROFILES),
                    1 => format!("ward-{}", rule % SEGMENTS),
                    _ => format!("d{}", rule * 7 % DEVICES),
                },
                format!("n{}", rule % SERVERS),
            );
            writeln!(
                rules,
                "  - {{name: r{rule}, from: {from}, to: {to}, service: tcp/{}}}",
                2000 + rule % 2000
            )
            .expect("writing to a string succeeds");
        }
        let text = insert(text, "groups:", &groups);
        insert(&text, "\ninvariants:", "")
            .replace("\ninvariants:", &format!("{rules}\ninvariants:"))
    });
}

/// The daemon's log line about the last policy.
fn phases(gateway: &Gateway) -> String {
    let log = gateway.log();
    let compiled = log
        .lines()
        .rev()
        .find(|line| line.contains("policy compiled"));
    compiled.unwrap_or("nothing").to_owned()
}

#[test]
fn a_large_policy_and_a_small_change_lose_no_frame() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let wires = Wires::tap(&lab)?;
    let flows = start_load(&lab, 10)?;

    enlarge(gateway);
    let started = Instant::now();
    gateway.apply()?;
    println!("whole policy: {:?}; {}", started.elapsed(), phases(gateway));
    let status = gateway.json(&["status"])?;
    assert_eq!(
        status["policy"]["devices"].as_u64(),
        Some(DEVICES as u64 + 10),
        "{status}"
    );
    assert!(
        status["policy"]["rules"].as_u64() > Some(RULES as u64),
        "{status}"
    );
    for (flow, running) in &flows {
        delivers_after(running, now(), flow.spec.name)?;
    }

    // An order does not wait while the whole policy is written again.
    let policy = gateway.policy().join("policy.yaml");
    let text = fs::read_to_string(&policy).expect("the file exists");
    fs::write(
        &policy,
        text.replacen("service: tcp/2077}", "service: tcp/999}", 1),
    )
    .expect("the file is written");
    std::thread::scope(|scope| -> Result<()> {
        let applied = scope.spawn(|| gateway.apply());
        let mut orders = 0;
        let mut slowest = Duration::ZERO;
        while !applied.is_finished() {
            for order in [
                &[
                    "quarantine",
                    "site",
                    "--posture",
                    "watch",
                    "--reason",
                    "drill",
                ][..],
                &["release", "site", "--reason", "the drill is over"],
            ] {
                let started = Instant::now();
                gateway.must(order)?;
                slowest = slowest.max(started.elapsed());
                orders += 1;
            }
        }
        applied.join().expect("the command does not panic")?;
        println!(
            "{orders} orders during the apply, the slowest in {slowest:?}; {}",
            phases(gateway)
        );
        assert!(orders >= 4);
        Ok(())
    })?;
    assert_eq!(posture(gateway)?, Posture::Normal);

    // Once the daemon has finished its preparation, a change of one device writes only that device's entries.
    let (us, pacs) = (lab.host("us-1")?, lab.host("pacs")?);
    let studies = Flows::tcp(&us, &pacs, 11112)
        .count(1)
        .every(Duration::from_millis(50));
    let studies = studies.start()?;
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(
        studies.report()?.arrived(),
        0,
        "no rule allows the ultrasound to reach the archive"
    );
    let listed = gateway.policy().join("devices.csv");
    let text = fs::read_to_string(&listed).expect("the file exists");
    let changed = text.replace("imaging,ultrasound,", "imaging,ct-scanner,");
    assert_ne!(text, changed);
    fs::write(&listed, changed).expect("the file is written");
    let started = Instant::now();
    let applied = gateway.json(&["apply", &gateway.policy().display().to_string()])?;
    println!(
        "one device: {:?}; {}; {applied}",
        started.elapsed(),
        phases(gateway)
    );
    assert!(
        phases(gateway).contains("changed_entries"),
        "{}",
        phases(gateway)
    );
    // A blocked connection backs off and gives up, so a new one is opened.
    studies.stop()?;
    let studies = Flows::tcp(&us, &pacs, 11112)
        .count(1)
        .every(Duration::from_millis(50));
    let studies = studies.start()?;
    wait_until("the device's new rules apply", || {
        Ok(studies.report()?.arrived() > 0)
    })?;
    studies.stop()?;

    assert_no_loss(&lab, wires, flows)
}
