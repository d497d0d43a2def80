//! The power may go at any moment: what was acknowledged is there when it comes back.

use std::fs;
use std::time::Duration;

use cordon_integration::disk::Disk;
use cordon_integration::hospital;
use cordon_integration::pace::Pace;
use cordon_integration::steps::{hash, posture, quarantine, release, variant};
use cordon_lab::{Gateway, Lab, Result};
use cordon_policy::Posture;

#[test]
fn what_was_acknowledged_survives_a_loss_of_power() -> Result<()> {
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
    assert_eq!((hash(gateway)?, on_trial(gateway)?), (first.clone(), true));

    gateway.must(&["confirm"])?;
    disk.lose_power(gateway)?;
    gateway.start()?;
    assert_eq!((hash(gateway)?, on_trial(gateway)?), (first, false));
    check_warnings(gateway)
}

#[test]
fn the_power_goes_in_the_middle() -> Result<()> {
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
        let done = strike(
            gateway,
            &mut disk,
            &mut paces[0],
            &["apply", &policies[next]],
        )?;
        let found = hash(gateway)?;
        match hashes.iter().position(|hash| *hash == found) {
            Some(found) if found == next || !done => current = found,
            _ => panic!("{found}, and it was acknowledged: {done}"),
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
        let done = strike(gateway, &mut disk, &mut paces[1], &order)?;
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

/// The daemon, with the hospital's policy, on a disk that is shown to be one that forgets.
fn start(lab: &Lab) -> Result<(&Gateway, Disk)> {
    let gateway = lab.gateway();
    let disk = Disk::under(gateway, lab.directory())?;
    let file = gateway.state().join("lazy");
    fs::write(&file, "not synced").expect("writes");
    let kept = disk.look(|root| fs::read_to_string(root.join("lazy")).unwrap_or_default())?;
    assert_eq!(
        kept, "",
        "this disk keeps what nobody has synced: it proves nothing"
    );
    fs::remove_file(file).expect("removes");
    gateway.start_with_policy()?;
    Ok((gateway, disk))
}

/// Gives a command; the power goes after a delay, and comes back. Says whether the command was done before.
fn strike(gateway: &Gateway, disk: &mut Disk, pace: &mut Pace, command: &[&str]) -> Result<bool> {
    let given = std::thread::scope(|scope| {
        let given = scope.spawn(|| gateway.cordon(command));
        std::thread::sleep(pace.delay());
        disk.lose_power(gateway)?;
        given.join().expect("does not panic")
    })?;
    pace.note(given.success());
    gateway.start()?;
    Ok(given.success())
}

fn orders(gateway: &Gateway) -> Result<usize> {
    let orders = gateway.json(&["orders"])?;
    Ok(orders.as_array().map_or(0, Vec::len))
}

fn on_trial(gateway: &Gateway) -> Result<bool> {
    Ok(gateway.json(&["status"])?["policy"]["reverts"].is_string())
}

/// Whoever comes back finds nothing damaged, and nothing missing.
fn check_warnings(gateway: &Gateway) -> Result<()> {
    let status = gateway.json(&["status"])?;
    assert_eq!(status["warnings"], serde_json::json!([]));
    Ok(())
}
