//! Steps that many tests share.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use cordon_lab::{CapturedFrame, Gateway, Lab, Result, Running, UDP, now};
use cordon_policy::Posture;

use crate::hospital::{self, TestFlow, test_flow};
use crate::wires::Wires;

/// How long a test waits for an expected event on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Quarantines the site.
///
/// # Errors
/// If the gateway refuses the order.
pub fn quarantine(gateway: &Gateway, posture: Posture) -> Result<()> {
    let posture = posture.to_string();
    let order = ["quarantine", "site", "--posture", &posture];
    gateway
        .must(&[&order[..], &["--reason", "drill"]].concat())
        .map(drop)
}

/// Ends every quarantine of the site.
///
/// # Errors
/// If the gateway refuses the order.
pub fn release(gateway: &Gateway) -> Result<()> {
    gateway
        .must(&["release", "site", "--reason", "the drill is over"])
        .map(drop)
}

/// The posture that the gateway reports.
///
/// # Errors
/// If it does not answer.
pub fn posture(gateway: &Gateway) -> Result<Posture> {
    let status = gateway.json(&["status"])?;
    let posture = status["posture"].as_str().unwrap_or_default();
    Ok(posture
        .parse()
        .unwrap_or_else(|error| panic!("{error}: {status}")))
}

/// The hash of the policy that the gateway reports as in force.
///
/// # Errors
/// If it does not answer.
pub fn hash(gateway: &Gateway) -> Result<String> {
    Ok(gateway.json(&["status"])?["policy"]["hash"].to_string())
}

/// Waits until a condition is true. It panics after [`PATIENCE`].
///
/// # Errors
/// The error of the condition.
pub fn wait_until(what: &str, mut is_met: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !is_met()? {
        assert!(
            start.elapsed() < PATIENCE,
            "timed out: waiting until {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Waits until every flow has delivered a frame that was sent after `moment`.
///
/// # Errors
/// If the flows do not report.
pub fn delivers_after(flows: &Running, moment: u64, name: &str) -> Result<()> {
    wait_until(&format!("{name} is delivered"), || {
        let report = flows.report()?;
        Ok(report.flows.iter().all(|flow| flow.newest > Some(moment)))
    })
}

/// Checks that the lab itself lost no frames: otherwise a missing frame proves nothing about the gateway. It panics if
/// it did.
///
/// # Errors
/// If the loss counters cannot be read.
pub fn check_losses(lab: &Lab) -> Result<()> {
    let losses = lab.losses()?;
    assert!(losses.is_none(), "the lab itself lost frames: {losses:?}");
    Ok(())
}

/// Whether the gateway forwards a datagram that opens a flow from the wider network to a device. It does not rely on a
/// timeout: once a later datagram of a flow that is always allowed up to lockdown has left, the first one will not.
///
/// # Errors
/// If a datagram cannot be sent. It panics if the later datagram does not leave.
pub fn is_let_in(lab: &Lab, wires: &Wires, flow: &TestFlow) -> Result<bool> {
    assert!(flow.from.vlan().is_none() && flow.to.vlan().is_some() && flow.spec.protocol == UDP);
    let ours = send_datagram(flow)?;
    let is_ours = |seen: &CapturedFrame| flow.is_request(seen) && seen.ports.0 == ours;
    wait_until("the datagram has entered the gateway", || {
        Ok(wires.entered(is_ours)? > 0)
    })?;
    let marker = hospital::test_flow(lab, "vitals")?;
    let last = send_datagram(&marker)?;
    let is_last = |seen: &CapturedFrame| {
        marker.is_request(seen) && seen.ports.0 == last && seen.destination == marker.to.mac()
    };
    wait_until("the later datagram has left the gateway", || {
        Ok(wires.left(is_last)? > 0)
    })?;
    Ok(wires.left(is_ours)? > 0)
}

/// Sends a datagram. Returns its source port.
fn send_datagram(flow: &TestFlow) -> Result<u16> {
    let send_datagram = || -> std::io::Result<u16> {
        let socket = UdpSocket::bind(flow.from.at(0))?;
        socket.send_to(b"anyone?", flow.to.at(flow.spec.port))?;
        Ok(socket.local_addr()?.port())
    };
    flow.from
        .run(send_datagram)?
        .map_err(|source| cordon_lab::Error::Io {
            what: format!("sending a datagram of {}", flow.spec.name),
            source,
        })
}

/// Removes the gateway's kernel state, as a reboot does. The daemon must not run.
///
/// # Errors
/// If the links cannot be listed.
pub fn simulate_reboot(gateway: &Gateway) -> Result<()> {
    std::fs::remove_dir_all(gateway.pins().join("cordon")).expect("removes the pins");
    // The kernel detaches the programs asynchronously.
    wait_until("no program is attached", || {
        let links = gateway.node().exec(&["ip", "-json", "link", "show"])?;
        Ok(!links.stdout.contains("\"xdp\""))
    })
}

/// Makes a copy of the hospital's policy directory with replacements: file, old text, new text.
///
/// # Errors
/// If it cannot be written. It panics if a file does not contain the old text.
pub fn variant(lab: &Lab, name: &str, changes: &[(&str, &str, &str)]) -> Result<String> {
    let directory = lab.directory().join(name);
    let copy = || -> std::io::Result<()> {
        std::fs::create_dir_all(&directory)?;
        for file in ["site.yaml", "policy.yaml", "devices.csv"] {
            let mut text = std::fs::read_to_string(hospital::policy().join(file))?;
            for (_, from, to) in changes.iter().filter(|change| change.0 == file) {
                assert!(text.contains(from), "{file} does not contain {from:?}");
                text = text.replace(from, to);
            }
            std::fs::write(directory.join(file), text)?;
        }
        Ok(())
    };
    copy().map_err(|source| cordon_lab::Error::Io {
        what: format!("writing {}", directory.display()),
        source,
    })?;
    Ok(directory.display().to_string())
}

/// Starts continuous traffic that must not lose a frame: `flows` established flows of each of three kinds, 50 frames a
/// second each.
///
/// # Errors
/// If they are not established within [`PATIENCE`].
pub fn start_load(lab: &Lab, flows: u32) -> Result<Vec<(TestFlow, Running)>> {
    let kinds = [("images", 1000), ("vitals", 64), ("doses", 64)];
    let mut all = Vec::new();
    for (name, size) in kinds {
        let flow = test_flow(lab, name)?;
        let running = flow
            .flows(flows, Duration::from_millis(20))
            .size(size)
            .start()?;
        running.established(PATIENCE)?;
        all.push((flow, running));
    }
    Ok(all)
}

/// Stops the traffic of [`start_load`], and checks on the wires and at both ends that no frame was lost. It panics if
/// one was.
///
/// # Errors
/// If the lab fails.
pub fn assert_no_loss(lab: &Lab, wires: Wires, flows: Vec<(TestFlow, Running)>) -> Result<()> {
    let mut reports = Vec::new();
    for (flow, running) in flows {
        delivers_after(&running, now(), flow.spec.name)?;
        reports.push((flow, running.stop()?));
    }
    std::thread::sleep(Duration::from_millis(500));
    let seen = wires.stop()?;
    check_losses(lab)?;
    for (flow, report) in &reports {
        let name = flow.spec.name;
        let lost = seen.lost(|seen| flow.carries(seen));
        assert!(
            lost.is_empty(),
            "{name}: {} lost: {:?}",
            lost.len(),
            lost[0]
        );
        let ends = (report.lost(), report.unanswered());
        assert_eq!(ends, (0, 0), "{name}: {report}");
        assert_eq!(report.failed().next(), None, "{name}: {report}");
        println!("{name}: {report}");
    }
    Ok(())
}
