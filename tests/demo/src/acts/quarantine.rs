//! One command cuts the site off: what stops, how fast, and what goes on.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cordon_lab::Seen;

use super::traffic::{Sessions, Stream, Traffic};
use crate::counting::status;
use crate::hospital::{Hospital, Said};
use crate::tell::{count, megabytes, number, span};
use crate::wire::{entered, left};
use crate::{Story, dicom, records};

const REASON: &str = "ransomware at Rockville General";
/// How long the site stays cut off at least: long enough to see that nothing comes after all.
const CLOSED: Duration = Duration::from_secs(4);
/// How long a new connection may try.
const TRY: Duration = Duration::from_millis(1500);
/// How long the emergency study may take.
const STUDY: Duration = Duration::from_secs(40);

/// What is under way while the site is cut off.
pub struct CutOff {
    /// The traffic.
    pub traffic: Traffic,
    /// When the command had returned: nanoseconds since the epoch.
    pub since: u64,
}

/// Plays it.
pub fn play(story: &mut Story) -> Result<CutOff> {
    let mut traffic = under_way(story)?;
    let Story { tell, hospital, .. } = &*story;
    tell.gap()?;
    tell.command(&format!("cordon quarantine site --reason \"{REASON}\""))?;
    let order = hospital.must(&["quarantine", "site", "--reason", REASON])?;
    let closed = Instant::now();
    let coming = hospital
        .studies()
        .emergency
        .coming(&dicom::arrivals(hospital, "pacs"));
    let given = status(hospital)?
        .order
        .context("the gateway knows of no order")?;
    let before = settled(&traffic);
    tell.quote(&order.text)?;
    tell.doing("trying what should fail, and what should not")?;
    let attempts = attempts(hospital)?;
    let delivered = traffic.study.wait(STUDY)?.success();
    std::thread::sleep(CLOSED.saturating_sub(closed.elapsed()));
    let explained = explained(hospital)?;

    let in_force = given.in_force_milliseconds.unwrap_or(f64::NAN);
    stopped(story, &traffic, &order, in_force, before)?;
    new_connections(story, &attempts)?;
    let study = (delivered, coming);
    went_on(story, &traffic.sessions, &attempts, study, order.returned)?;
    let Story {
        tell,
        ledger,
        hospital,
        ..
    } = story;
    tell.gap()?;
    let records = hospital.host("records")?.ip();
    tell.command(&format!("cordon explain station-1 {records} https"))?;
    tell.quote(&explained.text)?;
    ledger.promise(
        tell,
        explained.code == Some(4) && explained.text.contains("posture"),
        "and anyone can see why",
        "by the same function that judges in the kernel; exit code 4: dropped",
    )?;
    story.moral = format!(
        "the site was cut off in {}, and nothing on its continuity list was lost",
        apart(order.began, order.returned)
    );
    Ok(CutOff {
        traffic,
        since: order.returned,
    })
}

/// Starts the traffic, and tells of it.
fn under_way(story: &Story) -> Result<Traffic> {
    let Story { tell, hospital, .. } = story;
    tell.act("4. Ransomware at Rockville: one command")?;
    tell.doing("starting what will be under way")?;
    let sessions = Sessions::start(hospital)?;
    tell.say("Under way, all of it established, when the call comes:")?;
    tell.fact(
        "continuity list, through the gateway",
        format!(
            "an emergency study of {} slices from the CT to the archive; {}",
            hospital.studies().emergency.len(),
            listed(&sessions.kept)
        ),
    )?;
    tell.fact("continuity list, within a VLAN", listed(&sessions.near))?;
    tell.fact("between VLANs of the site", listed(&sessions.inside))?;
    tell.fact(
        "across the boundary of the site",
        format!(
            "charts downloading to a workstation (HTTPS), results to the interface engine (HL7), {}",
            listed(&sessions.cut)
        ),
    )?;
    tell.pause(Duration::from_secs(3));
    Traffic::start(hospital, sessions)
}

/// `20 of these, those`.
fn listed(streams: &[Stream]) -> String {
    let told = streams.iter().map(|stream| match stream.count {
        1 => stream.what.to_owned(),
        many => format!("{many} {}", stream.what),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// Bytes and results that have come across, once what had arrived before is read.
fn settled(traffic: &Traffic) -> (u64, u64) {
    let now = || (traffic.download.bytes(), traffic.results.accepted());
    let mut before = now();
    // What is not cut off never settles: it is caught later.
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(300));
        let after = now();
        if after == before {
            break;
        }
        before = after;
    }
    before
}

/// What somebody tries anew while the site is cut off.
struct Attempts {
    /// Across the boundary: what, whether it succeeded.
    across: Vec<(&'static str, bool)>,
    /// The CT asks the archive for an echo.
    echo: (bool, Duration),
    /// The ultrasound sends images to a workstation.
    images: (bool, Duration),
}

/// All at the same time.
fn attempts(hospital: &Hospital) -> Result<Attempts> {
    let host = |name: &str| hospital.host(name);
    let (ct, archive, guest) = (host("ct-1")?, host("pacs")?, host("guest")?);
    let (internet, rockville, station) =
        (host("internet")?, host("rockville")?, host("station-1")?);
    let desktop = host("station-2")?.at(3389);
    std::thread::scope(|scope| {
        let across = [
            (
                "a workstation reading a chart",
                scope.spawn(|| Ok(records::read(hospital, &station)?.read)),
            ),
            (
                "Rockville opening a remote desktop",
                scope.spawn(|| Ok(rockville.connects(desktop, TRY)?)),
            ),
            (
                "a guest opening a web page",
                scope.spawn(|| Ok(guest.connects(internet.at(443), TRY)?)),
            ),
            (
                "a vendor logging in to the CT",
                scope.spawn(|| Ok(internet.connects(ct.at(22), TRY)?)),
            ),
        ];
        let echo = scope.spawn(|| dicom::echo(&ct, &archive));
        let images = scope.spawn(|| {
            hospital
                .studies()
                .later
                .delivered(hospital, "us-1", "station-1")
        });
        let across = across.map(|(what, thread)| {
            let outcome: Result<bool> = thread.join().expect("does not panic");
            Ok((what, outcome?))
        });
        Ok(Attempts {
            across: across.into_iter().collect::<Result<_>>()?,
            echo: echo.join().expect("does not panic")?,
            images: images.join().expect("does not panic")?,
        })
    })
}

fn explained(hospital: &Hospital) -> Result<Said> {
    let records = hospital.host("records")?.ip().to_string();
    hospital.cordon(&["explain", "station-1", &records, "https"])
}

/// What was established across the boundary has ended, and when.
fn stopped(
    story: &mut Story,
    traffic: &Traffic,
    order: &Said,
    in_force: f64,
    before: (u64, u64),
) -> Result<()> {
    let Story {
        tell,
        ledger,
        hospital,
        ..
    } = story;
    let boundary = hospital.boundary();
    let mut forbidden = Vec::new();
    let mut knocking = 0;
    for tap in &traffic.sessions.taps {
        let frames = tap.frames()?;
        forbidden.extend(
            left(&frames)
                .into_iter()
                .filter(|seen| boundary.forbids(seen)),
        );
        let late = |seen: &&Seen| boundary.forbids(seen) && seen.at > order.returned;
        knocking += entered(&frames).iter().filter(late).count() as u64;
    }
    let after = forbidden
        .iter()
        .filter(|seen| seen.at > order.returned)
        .count();
    let last = forbidden.iter().map(|seen| seen.at).max();
    let last = last.context("nothing crossed the boundary before the order")?;
    tell.gap()?;
    tell.say("What stopped:")?;
    tell.fact(
        "from the command to its return",
        format!(
            "{}; the gateway says: in force {in_force:.1} ms after it came in",
            apart(order.began, order.returned)
        ),
    )?;
    ledger.headline(
        tell,
        after == 0,
        "cut off when the command returns",
        match last <= order.returned {
            true => format!(
                "the last forbidden frame left {} after the command was typed and {} before it returned",
                apart(order.began, last),
                apart(last, order.returned)
            ),
            false => format!(
                "{} left after it had returned, the last of them {} later",
                count(after as u64, "forbidden frame"),
                apart(order.returned, last)
            ),
        },
    )?;
    tell.fact(
        "though they kept knocking",
        format!(
            "{} reached the gateway since",
            count(knocking, "forbidden packet")
        ),
    )?;
    for stream in &traffic.sessions.cut {
        let report = stream.running.report()?;
        let silent = report
            .flows
            .iter()
            .filter(|flow| flow.newest < Some(order.returned))
            .count();
        ledger.promise(
            tell,
            silent == report.flows.len(),
            stream.what,
            format!(
                "{silent} of {} established connections are cut",
                report.flows.len()
            ),
        )?;
    }
    let (bytes, accepted) = before;
    let (now, of) = (traffic.download.bytes(), traffic.download.of());
    ledger.promise(
        tell,
        now == bytes && bytes < of,
        "the download of charts",
        match now == bytes {
            true => format!("stands still at {} of {}", megabytes(bytes), megabytes(of)),
            false => format!("went on from {} to {}", megabytes(bytes), megabytes(now)),
        },
    )?;
    let more = traffic.results.accepted() - accepted;
    ledger.promise(
        tell,
        more == 0,
        "results to the interface engine",
        match more {
            0 => "the sender waits for an acknowledgement".to_owned(),
            _ => format!("{} more were acknowledged", number(more)),
        },
    )?;
    Ok(())
}

fn new_connections(story: &mut Story, attempts: &Attempts) -> Result<()> {
    let Story { tell, ledger, .. } = story;
    let open = attempts.across.iter().filter(|(_, open)| *open);
    let open: Vec<&str> = open.map(|(what, _)| *what).collect();
    let tried: Vec<&str> = attempts.across.iter().map(|(what, _)| *what).collect();
    ledger.headline(
        tell,
        open.is_empty(),
        "no new connection across the boundary",
        match open.is_empty() {
            true => format!("refused: {}", tried.join(", ")),
            false => format!("NOT refused: {}", open.join(", ")),
        },
    )?;
    Ok(())
}

/// What was to go on has gone on.
fn went_on(
    story: &mut Story,
    sessions: &Sessions,
    attempts: &Attempts,
    (delivered, coming): (bool, usize),
    since: u64,
) -> Result<()> {
    let Story {
        tell,
        ledger,
        hospital,
        ..
    } = story;
    let emergency = &hospital.studies().emergency;
    let stored = emergency.stored(&dicom::arrivals(hospital, "pacs"));
    tell.gap()?;
    tell.say("What went on:")?;
    ledger.headline(
        tell,
        delivered && stored == emergency.len() && coming < emergency.len(),
        "the emergency CT study arrives",
        format!(
            "{stored} of {} slices stored pixel for pixel, {} of them after the site was cut off",
            emergency.len(),
            number(emergency.len().saturating_sub(coming) as u64)
        ),
    )?;
    let (echo, images) = (attempts.echo, attempts.images);
    ledger.promise(
        tell,
        echo.0 && images.0,
        "what is allowed can begin anew",
        format!(
            "CT to archive: echo in {}; ultrasound to workstation: {} images in {}",
            span(echo.1),
            hospital.studies().later.len(),
            span(images.1)
        ),
    )?;
    let listed = sessions.kept.iter().chain(&sessions.near);
    let groups: [(&str, Vec<&Stream>); 2] = [
        ("the continuity list goes on", listed.collect()),
        ("the site goes on inside", sessions.inside.iter().collect()),
    ];
    for (what, streams) in groups {
        let (mut alive, mut all) = (0, 0);
        for stream in streams {
            let flows = stream.running.report()?.flows;
            // Sent when the site had been cut off for a while, and arrived.
            let newest = flows.iter().map(|flow| flow.newest);
            alive += newest
                .filter(|newest| *newest > Some(since + 1_000_000_000))
                .count();
            all += flows.len();
        }
        let figure = format!("{alive} of {all} established sessions deliver");
        ledger.promise(tell, alive == all, what, figure)?;
    }
    Ok(())
}

/// From one moment to a later one.
pub fn apart(one: u64, other: u64) -> String {
    span(Duration::from_nanos(other.saturating_sub(one)))
}
