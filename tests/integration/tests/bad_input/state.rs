//! A full disk and a damaged state file.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cordon_integration::hospital::{self, TestFlow, test_flow};
use cordon_integration::steps::{
    PATIENCE, hash, is_let_in, posture, quarantine, release, simulate_reboot, variant, wait_until,
};
use cordon_integration::wires::Wires;
use cordon_lab::{Lab, Result};
use cordon_policy::Posture;
use nix::mount::{MsFlags, mount};

use super::check_fails;

/// Finds out which policy the gateway enforces, by two flows from the wider network.
struct Probe<'a> {
    lab: &'a Lab,
    wires: Wires,
    remote_desk: TestFlow,
    directory: TestFlow,
}

impl<'a> Probe<'a> {
    fn new(lab: &'a Lab) -> Result<Probe<'a>> {
        let remote_desk = test_flow(lab, "remote desk")?;
        let mut directory = remote_desk.clone();
        directory.spec.port = 389;
        Ok(Probe {
            lab,
            wires: Wires::tap(lab)?,
            remote_desk,
            directory,
        })
    }

    /// A policy directory that allows the flow that the hospital's policy drops, and drops the one that it allows.
    fn other_policy(&self) -> Result<String> {
        let changes = [("policy.yaml", "[https, rdp]", "[https, ldap]")];
        variant(self.lab, "other", &changes)
    }

    fn allowed(&self) -> Result<[bool; 2]> {
        let is_let_in = |flow| is_let_in(self.lab, &self.wires, flow);
        Ok([is_let_in(&self.remote_desk)?, is_let_in(&self.directory)?])
    }
}

/// [`Probe::allowed`] under the hospital's policy, under the other one, and at contain.
const AS_BEFORE: [bool; 2] = [true, false];
const AS_OTHER: [bool; 2] = [false, true];
const CLOSED: [bool; 2] = [false, false];

#[test]
fn full_disk_refuses_every_change_except_quarantine() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    let state = gateway.state();
    fs::create_dir_all(&state).expect("the directory is created");
    // The mount is removed with the lab's namespace.
    mount(
        Some("tmpfs"),
        &state,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=1m"),
    )
    .expect("the file system is mounted");
    gateway.start_with_policy()?;
    let probe = Probe::new(&lab)?;
    let other = probe.other_policy()?;
    let policy = hash(gateway)?;
    assert_eq!(probe.allowed()?, AS_BEFORE);

    let ballast = fill(&state);
    let full = ["disk is full", "df -h"];
    let refused = ["the policy was not applied", "could not be made durable"];
    check_fails(
        gateway,
        &["apply", &other],
        1,
        &[&refused[..], &full].concat(),
    )?;
    assert_eq!(hash(gateway)?, policy);
    assert_eq!(probe.allowed()?, AS_BEFORE);

    let output = gateway.must(&["quarantine", "site", "--reason", "drill"])?;
    for words in ["it is in force, but a reboot would undo it", "disk is full"] {
        assert!(output.contains(words), "{output}");
    }
    assert_eq!(probe.allowed()?, CLOSED);
    let command = ["release", "site", "--reason", "the drill is over"];
    let refused = ["nothing was released", "could not be made durable"];
    check_fails(gateway, &command, 1, &[&refused[..], &full].concat())?;
    assert_eq!(probe.allowed()?, CLOSED);

    // The order is not durable, but a restarted daemon reads it back from the kernel.
    gateway.kill()?;
    gateway.start()?;
    assert_eq!(posture(gateway)?, Posture::Contain);
    assert_eq!(hash(gateway)?, policy);
    assert_eq!(probe.allowed()?, CLOSED);

    fs::remove_file(ballast).expect("the file is removed");
    wait_until("the state is durable", || {
        let status = gateway.must(&["status"])?;
        Ok(!status.contains("is not durable") && !status.contains("disk is full"))
    })?;
    gateway.kill()?;
    simulate_reboot(gateway)?;
    gateway.start()?;
    assert_eq!(posture(gateway)?, Posture::Contain);
    assert_eq!(probe.allowed()?, CLOSED);
    release(gateway)?;
    gateway.must(&["apply", &other])?;
    assert_eq!(probe.allowed()?, AS_OTHER);
    Ok(())
}

/// Fills the file system.
fn fill(directory: &Path) -> PathBuf {
    let path = directory.join("ballast");
    let mut file = fs::File::create(&path).expect("the file is created");
    // The last writes are one page each, so that no page is left.
    for size in [1 << 16, 1 << 12] {
        let full = loop {
            if let Err(error) = file.write_all(&vec![7; size]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }
    path
}

#[test]
fn unreadable_state_keeps_the_posture_and_the_kernels_policy() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let probe = Probe::new(&lab)?;
    quarantine(gateway, Posture::Contain)?;
    let policy = hash(gateway)?;
    let state = gateway.state().join("state.json");
    let good = fs::read(&state).expect("the state can be read");
    let half = &good[..good.len() / 2];
    for damaged in [b"", half, b"\xff\x00 no JSON", b"{\"version\": 1}"] {
        gateway.kill()?;
        fs::write(&state, damaged).expect("writes");
        gateway.start()?;
        let status = gateway.must(&["status"])?;
        assert!(status.contains("the state cannot be read"), "{status}");
        let kept = fs::read(gateway.state().join("state.json.damaged")).expect("a copy is kept");
        assert_eq!(kept, damaged);
        // Policy and posture are still in the kernel.
        assert_eq!(posture(gateway)?, Posture::Contain);
        assert_eq!(hash(gateway)?, policy);
        assert_eq!(probe.allowed()?, CLOSED);
    }
    // After a reboot they are not: no frame is forwarded until a policy is applied, at the ordered posture.
    gateway.kill()?;
    simulate_reboot(gateway)?;
    fs::write(&state, half).expect("writes");
    gateway.start()?;
    assert_eq!(posture(gateway)?, Posture::Contain);
    let vitals = test_flow(&lab, "vitals")?;
    let running = vitals.flows(1, Duration::from_millis(20)).start()?;
    assert!(running.established(Duration::from_secs(1)).is_err());
    gateway.apply()?;
    running.established(PATIENCE)?;
    assert_eq!(probe.allowed()?, CLOSED);
    release(gateway)?;
    assert_eq!(probe.allowed()?, AS_BEFORE);
    Ok(())
}
