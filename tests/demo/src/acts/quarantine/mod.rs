//! Act 4: one command cuts the site off. Checks what stops, how fast, and what continues.

mod attempts;
mod findings;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::traffic::{Sessions, Stream, Traffic};
use crate::counters::status;
use crate::hospital::{CommandOutput, Hospital};
use crate::narrator::span;
use crate::{Story, dicom};
use attempts::Attempts;

const REASON: &str = "ransomware at Rockville General";
/// Minimum time that the site stays cut off, so that a late leak would show.
const CLOSED: Duration = Duration::from_secs(4);
/// Time limit of the emergency study.
const STUDY: Duration = Duration::from_secs(40);

/// The state that act 5 takes over.
pub struct CutOff {
    /// The traffic that still runs.
    pub traffic: Traffic,
    /// Time at which the quarantine command returned, in nanoseconds since the epoch.
    pub since: u64,
}

/// Plays the act.
pub fn play(story: &mut Story) -> Result<CutOff> {
    let mut traffic = start_traffic(story)?;
    let Story {
        narrator, hospital, ..
    } = &*story;
    narrator.gap()?;
    narrator.command(&format!("cordon quarantine site --reason \"{REASON}\""))?;
    let order = hospital.must(&["quarantine", "site", "--reason", REASON])?;
    let closed = Instant::now();
    let arriving = hospital
        .studies()
        .emergency
        .arriving(&dicom::received_directory(hospital, "pacs"));
    let given = status(hospital)?
        .order
        .context("the gateway has no order")?;
    let before = transferred(&traffic);
    narrator.output(&order.text)?;
    narrator.progress("testing connections that should fail, and some that should not")?;
    let attempts = Attempts::run(hospital)?;
    let delivered = traffic.study.wait(STUDY)?.success();
    std::thread::sleep(CLOSED.saturating_sub(closed.elapsed()));
    let explained = explain(hospital)?;

    let in_force = given.in_force_milliseconds.unwrap_or(f64::NAN);
    findings::stopped(story, &traffic, &order, in_force, before)?;
    findings::new_connections(story, &attempts)?;
    let study = (delivered, arriving);
    findings::continued(story, &traffic.sessions, &attempts, study, order.returned)?;
    let Story {
        narrator,
        checks,
        hospital,
        ..
    } = story;
    narrator.gap()?;
    let records = hospital.host("records")?.ip();
    narrator.command(&format!("cordon explain station-1 {records} https"))?;
    narrator.output(&explained.text)?;
    checks.check(
        narrator,
        explained.code == Some(4) && explained.text.contains("posture"),
        "`cordon explain` gives the reason",
        "it runs the same function as the kernel; exit code 4 means dropped",
    )?;
    story.conclusion = format!(
        "the site was cut off in {}, and nothing on its continuity list was lost",
        apart(order.began, order.returned)
    );
    Ok(CutOff {
        traffic,
        since: order.returned,
    })
}

/// Starts the traffic and prints what it is.
fn start_traffic(story: &Story) -> Result<Traffic> {
    let Story {
        narrator, hospital, ..
    } = story;
    narrator.act("4. Ransomware at Rockville: one command")?;
    narrator.progress("starting traffic")?;
    let sessions = Sessions::start(hospital)?;
    narrator.say("Traffic at the time of the attack, all of it established:")?;
    narrator.fact(
        "continuity list, through the gateway",
        format!(
            "an emergency study of {} slices from the CT to the archive; {}",
            hospital.studies().emergency.len(),
            listed(&sessions.continuity)
        ),
    )?;
    narrator.fact(
        "continuity list, within a VLAN",
        listed(&sessions.within_vlan),
    )?;
    narrator.fact("between VLANs of the site", listed(&sessions.within_site))?;
    narrator.fact(
        "across the boundary of the site",
        format!(
            "download of charts to a workstation (HTTPS), results to the interface engine (HL7), {}",
            listed(&sessions.across_boundary)
        ),
    )?;
    narrator.pause(Duration::from_secs(3));
    Traffic::start(hospital, sessions)
}

/// A list of the streams, with their numbers of sessions.
fn listed(streams: &[Stream]) -> String {
    let items = streams.iter().map(|stream| match stream.count {
        1 => stream.what.to_owned(),
        many => format!("{many} {}", stream.what),
    });
    items.collect::<Vec<_>>().join(", ")
}

/// Bytes downloaded and results accepted, once both counts no longer grow.
fn transferred(traffic: &Traffic) -> (u64, u64) {
    let now = || (traffic.download.bytes(), traffic.results.accepted());
    let mut before = now();
    // If a transfer was not cut off, its count keeps growing. A later check finds that.
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

fn explain(hospital: &Hospital) -> Result<CommandOutput> {
    let records = hospital.host("records")?.ip().to_string();
    hospital.cordon(&["explain", "station-1", &records, "https"])
}

/// The time between two moments in nanoseconds.
pub fn apart(one: u64, other: u64) -> String {
    span(Duration::from_nanos(other.saturating_sub(one)))
}
