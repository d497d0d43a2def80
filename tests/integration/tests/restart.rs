//! The daemon may be killed at any moment: what is in force stays in force, and nothing is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use cordon_integration::chatter::Chatter;
use cordon_integration::hospital::{self, Line, line, lines};
use cordon_integration::pace::Pace;
use cordon_integration::steps::{
    PATIENCE, check_losses, comes_after, forget, gets_in, hash, posture, quarantine, release,
    variant, wait_until,
};
use cordon_integration::wires::{Recorded, Span, Wires, keeps_house};
use cordon_lab::{Gateway, Lab, Output, Result, Running, Seen, now};
use cordon_policy::Posture;
use serde_json::Value;

/// Flows that nothing in these tests may harm.
fn keep_busy(lab: &Lab) -> Result<Vec<(Line, Running)>> {
    let every = Duration::from_millis(100);
    let mut flows = Vec::new();
    for (name, size) in [("images", 4000), ("vitals", 64), ("doses", 64)] {
        let line = line(lab, name)?;
        let running = line.flows(10, every).size(size).start()?;
        running.established(PATIENCE)?;
        flows.push((line, running));
    }
    Ok(flows)
}

/// Ends them, and the taps; nothing may have been lost.
fn check_kept(lab: &Lab, wires: Wires, flows: Vec<(Line, Running)>) -> Result<Recorded> {
    let mut reports = Vec::new();
    for (line, running) in flows {
        reports.push((line, running.stop()?));
    }
    std::thread::sleep(Duration::from_millis(500));
    let seen = wires.stop()?;
    check_losses(lab)?;
    for (line, report) in &reports {
        let name = line.talk.name;
        let lost = seen.lost(|seen| line.carries(seen));
        assert!(lost.is_empty(), "{} of {name}: {:?}", lost.len(), lost[0]);
        assert_eq!(
            (report.lost(), report.unanswered()),
            (0, 0),
            "{name}: {report}"
        );
        assert_eq!(report.troubled().next(), None, "{name}: {report}");
        println!("{name}: {report}");
    }
    Ok(seen)
}

#[test]
fn killed_under_load() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let lines = lines(&lab)?;
    let wires = Wires::tap(&lab)?;
    let kept = keep_busy(&lab)?;
    let mut others = Vec::new();
    for name in ["charts", "remote desk", "browsing"] {
        let line = line(&lab, name)?;
        let running = line.flows(10, Duration::from_millis(50)).start()?;
        running.established(PATIENCE)?;
        others.push((line, running));
    }
    let open = now();
    let before = InForce::read(gateway)?;
    for _ in 0..3 {
        gateway.kill()?;
        std::thread::sleep(Duration::from_millis(300));
        gateway.start()?;
        InForce::read(gateway)?.must_continue(&before);
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
        InForce::read(gateway)?.must_continue(&before);
    }
    let open_again = now();
    release(gateway)?;
    let released = now();
    for (line, running) in others.iter().chain(&kept) {
        comes_after(running, released, line.talk.name)?;
    }
    for (line, running) in others {
        let report = running.stop()?;
        assert_eq!(
            report.troubled().next(),
            None,
            "{}: {report}",
            line.talk.name
        );
    }
    let seen = check_kept(&lab, wires, kept)?;
    // At normal, nothing of anything.
    let earlier = |seen: &Seen| (open..close).contains(&seen.at);
    let lost = seen.lost(|seen| {
        earlier(seen) && seen.at < close - MARGIN && lines.iter().any(|line| line.carries(seen))
    });
    assert!(lost.is_empty(), "{}: {:?}", lost.len(), lost[0]);
    check_closed(&lines, &seen, (closed, open_again));
    Ok(())
}

/// Nanoseconds that a frame may take to get from the end of a wire to the gateway's judgement.
const MARGIN: u64 = 250_000_000;

/// At contain, not one frame of what it forbids, although it was tried.
fn check_closed(lines: &[Line], seen: &Recorded, span: Span) {
    let kept = |seen: &Seen| {
        let mut kept = lines
            .iter()
            .filter(|line| line.talk.until >= Posture::Contain);
        keeps_house(seen) || kept.any(|line| line.carries(seen))
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

/// What the gateway says is in force.
struct InForce {
    policy: Value,
    posture: Posture,
    /// By both ends: what was sent.
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

    /// The same policy and posture, and every flow there was, not begun anew.
    fn must_continue(&self, before: &InForce) {
        assert_eq!(self.policy, before.policy);
        assert_eq!(self.posture, before.posture);
        assert!(before.flows.len() >= 60, "{}", before.flows.len());
        for (flow, bytes) in &before.flows {
            let now = self.flows.get(flow);
            assert!(now >= Some(bytes), "{flow}: {bytes} bytes, then {now:?}");
        }
    }
}

/// Gives a command, and kills the daemon after a delay.
fn strike(gateway: &Gateway, delay: Duration, command: &[&str]) -> Result<Output> {
    std::thread::scope(|scope| {
        let given = scope.spawn(|| gateway.cordon(command));
        std::thread::sleep(delay);
        gateway.kill()?;
        given.join().expect("does not panic")
    })
}

#[test]
fn killed_in_the_middle_of_an_apply() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start()?;
    // Each lets in what the other does not.
    let remote_desk = line(&lab, "remote desk")?;
    let mut directory = remote_desk.clone();
    directory.talk.name = "directory";
    directory.talk.port = 389;
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
    let flows = keep_busy(&lab)?;
    let mut current = 1;
    let mut pace = Pace::new(16, Duration::from_millis(60));
    while !pace.is_enough() {
        let next = 1 - current;
        let given = strike(gateway, pace.delay(), &["apply", &policies[next]])?;
        pace.note(given.success());
        gateway.start()?;
        assert_eq!(posture(gateway)?, Posture::Watch);
        let found = hash(gateway)?;
        match hashes.iter().position(|hash| *hash == found) {
            Some(found) if found == next || !given.success() => current = found,
            _ => panic!("{found}, after this was acknowledged: {given:?}"),
        }
        assert_eq!(gets_in(&lab, &wires, &remote_desk)?, current == 0);
        assert_eq!(gets_in(&lab, &wires, &directory)?, current == 1);
    }
    println!("{pace:?}");
    check_kept(&lab, wires, flows)?;
    Ok(())
}

#[test]
fn killed_in_the_middle_of_an_order() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let lines = lines(&lab)?;
    let wires = Wires::tap(&lab)?;
    let flows = keep_busy(&lab)?;
    let _lookups = Chatter::start(&line(&lab, "lookups")?, 4, Duration::from_millis(5))?;
    let remote_desk = line(&lab, "remote desk")?;
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
        let given = strike(gateway, paces[0].delay(), &order)?;
        let from = now();
        paces[0].note(given.success());
        gateway.start()?;
        // What was acknowledged is in force from then on; what was not, as soon as the gateway says so.
        let from = if given.success() { from } else { now() };
        match posture(gateway)? {
            Posture::Contain => {}
            // Not acknowledged, and nothing came of it.
            Posture::Normal if !given.success() => {
                assert!(gets_in(&lab, &wires, &remote_desk)?);
                continue;
            }
            posture => panic!("{posture}, after this was acknowledged: {given:?}"),
        }
        assert!(!gets_in(&lab, &wires, &remote_desk)?);
        closed.push((from, now()));

        let order = ["release", "site", "--reason", "the drill is over"];
        let given = strike(gateway, paces[1].delay(), &order)?;
        paces[1].note(given.success());
        gateway.start()?;
        if posture(gateway)? == Posture::Contain {
            assert!(!given.success(), "{given:?}");
            assert!(!gets_in(&lab, &wires, &remote_desk)?);
            release(gateway)?;
        }
        assert_eq!(posture(gateway)?, Posture::Normal);
        assert!(gets_in(&lab, &wires, &remote_desk)?);
    }
    println!("{paces:?}");
    let seen = check_kept(&lab, wires, flows)?;
    for span in closed {
        check_closed(&lines, &seen, span);
    }
    Ok(())
}

#[test]
fn a_reboot_comes_up_closed() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let lines = lines(&lab)?;
    let wires = Wires::tap(&lab)?;
    let mut forbidden = Vec::new();
    for name in ["old studies", "remote desk", "lookups"] {
        let every = Duration::from_millis(10);
        forbidden.push(Chatter::start(&line(&lab, name)?, 4, every)?);
    }
    let (images, vitals) = (line(&lab, "images")?, line(&lab, "vitals")?);
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
        forget(gateway)?;
        let gone = now();
        std::thread::sleep(Duration::from_millis(500));
        let booted = now();
        gateway.start()?;
        let started = now();
        assert_eq!(gateway.json(&["status"])?["dataplane"], "new");
        assert_eq!(posture(gateway)?, Posture::Contain);
        assert_eq!(hash(gateway)?, policy);
        for (name, flows) in &kept {
            comes_after(flows, started, name)?;
        }
        let nothing = (gone + MARGIN, booted);
        assert_eq!(
            wires.left(|seen| nothing.0 < seen.at && seen.at < nothing.1)?,
            0
        );
    }
    let open_again = now();
    release(gateway)?;
    let released = now();
    let desk = line(&lab, "remote desk")?;
    wait_until("the remote desk is there again", || {
        Ok(wires.left(|seen| desk.answers(seen) && seen.at > released)? > 0)
    })?;
    drop(forbidden);
    let seen = wires.stop()?;
    check_losses(&lab)?;
    check_closed(&lines, &seen, (closed, open_again));
    Ok(())
}
