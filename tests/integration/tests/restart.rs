//! The daemon may be killed at any moment: policy, posture and flows stay in force, and no frame is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use cordon_integration::chatter::Chatter;
use cordon_integration::hospital::{self, TestFlow, test_flow, test_flows};
use cordon_integration::pace::Pace;
use cordon_integration::steps::{
    PATIENCE, check_losses, delivers_after, hash, is_let_in, posture, quarantine, release,
    simulate_reboot, variant, wait_until,
};
use cordon_integration::wires::{Capture, Span, Wires, is_resolution_or_membership};
use cordon_lab::{CapturedFrame, Gateway, Lab, Output, Result, Running, now};
use cordon_policy::Posture;
use serde_json::Value;

/// Starts flows that must not lose a frame.
fn start_flows(lab: &Lab) -> Result<Vec<(TestFlow, Running)>> {
    let every = Duration::from_millis(100);
    let mut flows = Vec::new();
    for (name, size) in [("images", 4000), ("vitals", 64), ("doses", 64)] {
        let flow = test_flow(lab, name)?;
        let running = flow.flows(10, every).size(size).start()?;
        running.established(PATIENCE)?;
        flows.push((flow, running));
    }
    Ok(flows)
}

/// Stops the flows and the capture, and checks that no frame was lost.
fn check_no_loss(lab: &Lab, wires: Wires, flows: Vec<(TestFlow, Running)>) -> Result<Capture> {
    let mut reports = Vec::new();
    for (flow, running) in flows {
        reports.push((flow, running.stop()?));
    }
    std::thread::sleep(Duration::from_millis(500));
    let seen = wires.stop()?;
    check_losses(lab)?;
    for (flow, report) in &reports {
        let name = flow.spec.name;
        let lost = seen.lost(|seen| flow.carries(seen));
        assert!(lost.is_empty(), "{} of {name}: {:?}", lost.len(), lost[0]);
        assert_eq!(
            (report.lost(), report.unanswered()),
            (0, 0),
            "{name}: {report}"
        );
        assert_eq!(report.failed().next(), None, "{name}: {report}");
        println!("{name}: {report}");
    }
    Ok(seen)
}

#[test]
fn kill_under_load_loses_no_frame_and_no_flow() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let test_flows = test_flows(&lab)?;
    let wires = Wires::tap(&lab)?;
    let kept = start_flows(&lab)?;
    let mut others = Vec::new();
    for name in ["charts", "remote desk", "browsing"] {
        let flow = test_flow(&lab, name)?;
        let running = flow.flows(10, Duration::from_millis(50)).start()?;
        running.established(PATIENCE)?;
        others.push((flow, running));
    }
    let open = now();
    let before = InForce::read(gateway)?;
    for _ in 0..3 {
        gateway.kill()?;
        std::thread::sleep(Duration::from_millis(300));
        gateway.start()?;
        InForce::read(gateway)?.check_continues(&before);
    }

    let close = now();
    quarantine(gateway, Posture::Contain)?;
    let closed = now();
    let before = InForce::read(gateway)?;
    assert_eq!(before.posture, Posture::Contain);
    for _ in 0..3 {
        gateway.kill()?;
        std::thread::sleep(Duration::from_millis(300));
        gateway.start()?;
        InForce::read(gateway)?.check_continues(&before);
    }
    let open_again = now();
    release(gateway)?;
    let released = now();
    for (flow, running) in others.iter().chain(&kept) {
        delivers_after(running, released, flow.spec.name)?;
    }
    for (flow, running) in others {
        let report = running.stop()?;
        assert_eq!(report.failed().next(), None, "{}: {report}", flow.spec.name);
    }
    let seen = check_no_loss(&lab, wires, kept)?;
    // At normal, no frame of any flow was lost.
    let earlier = |seen: &CapturedFrame| (open..close).contains(&seen.at);
    let lost = seen.lost(|seen| {
        earlier(seen)
            && seen.at < close - MARGIN
            && test_flows.iter().any(|flow| flow.carries(seen))
    });
    assert!(lost.is_empty(), "{}: {:?}", lost.len(), lost[0]);
    check_closed(&test_flows, &seen, (closed, open_again));
    Ok(())
}

/// Nanoseconds that a frame may take from the tap to the gateway's verdict.
const MARGIN: u64 = 250_000_000;

/// Checks that no frame that contain forbids left within the span, although such frames entered.
fn check_closed(test_flows: &[TestFlow], seen: &Capture, span: Span) {
    let kept = |seen: &CapturedFrame| {
        let mut kept = test_flows
            .iter()
            .filter(|flow| flow.spec.until >= Posture::Contain);
        is_resolution_or_membership(seen) || kept.any(|flow| flow.carries(seen))
    };
    let leaked = seen.leaked(span, |seen| !kept(seen));
    assert!(
        leaked.is_empty(),
        "{} frames: {:?}",
        leaked.len(),
        leaked[0]
    );
    assert!(seen.tried(span, |seen| !kept(seen)) > 0);
}

/// The state that the gateway reports.
struct InForce {
    policy: Value,
    posture: Posture,
    /// Bytes sent, by protocol and both ends.
    flows: BTreeMap<String, u64>,
}

impl InForce {
    fn read(gateway: &Gateway) -> Result<InForce> {
        let status = gateway.json(&["status"])?;
        let listed = gateway.json(&["flows", "--limit", "10000"])?;
        let flows = listed["flows"].as_array().into_iter().flatten();
        let flow = |flow: &Value| {
            let end = |end: &Value| format!("{}:{}", end["ip"], end["port"]);
            let name = format!(
                "{} {} {}",
                flow["protocol"],
                end(&flow["from"]),
                end(&flow["to"])
            );
            (name, flow["bytes_sent"].as_u64().unwrap_or(0))
        };
        Ok(InForce {
            policy: status["policy"].clone(),
            posture: posture(gateway)?,
            flows: flows.map(flow).collect(),
        })
    }

    /// Checks that policy, posture and every flow continue from `before`.
    fn check_continues(&self, before: &InForce) {
        assert_eq!(self.policy, before.policy);
        assert_eq!(self.posture, before.posture);
        assert!(before.flows.len() >= 60, "{}", before.flows.len());
        for (flow, bytes) in &before.flows {
            let now = self.flows.get(flow);
            assert!(now >= Some(bytes), "{flow}: {bytes} bytes, then {now:?}");
        }
    }
}

/// Runs a command, and kills the daemon after a delay.
fn kill_during(gateway: &Gateway, delay: Duration, command: &[&str]) -> Result<Output> {
    std::thread::scope(|scope| {
        let output = scope.spawn(|| gateway.cordon(command));
        std::thread::sleep(delay);
        gateway.kill()?;
        output.join().expect("the command does not panic")
    })
}

#[test]
fn kill_during_apply_leaves_the_old_or_the_new_policy() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start()?;
    // Each of the two policies allows one of these flows.
    let remote_desk = test_flow(&lab, "remote desk")?;
    let mut directory = remote_desk.clone();
    directory.spec.name = "directory";
    directory.spec.port = 389;
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
    quarantine(gateway, Posture::Watch)?;
    let wires = Wires::tap(&lab)?;
    let flows = start_flows(&lab)?;
    let mut current = 1;
    let mut pace = Pace::new(16, Duration::from_millis(60));
    while !pace.is_enough() {
        let next = 1 - current;
        let output = kill_during(gateway, pace.delay(), &["apply", &policies[next]])?;
        pace.record(output.success());
        gateway.start()?;
        assert_eq!(posture(gateway)?, Posture::Watch);
        let found = hash(gateway)?;
        match hashes.iter().position(|hash| *hash == found) {
            Some(found) if found == next || !output.success() => current = found,
            _ => panic!("{found} is in force after {output:?}"),
        }
        assert_eq!(is_let_in(&lab, &wires, &remote_desk)?, current == 0);
        assert_eq!(is_let_in(&lab, &wires, &directory)?, current == 1);
    }
    println!("{pace:?}");
    check_no_loss(&lab, wires, flows)?;
    Ok(())
}

#[test]
fn kill_during_an_order_leaves_the_old_or_the_new_posture() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let test_flows = test_flows(&lab)?;
    let wires = Wires::tap(&lab)?;
    let flows = start_flows(&lab)?;
    let _lookups = Chatter::start(&test_flow(&lab, "lookups")?, 4, Duration::from_millis(5))?;
    let remote_desk = test_flow(&lab, "remote desk")?;
    let mut closed = Vec::new();
    let mut paces = [(); 2].map(|()| Pace::new(16, Duration::from_millis(60)));
    while !(paces[0].is_enough() && paces[1].is_enough()) {
        let order = [
            "quarantine",
            "site",
            "--posture",
            "contain",
            "--reason",
            "drill",
        ];
        let output = kill_during(gateway, paces[0].delay(), &order)?;
        let from = now();
        paces[0].record(output.success());
        gateway.start()?;
        // An acknowledged order is in force from its acknowledgement, another one from when the gateway reports it.
        let from = if output.success() { from } else { now() };
        match posture(gateway)? {
            Posture::Contain => {}
            // Not acknowledged, and not in force.
            Posture::Normal if !output.success() => {
                assert!(is_let_in(&lab, &wires, &remote_desk)?);
                continue;
            }
            posture => panic!("{posture} is in force after {output:?}"),
        }
        assert!(!is_let_in(&lab, &wires, &remote_desk)?);
        closed.push((from, now()));

        let order = ["release", "site", "--reason", "the drill is over"];
        let output = kill_during(gateway, paces[1].delay(), &order)?;
        paces[1].record(output.success());
        gateway.start()?;
        if posture(gateway)? == Posture::Contain {
            assert!(!output.success(), "{output:?}");
            assert!(!is_let_in(&lab, &wires, &remote_desk)?);
            release(gateway)?;
        }
        assert_eq!(posture(gateway)?, Posture::Normal);
        assert!(is_let_in(&lab, &wires, &remote_desk)?);
    }
    println!("{paces:?}");
    let seen = check_no_loss(&lab, wires, flows)?;
    for span in closed {
        check_closed(&test_flows, &seen, span);
    }
    Ok(())
}

#[test]
fn a_reboot_keeps_the_posture() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let test_flows = test_flows(&lab)?;
    let wires = Wires::tap(&lab)?;
    let mut forbidden = Vec::new();
    for name in ["old studies", "remote desk", "lookups"] {
        let every = Duration::from_millis(10);
        forbidden.push(Chatter::start(&test_flow(&lab, name)?, 4, every)?);
    }
    let (images, vitals) = (test_flow(&lab, "images")?, test_flow(&lab, "vitals")?);
    let every = Duration::from_millis(20);
    let kept = [
        ("images", images.flows(5, every).start()?),
        ("vitals", vitals.flows(5, every).start()?),
    ];
    for (_, flows) in &kept {
        flows.established(PATIENCE)?;
    }
    quarantine(gateway, Posture::Contain)?;
    let closed = now();
    let policy = hash(gateway)?;
    for _ in 0..3 {
        gateway.kill()?;
        simulate_reboot(gateway)?;
        let gone = now();
        std::thread::sleep(Duration::from_millis(500));
        let booted = now();
        gateway.start()?;
        let started = now();
        assert_eq!(gateway.json(&["status"])?["dataplane"], "new");
        assert_eq!(posture(gateway)?, Posture::Contain);
        assert_eq!(hash(gateway)?, policy);
        for (name, flows) in &kept {
            delivers_after(flows, started, name)?;
        }
        // No frame leaves before the daemon starts.
        let down = (gone + MARGIN, booted);
        assert_eq!(wires.left(|seen| down.0 < seen.at && seen.at < down.1)?, 0);
    }
    let open_again = now();
    release(gateway)?;
    let released = now();
    let desk = test_flow(&lab, "remote desk")?;
    wait_until("the remote desk answers again", || {
        Ok(wires.left(|seen| desk.is_reply(seen) && seen.at > released)? > 0)
    })?;
    drop(forbidden);
    let seen = wires.stop()?;
    check_losses(&lab)?;
    check_closed(&test_flows, &seen, (closed, open_again));
    Ok(())
}
