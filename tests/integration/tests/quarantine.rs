//! One action: what is forbidden stops, what is kept goes on. Counted on the wires, never by asking the gateway.

use std::net::UdpSocket;
use std::time::Duration;

use cordon_integration::chatter::Chatter;
use cordon_integration::hospital::{
    self, Line, MONITORS_ANNOUNCE, STATIONS_ANNOUNCE, broadcast, line, lines,
};
use cordon_integration::steps::{
    PATIENCE, check_losses, comes_after, quarantine, release, wait_until,
};
use cordon_integration::wires::{Span, Wires, keeps_house};
use cordon_lab::{Flows, Lab, Result, Running, Seen, TCP, now};
use cordon_policy::Posture;

/// Numbered flows of each talk; with what `CHATTER` adds, a thousand.
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
/// Flows that contain forbids, both ends of which go on trying.
const CHATTER: [(&str, usize); 3] = [("remote desk", 100), ("lookups", 100), ("old studies", 10)];

#[test]
fn a_thousand_flows_and_one_action() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let lines = lines(&lab)?;
    let wires = Wires::tap(&lab)?;
    let mut numbered = Vec::new();
    for (name, count) in FLOWS {
        numbered.push(start(line(&lab, name)?, count, Duration::from_secs(1))?);
    }
    let mut chatter = Vec::new();
    for (name, count) in CHATTER {
        let every = Duration::from_millis(100);
        chatter.push(Chatter::start(&line(&lab, name)?, count, every)?);
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
    // From here on, what is forbidden is tried by flows that are there, by both their ends, and by new ones.
    for line in &lines {
        check_knock(line, Posture::Contain)?;
    }
    for line in &lines {
        is_tried(&wires, closed, line.talk.name, |seen| line.asks(seen))?;
    }
    for (name, _) in CHATTER {
        let line = line(&lab, name)?;
        is_tried(&wires, closed, name, |seen| line.answers(seen))?;
    }
    std::thread::sleep(Duration::from_secs(1));
    let open_again = now();
    release(gateway)?;
    let released = now();

    for (line, flows) in &numbered {
        comes_after(flows, released, line.talk.name)?;
    }
    std::thread::sleep(Duration::from_secs(1));
    let mut reports = Vec::new();
    for (line, flows) in numbered {
        reports.push((line, flows.stop()?));
    }
    drop(chatter);
    // The connections' own ends are still on their way.
    std::thread::sleep(Duration::from_millis(500));
    let end = now();
    let seen = wires.stop()?;
    check_losses(&lab)?;

    let kept = |seen: &Seen| goes_on(&lines, Posture::Contain, seen);
    let forbidden = |seen: &Seen| !kept(seen) && !keeps_house(seen);
    // Not one frame that is forbidden, of whatever kind, either way.
    let leaked = seen.leaked((closed, open_again), forbidden);
    assert!(
        leaked.is_empty(),
        "{} frames leaked: {:?}",
        leaked.len(),
        leaked[0]
    );
    // Not one frame lost of what is kept, at the quarantine, at the release, or between.
    let lost = seen.lost(kept);
    assert!(lost.is_empty(), "{} were lost: {:?}", lost.len(), lost[0]);
    for (line, report) in &reports {
        println!("{}: {report}", line.talk.name);
        if line.talk.until >= Posture::Contain {
            let lost = (report.lost(), report.unanswered());
            assert_eq!(lost, (0, 0), "{}: {report}", line.talk.name);
        }
        let ended_early = report.troubled().next();
        assert_eq!(ended_early, None, "{}: {report}", line.talk.name);
    }

    // None of which says anything unless it was tried, and passed before and afterwards.
    let closed = (closed, open_again);
    println!(
        "{} frames were on the wire at the quarantine",
        seen.late(closed, forbidden)
    );
    for line in &lines {
        let name = line.talk.name;
        let asks = |seen: &Seen| line.asks(seen);
        let answers = |seen: &Seen| line.answers(seen);
        let tried = [seen.tried(closed, asks), seen.tried(closed, answers)];
        println!("{name}: {tried:?} frames, asking and answering, while closed");
        for (when, span) in [("before", (open, close)), ("after", (released, end))] {
            // Nobody but a new flow talks of this.
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
fn every_posture_stops_what_it_must_and_nothing_else() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    let lines = lines(&lab)?;
    let wires = Wires::tap(&lab)?;
    let every = Duration::from_millis(50);
    let mut numbered = Vec::new();
    for line in &lines {
        numbered.push(start(line.clone(), 4, every)?);
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
        for (line, flows) in &numbered {
            if line.talk.until >= posture {
                comes_after(flows, closed, line.talk.name)?;
            }
            check_knock(line, posture)?;
            is_tried(&wires, closed, line.talk.name, |seen| line.carries(seen))?;
        }
        for (port, until) in ANNOUNCED {
            let such = |seen: &Seen| seen.is_udp_to(port) && seen.at > closed;
            is_tried(&wires, closed, "announcements", such)?;
            if posture <= until {
                wait_until("they leave", || Ok(wires.left(such)? > 0))?;
            }
        }
        std::thread::sleep(Duration::from_millis(300));
        spans.push((posture, (closed, now())));
    }
    release(gateway)?;
    let released = now();
    for (line, flows) in &numbered {
        comes_after(flows, released, line.talk.name)?;
    }
    let seen = wires.stop()?;
    check_losses(&lab)?;

    for (posture, span) in spans.iter().copied() {
        let forbidden = |seen: &Seen| {
            let resolves = keeps_house(seen) && posture < Posture::Sever;
            !resolves && !announces(posture, seen) && !goes_on(&lines, posture, seen)
        };
        let leaked = seen.leaked(span, forbidden);
        assert!(leaked.is_empty(), "at {posture}: {:?}", leaked[0]);
        // A broadcast within a zone stays inside when the site is closed; the continuity list's leaves by the uplink too.
        for (port, until) in ANNOUNCED {
            let such = |seen: &Seen| seen.is_udp_to(port);
            let left = seen.passed(span, such) > 0;
            assert_eq!(left, posture <= until, "{port} at {posture}");
        }
    }
    // Up to the order that stops it, nothing was lost of anything.
    for line in &lines {
        let on = spans
            .iter()
            .filter(|(posture, _)| *posture <= line.talk.until);
        let until = on.map(|(_, span)| span.1).max().unwrap_or(open);
        let kept = |seen: &Seen| line.carries(seen) && seen.at < until - MARGIN;
        let lost = seen.lost(kept);
        let name = line.talk.name;
        assert!(lost.is_empty(), "{} of {name}: {:?}", lost.len(), lost[0]);
    }
    Ok(())
}

/// Nanoseconds that a frame may take to get from the end of a wire to the gateway's judgement.
const MARGIN: u64 = 250_000_000;

/// Waits until such a frame was handed to the gateway after a moment: where nobody tries, nothing is shown.
fn is_tried(wires: &Wires, after: u64, what: &str, such: impl Fn(&Seen) -> bool) -> Result<()> {
    wait_until(&format!("someone tries {what}"), || {
        Ok(wires.entered(|seen| seen.at > after && such(seen))? > 0)
    })
}

/// What is announced by broadcast, and the highest posture at which it leaves by the uplink.
const ANNOUNCED: [(u16, Posture); 2] = [
    (MONITORS_ANNOUNCE, Posture::Lockdown),
    (STATIONS_ANNOUNCE, Posture::Watch),
];

fn announces(posture: Posture, seen: &Seen) -> bool {
    let mut such = ANNOUNCED.iter().filter(|(port, _)| seen.is_udp_to(*port));
    such.any(|(_, until)| posture <= *until)
}

/// Whether a frame belongs to what goes on at a posture.
fn goes_on(lines: &[Line], posture: Posture, seen: &Seen) -> bool {
    let mut kept = lines.iter().filter(|line| line.talk.until >= posture);
    kept.any(|line| line.carries(seen))
}

fn start(line: Line, count: u32, every: Duration) -> Result<(Line, Running)> {
    let flows = line.flows(count, every).start()?;
    Ok((line, flows))
}

fn announce(lab: &Lab, from: &str, to: &str, port: u16) -> Result<Running> {
    let (from, to) = (lab.host(from)?, lab.host(to)?);
    let announcement = Flows::udp(&from, &to, port).to_address(broadcast(&from));
    announcement.one_way().start()
}

/// Tries a line anew: where that is forbidden, no connection comes of it.
fn check_knock(line: &Line, posture: Posture) -> Result<()> {
    let address = line.to.at(line.talk.port);
    let goes_on = line.talk.until >= posture;
    if line.talk.protocol == TCP {
        let within = match goes_on {
            true => PATIENCE,
            false => Duration::from_millis(200),
        };
        let connected = line.from.connects(address, within)?;
        assert_eq!(connected, goes_on, "{} at {posture}", line.talk.name);
        return Ok(());
    }
    let send = || {
        let socket = UdpSocket::bind(line.from.at(0)).expect("binds");
        for _ in 0..10 {
            socket.send_to(b"anyone?", address).expect("is sent");
        }
    };
    line.from.run(send)
}
