//! A hundred thousand devices and ten thousand rules come into force under load, and then one device becomes another:
//! not a frame of what goes on is lost.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use cordon_integration::hospital;
use cordon_integration::steps::{busy, comes_after, nothing_was_lost, posture, wait_until};
use cordon_integration::wires::Wires;
use cordon_lab::{Flows, Gateway, Result, now};
use cordon_policy::Posture;

const DEVICES: usize = 100_000;
const RULES: usize = 10_000;
const SEGMENTS: usize = 250;
const PROFILES: usize = 50;
const SERVERS: usize = 200;

/// Puts a line behind the first that starts with `after`.
fn insert(text: &str, after: &str, lines: &str) -> String {
    let at = text.find(after).expect("is in the policy") + after.len();
    format!(
        "{}\n{lines}{}",
        &text[..at],
        text[at..].trim_start_matches('\n')
    )
}

/// Makes the hospital's policy a large one: wards of which nobody is there, and rules for them behind its own.
fn crowd(gateway: &Gateway) {
    let change = |name: &str, work: &dyn Fn(&str) -> String| {
        let path = gateway.policy().join(name);
        let text = fs::read_to_string(&path).expect("is there");
        fs::write(&path, work(&text)).expect("is written");
    };
    change("site.yaml", &|text| {
        let mut segments = String::new();
        for ward in 0..SEGMENTS {
            let vlan = 1000 + ward;
            writeln!(
                segments,
                "  ward-{ward}: {{attach: [access0.{vlan}, core0.{vlan}], subnets: [172.20.{ward}.0/24, 172.21.{ward}.0/24], isolate: true}}"
            )
            .expect("a string");
        }
        let wards: Vec<String> = (0..SEGMENTS).map(|ward| format!("ward-{ward}")).collect();
        let zone = format!("  crowd: {{segments: [{}]}}\n", wards.join(", "));
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
            .expect("a string");
        }
        text
    });
    change("policy.yaml", &|text| {
        let mut groups = String::new();
        for profile in 0..PROFILES {
            writeln!(groups, "  p{profile}: {{profile: profile-{profile}}}").expect("a string");
        }
        for server in 0..SERVERS {
            writeln!(groups, "  n{server}: {{networks: [10.201.{server}.0/24]}}")
                .expect("a string");
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
            .expect("a string");
        }
        let text = insert(text, "groups:", &groups);
        insert(&text, "\ninvariants:", "")
            .replace("\ninvariants:", &format!("{rules}\ninvariants:"))
    });
}

/// What the daemon says of the last policy.
fn phases(gateway: &Gateway) -> String {
    let log = gateway.log();
    let compiled = log
        .lines()
        .rev()
        .find(|line| line.contains("policy compiled"));
    compiled.unwrap_or("nothing").to_owned()
}

#[test]
fn a_large_policy_and_a_small_change_of_it_under_load() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let wires = Wires::tap(&lab)?;
    let flows = busy(&lab, 10)?;

    crowd(gateway);
    let started = Instant::now();
    gateway.apply()?;
    println!("all of it: {:?}; {}", started.elapsed(), phases(gateway));
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
    for (line, running) in &flows {
        comes_after(running, now(), line.talk.name)?;
    }

    // An order does not wait while such a policy is written again, whole.
    let policy = gateway.policy().join("policy.yaml");
    let text = fs::read_to_string(&policy).expect("is there");
    fs::write(
        &policy,
        text.replacen("service: tcp/2077}", "service: tcp/999}", 1),
    )
    .expect("is written");
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
        applied.join().expect("does not panic")?;
        println!(
            "{orders} orders meanwhile, the slowest in {slowest:?}; {}",
            phases(gateway)
        );
        assert!(orders >= 4);
        Ok(())
    })?;
    assert_eq!(posture(gateway)?, Posture::Normal);

    // When there was time, a change of one device is no more than that. Its rights are those of what it is now.
    let (us, pacs) = (lab.host("us-1")?, lab.host("pacs")?);
    let studies = Flows::tcp(&us, &pacs, 11112)
        .count(1)
        .every(Duration::from_millis(50));
    let studies = studies.start()?;
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(
        studies.report()?.arrived(),
        0,
        "an ultrasound has nothing to say to the archive"
    );
    let listed = gateway.policy().join("devices.csv");
    let text = fs::read_to_string(&listed).expect("is there");
    let changed = text.replace("imaging,ultrasound,", "imaging,ct-scanner,");
    assert_ne!(text, changed);
    fs::write(&listed, changed).expect("is written");
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
    // A connection that was refused for long asks again at ever longer intervals, and gives up.
    studies.stop()?;
    let studies = Flows::tcp(&us, &pacs, 11112)
        .count(1)
        .every(Duration::from_millis(50));
    let studies = studies.start()?;
    wait_until("the device has its new rights", || {
        Ok(studies.report()?.arrived() > 0)
    })?;
    studies.stop()?;

    nothing_was_lost(&lab, wires, flows)
}
