//! Power loss at any moment: an acknowledged change is in force after the boot.

use std::fs;
use std::time::Duration;

use cordon_integration::disk::Disk;
use cordon_integration::hospital;
use cordon_integration::pace::Pace;
use cordon_integration::steps::{hash, posture, quarantine, release, variant};
use cordon_lab::{Gateway, Lab, Result};
use cordon_policy::Posture;

#[test]
fn acknowledged_changes_survive_power_loss() -> Result<()> {
    let lab = hospital::raise()?;
    let (gateway, mut disk) = start(&lab)?;
    let other = variant(
        &lab,
        "other",
        &[("policy.yaml", "[https, rdp]", "[https, ldap]")],
    )?;
    let first = hash(gateway)?;
    disk.lose_power(gateway)?;
    gateway.start()?;
    assert_eq!(hash(gateway)?, first);

    gateway.must(&["apply", &other])?;
    disk.lose_power(gateway)?;
    gateway.start()?;
    let second = hash(gateway)?;
    assert_ne!(second, first);
    assert_eq!((posture(gateway)?, orders(gateway)?), (Posture::Normal, 0));

    quarantine(gateway, Posture::Isolate)?;
    disk.lose_power(gateway)?;
    gateway.start()?;
    assert_eq!((posture(gateway)?, orders(gateway)?), (Posture::Isolate, 1));
    assert_eq!(hash(gateway)?, second);

    release(gateway)?;
    disk.lose_power(gateway)?;
    gateway.start()?;
    assert_eq!((posture(gateway)?, orders(gateway)?), (Posture::Normal, 2));

    let policy = gateway.policy().display().to_string();
    gateway.must(&["apply", &policy, "--confirm", "1h"])?;
    disk.lose_power(gateway)?;
    gateway.start()?;
    assert_eq!(
        (hash(gateway)?, awaits_confirmation(gateway)?),
        (first.clone(), true)
    );

    gateway.must(&["confirm"])?;
    disk.lose_power(gateway)?;
    gateway.start()?;
    assert_eq!(
        (hash(gateway)?, awaits_confirmation(gateway)?),
        (first, false)
    );
    check_warnings(gateway)
}

#[test]
fn power_loss_during_a_change_leaves_the_old_or_the_new_state() -> Result<()> {
    let lab = hospital::raise()?;
    let (gateway, mut disk) = start(&lab)?;
    let policies = [
        variant(&lab, "a", &[])?,
        variant(
            &lab,
            "b",
            &[("policy.yaml", "[https, rdp]", "[https, ldap]")],
        )?,
    ];
    let mut hashes = Vec::new();
    for policy in &policies {
        gateway.must(&["apply", policy])?;
        hashes.push(hash(gateway)?);
    }
    let mut current = 1;
    let mut paces = [300, 60].map(|usual| Pace::new(12, Duration::from_millis(usual)));
    while !(paces[0].is_enough() && paces[1].is_enough()) {
        let next = 1 - current;
        let done = cut_power_during(
            gateway,
            &mut disk,
            &mut paces[0],
            &["apply", &policies[next]],
        )?;
        let found = hash(gateway)?;
        match hashes.iter().position(|hash| *hash == found) {
            Some(found) if found == next || !done => current = found,
            _ => panic!("{found} is in force, acknowledged: {done}"),
        }
        check_warnings(gateway)?;

        let order = [
            "quarantine",
            "site",
            "--posture",
            "lockdown",
            "--reason",
            "drill",
        ];
        let done = cut_power_during(gateway, &mut disk, &mut paces[1], &order)?;
        let found = posture(gateway)?;
        assert!(
            found == Posture::Lockdown || found == Posture::Normal && !done,
            "{found}"
        );
        assert_eq!(hash(gateway)?, hashes[current]);
        check_warnings(gateway)?;
        if found != Posture::Normal {
            release(gateway)?;
        }
    }
    println!("{paces:?}");
    Ok(())
}

/// Starts the daemon with the hospital's policy on a disk, after a check that the disk loses unsynced data.
fn start(lab: &Lab) -> Result<(&Gateway, Disk)> {
    let gateway = lab.gateway();
    let disk = Disk::under(gateway, lab.directory())?;
    let file = gateway.state().join("lazy");
    fs::write(&file, "not synced").expect("the file is written");
    let kept = disk.look(|root| fs::read_to_string(root.join("lazy")).unwrap_or_default())?;
    assert_eq!(
        kept, "",
        "this disk keeps unsynced data, so the test would prove nothing"
    );
    fs::remove_file(file).expect("the file is removed");
    gateway.start_with_policy()?;
    Ok((gateway, disk))
}

/// Runs a command, and cuts the power after a delay. Returns whether the command was acknowledged before.
fn cut_power_during(
    gateway: &Gateway,
    disk: &mut Disk,
    pace: &mut Pace,
    command: &[&str],
) -> Result<bool> {
    let output = std::thread::scope(|scope| {
        let output = scope.spawn(|| gateway.cordon(command));
        std::thread::sleep(pace.delay());
        disk.lose_power(gateway)?;
        output.join().expect("the command does not panic")
    })?;
    pace.record(output.success());
    gateway.start()?;
    Ok(output.success())
}

fn orders(gateway: &Gateway) -> Result<usize> {
    let orders = gateway.json(&["orders"])?;
    Ok(orders.as_array().map_or(0, Vec::len))
}

fn awaits_confirmation(gateway: &Gateway) -> Result<bool> {
    Ok(gateway.json(&["status"])?["policy"]["reverts"].is_string())
}

/// Checks that the restarted daemon reports no damaged or missing state.
fn check_warnings(gateway: &Gateway) -> Result<()> {
    let status = gateway.json(&["status"])?;
    assert_eq!(status["warnings"], serde_json::json!([]));
    Ok(())
}
