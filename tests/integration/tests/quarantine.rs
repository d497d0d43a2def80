//! A quarantine stops every forbidden frame and loses no allowed one. The test counts frames on the wires and does not
//! rely on the gateway's own counters.

use std::net::UdpSocket;
use std::time::Duration;

use cordon_integration::chatter::Chatter;
use cordon_integration::hospital::{
    self, MONITORS_ANNOUNCE, STATIONS_ANNOUNCE, TestFlow, broadcast, test_flow, test_flows,
};
use cordon_integration::steps::{
    PATIENCE, check_losses, delivers_after, quarantine, release, wait_until,
};
use cordon_integration::wires::{Span, Wires, is_resolution_or_membership};
use cordon_lab::{CapturedFrame, Flows, Lab, Result, Running, TCP, now};
use cordon_policy::Posture;

/// Numbered flows by name. Together with `CHATTER` they are a thousand.
const FLOWS: [(&str, u32); 9] = [
    ("images", 150),
    ("vitals", 150),
    ("doses", 100),
    ("pump alarms", 50),
    ("scans", 50),
    ("charts", 150),
    ("old images", 75),
    ("remote charts", 50),
    ("browsing", 15),
];
/// Flows that contain forbids, and on which both ends keep sending.
const CHATTER: [(&str, usize); 3] = [("remote desk", 100), ("lookups", 100), ("old studies", 10)];

#[test]
fn a_quarantine_stops_forbidden_flows_and_keeps_the_others() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let test_flows = test_flows(&lab)?;
    let wires = Wires::tap(&lab)?;
    let mut numbered = Vec::new();
    for (name, count) in FLOWS {
        numbered.push(start(
            test_flow(&lab, name)?,
            count,
            Duration::from_secs(1),
        )?);
    }
    let mut chatter = Vec::new();
    for (name, count) in CHATTER {
        let every = Duration::from_millis(100);
        chatter.push(Chatter::start(&test_flow(&lab, name)?, count, every)?);
    }
    let counts = FLOWS.map(|(_, count)| count as usize);
    let all = counts.into_iter().chain(CHATTER.map(|(_, count)| count));
    assert_eq!(all.sum::<usize>(), 1000);
    for (_, flows) in &numbered {
        flows.established(PATIENCE)?;
    }
    let open = now();
    std::thread::sleep(Duration::from_secs(1));

    let close = now();
    quarantine(gateway, Posture::Contain)?;
    let closed = now();
    // Existing flows, from both ends, and new flows now send forbidden frames.
    for flow in &test_flows {
        check_new_flow(flow, Posture::Contain)?;
    }
    for flow in &test_flows {
        wait_for_attempt(&wires, closed, flow.spec.name, |seen| flow.is_request(seen))?;
    }
    for (name, _) in CHATTER {
        let flow = test_flow(&lab, name)?;
        wait_for_attempt(&wires, closed, name, |seen| flow.is_reply(seen))?;
    }
    std::thread::sleep(Duration::from_secs(1));
    let open_again = now();
    release(gateway)?;
    let released = now();

    for (flow, flows) in &numbered {
        delivers_after(flows, released, flow.spec.name)?;
    }
    std::thread::sleep(Duration::from_secs(1));
    let mut reports = Vec::new();
    for (flow, flows) in numbered {
        reports.push((flow, flows.stop()?));
    }
    drop(chatter);
    // The last segments of the connections are still in flight.
    std::thread::sleep(Duration::from_millis(500));
    let end = now();
    let seen = wires.stop()?;
    check_losses(&lab)?;

    let kept = |seen: &CapturedFrame| is_allowed(&test_flows, Posture::Contain, seen);
    let forbidden = |seen: &CapturedFrame| !kept(seen) && !is_resolution_or_membership(seen);
    // No forbidden frame of any kind left, in either direction.
    let leaked = seen.leaked((closed, open_again), forbidden);
    assert!(
        leaked.is_empty(),
        "{} frames leaked: {:?}",
        leaked.len(),
        leaked[0]
    );
    // No allowed frame was lost, at the quarantine, at the release, or between.
    let lost = seen.lost(kept);
    assert!(lost.is_empty(), "{} were lost: {:?}", lost.len(), lost[0]);
    for (flow, report) in &reports {
        println!("{}: {report}", flow.spec.name);
        if flow.spec.until >= Posture::Contain {
            let lost = (report.lost(), report.unanswered());
            assert_eq!(lost, (0, 0), "{}: {report}", flow.spec.name);
        }
        let ended_early = report.failed().next();
        assert_eq!(ended_early, None, "{}: {report}", flow.spec.name);
    }

    // This proves nothing unless the flows were tried while forbidden, and passed before and afterwards.
    let closed = (closed, open_again);
    println!(
        "{} frames were in flight at the quarantine",
        seen.late(closed, forbidden)
    );
    for flow in &test_flows {
        let name = flow.spec.name;
        let asks = |seen: &CapturedFrame| flow.is_request(seen);
        let answers = |seen: &CapturedFrame| flow.is_reply(seen);
        let tried = [seen.tried(closed, asks), seen.tried(closed, answers)];
        println!("{name}: {tried:?} requests and replies while closed");
        for (when, span) in [("before", (open, close)), ("after", (released, end))] {
            // "vendor" has no flow outside the quarantine.
            if name != "vendor" {
                assert!(seen.passed(span, asks) > 0, "{name} did not pass {when}");
                let answered = seen.passed(span, answers) > 0;
                assert!(answered, "{name} was not answered {when}");
            }
        }
    }
    Ok(())
}

#[test]
fn every_posture_stops_exactly_the_forbidden_flows() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let test_flows = test_flows(&lab)?;
    let wires = Wires::tap(&lab)?;
    let every = Duration::from_millis(50);
    let mut numbered = Vec::new();
    for flow in &test_flows {
        numbered.push(start(flow.clone(), 4, every)?);
    }
    let _announcements = [
        announce(&lab, "monitor-1", "monitor-2", MONITORS_ANNOUNCE)?,
        announce(&lab, "station-1", "station-2", STATIONS_ANNOUNCE)?,
    ];
    for (_, flows) in &numbered {
        flows.established(PATIENCE)?;
    }
    let open = now();
    let mut spans: Vec<(Posture, Span)> = Vec::new();
    for posture in Posture::ALL {
        if posture > Posture::Normal {
            quarantine(gateway, posture)?;
        }
        let closed = now();
        for (flow, flows) in &numbered {
            if flow.spec.until >= posture {
                delivers_after(flows, closed, flow.spec.name)?;
            }
            check_new_flow(flow, posture)?;
            wait_for_attempt(&wires, closed, flow.spec.name, |seen| flow.carries(seen))?;
        }
        for (port, until) in ANNOUNCED {
            let matches = |seen: &CapturedFrame| seen.is_udp_to(port) && seen.at > closed;
            wait_for_attempt(&wires, closed, "announcements", matches)?;
            if posture <= until {
                wait_until("an announcement leaves", || Ok(wires.left(matches)? > 0))?;
            }
        }
        std::thread::sleep(Duration::from_millis(300));
        spans.push((posture, (closed, now())));
    }
    release(gateway)?;
    let released = now();
    for (flow, flows) in &numbered {
        delivers_after(flows, released, flow.spec.name)?;
    }
    let seen = wires.stop()?;
    check_losses(&lab)?;

    for (posture, span) in spans.iter().copied() {
        let forbidden = |seen: &CapturedFrame| {
            let resolves = is_resolution_or_membership(seen) && posture < Posture::Sever;
            !resolves && !is_announcement(posture, seen) && !is_allowed(&test_flows, posture, seen)
        };
        let leaked = seen.leaked(span, forbidden);
        assert!(leaked.is_empty(), "at {posture}: {:?}", leaked[0]);
        // A broadcast within a zone stays inside when the site is closed; one on the continuity list leaves by the
        // uplink.
        for (port, until) in ANNOUNCED {
            let matches = |seen: &CapturedFrame| seen.is_udp_to(port);
            let left = seen.passed(span, matches) > 0;
            assert_eq!(left, posture <= until, "{port} at {posture}");
        }
    }
    // No flow lost a frame before the order that stops it.
    for flow in &test_flows {
        let on = spans
            .iter()
            .filter(|(posture, _)| *posture <= flow.spec.until);
        let until = on.map(|(_, span)| span.1).max().unwrap_or(open);
        let kept = |seen: &CapturedFrame| flow.carries(seen) && seen.at < until - MARGIN;
        let lost = seen.lost(kept);
        let name = flow.spec.name;
        assert!(lost.is_empty(), "{} of {name}: {:?}", lost.len(), lost[0]);
    }
    Ok(())
}

/// Nanoseconds that a frame may take from the tap to the gateway's verdict.
const MARGIN: u64 = 250_000_000;

/// Waits until a matching frame has entered the gateway after a moment: without one, the test proves nothing.
fn wait_for_attempt(
    wires: &Wires,
    after: u64,
    what: &str,
    matches: impl Fn(&CapturedFrame) -> bool,
) -> Result<()> {
    wait_until(&format!("{what} is tried"), || {
        Ok(wires.entered(|seen| seen.at > after && matches(seen))? > 0)
    })
}

/// The ports of broadcast announcements, and the highest posture at which they leave by the uplink.
const ANNOUNCED: [(u16, Posture); 2] = [
    (MONITORS_ANNOUNCE, Posture::Lockdown),
    (STATIONS_ANNOUNCE, Posture::Watch),
];

fn is_announcement(posture: Posture, seen: &CapturedFrame) -> bool {
    let mut matches = ANNOUNCED.iter().filter(|(port, _)| seen.is_udp_to(*port));
    matches.any(|(_, until)| posture <= *until)
}

/// Whether a frame belongs to a flow that is allowed at a posture.
fn is_allowed(test_flows: &[TestFlow], posture: Posture, seen: &CapturedFrame) -> bool {
    let mut kept = test_flows.iter().filter(|flow| flow.spec.until >= posture);
    kept.any(|flow| flow.carries(seen))
}

fn start(flow: TestFlow, count: u32, every: Duration) -> Result<(TestFlow, Running)> {
    let flows = flow.flows(count, every).start()?;
    Ok((flow, flows))
}

fn announce(lab: &Lab, from: &str, to: &str, port: u16) -> Result<Running> {
    let (from, to) = (lab.host(from)?, lab.host(to)?);
    let announcement = Flows::udp(&from, &to, port).to_address(broadcast(&from));
    announcement.one_way().start()
}

/// Opens a new flow, and checks that a TCP connection is made exactly if it is allowed.
fn check_new_flow(flow: &TestFlow, posture: Posture) -> Result<()> {
    let address = flow.to.at(flow.spec.port);
    let is_allowed = flow.spec.until >= posture;
    if flow.spec.protocol == TCP {
        let within = match is_allowed {
            true => PATIENCE,
            false => Duration::from_millis(200),
        };
        let connected = flow.from.connects(address, within)?;
        assert_eq!(connected, is_allowed, "{} at {posture}", flow.spec.name);
        return Ok(());
    }
    let send = || {
        let socket = UdpSocket::bind(flow.from.at(0)).expect("the address is available");
        for _ in 0..10 {
            socket
                .send_to(b"anyone?", address)
                .expect("the datagram is sent");
        }
    };
    flow.from.run(send)
}
