//! What these tests do and look at again and again.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use cordon_lab::{Gateway, Lab, Result, Running, Seen, UDP, now};
use cordon_policy::Posture;

use crate::hospital::{self, Line, line};
use crate::wires::Wires;

/// How long anything that comes may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Puts the site into quarantine.
///
/// # Errors
/// If the order is not taken.
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
/// If the order is not taken.
pub fn release(gateway: &Gateway) -> Result<()> {
    gateway
        .must(&["release", "site", "--reason", "the drill is over"])
        .map(drop)
}

/// The posture that the gateway says it has.
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

/// The hash of the policy that the gateway says is in force.
///
/// # Errors
/// If it does not answer.
pub fn hash(gateway: &Gateway) -> Result<String> {
    Ok(gateway.json(&["status"])?["policy"]["hash"].to_string())
}

/// Waits until something holds.
///
/// # Errors
/// What asking whether it holds answers with. It panics if it does not hold for too long.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !holds()? {
        assert!(start.elapsed() < PATIENCE, "in vain: waiting until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Waits until something comes through on every flow of a line that was sent after a moment.
///
/// # Errors
/// If the flows cannot be asked.
pub fn comes_after(flows: &Running, moment: u64, name: &str) -> Result<()> {
    wait_until(&format!("{name} comes through"), || {
        let report = flows.report()?;
        Ok(report.flows.iter().all(|flow| flow.newest > Some(moment)))
    })
}

/// An end that misses a frame proves nothing about the gateway if the lab itself lost some.
///
/// # Errors
/// If that cannot be told.
pub fn check_losses(lab: &Lab) -> Result<()> {
    let losses = lab.losses()?;
    assert!(losses.is_none(), "the lab itself lost frames: {losses:?}");
    Ok(())
}

/// Whether a datagram that opens a flow from the wider network to a device gets through. Nothing is guessed from time:
/// what comes out behind it, of something that is always let through up to lockdown, says that it will not come any more.
///
/// # Errors
/// If it cannot be sent. It panics if what is always let through is not.
pub fn gets_in(lab: &Lab, wires: &Wires, line: &Line) -> Result<bool> {
    assert!(line.from.vlan().is_none() && line.to.vlan().is_some() && line.talk.protocol == UDP);
    let ours = send(line)?;
    let is_ours = |seen: &Seen| line.asks(seen) && seen.ports.0 == ours;
    wait_until("the datagram is on its way", || {
        Ok(wires.entered(is_ours)? > 0)
    })?;
    let behind = hospital::line(lab, "vitals")?;
    let last = send(&behind)?;
    let is_last = |seen: &Seen| {
        behind.asks(seen) && seen.ports.0 == last && seen.destination == behind.to.mac()
    };
    wait_until("what is behind the datagram has come out", || {
        Ok(wires.left(is_last)? > 0)
    })?;
    Ok(wires.left(is_ours)? > 0)
}

/// Sends a datagram, and says from which port.
fn send(line: &Line) -> Result<u16> {
    let send = || -> std::io::Result<u16> {
        let socket = UdpSocket::bind(line.from.at(0))?;
        socket.send_to(b"anyone?", line.to.at(line.talk.port))?;
        Ok(socket.local_addr()?.port())
    };
    line.from
        .run(send)?
        .map_err(|source| cordon_lab::Error::Io {
            what: format!("sending a datagram of {}", line.talk.name),
            source,
        })
}

/// Does to the kernel what a reboot does. The daemon must not run.
///
/// # Errors
/// If the namespace cannot be looked into.
pub fn forget(gateway: &Gateway) -> Result<()> {
    std::fs::remove_dir_all(gateway.pins().join("cordon")).expect("removes the pins");
    // The kernel lets go of the programs a little later.
    wait_until("no program is attached", || {
        let links = gateway.node().exec(&["ip", "-json", "link", "show"])?;
        Ok(!links.stdout.contains("\"xdp\""))
    })
}

/// Makes a policy directory like the hospital's, but for some texts: file, what it says, what it is to say instead.
///
/// # Errors
/// If it cannot be written. It panics if a file does not say what it is to say.
pub fn variant(lab: &Lab, name: &str, changes: &[(&str, &str, &str)]) -> Result<String> {
    let directory = lab.directory().join(name);
    let copy = || -> std::io::Result<()> {
        std::fs::create_dir_all(&directory)?;
        for file in ["site.yaml", "policy.yaml", "devices.csv"] {
            let mut text = std::fs::read_to_string(hospital::policy().join(file))?;
            for (_, from, to) in changes.iter().filter(|change| change.0 == file) {
                assert!(text.contains(from), "{file} does not say {from:?}");
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

/// What may not be touched by what is done meanwhile: so many flows of each of three kinds, 50 frames a second each, all
/// of them established.
///
/// # Errors
/// If they do not come to stand.
pub fn busy(lab: &Lab, flows: u32) -> Result<Vec<(Line, Running)>> {
    let kinds = [("images", 1000), ("vitals", 64), ("doses", 64)];
    let mut all = Vec::new();
    for (name, size) in kinds {
        let line = line(lab, name)?;
        let running = line
            .flows(flows, Duration::from_millis(20))
            .size(size)
            .start()?;
        running.established(PATIENCE)?;
        all.push((line, running));
    }
    Ok(all)
}

/// Ends them, and holds the gateway to having lost nothing of them, by the wires and by both ends. It panics if it has.
///
/// # Errors
/// If the lab fails, or has lost frames by itself.
pub fn nothing_was_lost(lab: &Lab, wires: Wires, flows: Vec<(Line, Running)>) -> Result<()> {
    let mut reports = Vec::new();
    for (line, running) in flows {
        comes_after(&running, now(), line.talk.name)?;
        reports.push((line, running.stop()?));
    }
    std::thread::sleep(Duration::from_millis(500));
    let seen = wires.stop()?;
    check_losses(lab)?;
    for (line, report) in &reports {
        let name = line.talk.name;
        let lost = seen.lost(|seen| line.carries(seen));
        assert!(
            lost.is_empty(),
            "{name}: {} lost: {:?}",
            lost.len(),
            lost[0]
        );
        let ends = (report.lost(), report.unanswered());
        assert_eq!(ends, (0, 0), "{name}: {report}");
        assert_eq!(report.troubled().next(), None, "{name}: {report}");
        println!("{name}: {report}");
    }
    Ok(())
}
