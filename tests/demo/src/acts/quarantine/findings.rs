//! Checks after the quarantine order.

use anyhow::{Context, Result};
use cordon_lab::CapturedFrame;

use super::super::traffic::{Sessions, Stream, Traffic};
use super::apart;
use super::attempts::Attempts;
use crate::hospital::CommandOutput;
use crate::narrator::{count, megabytes, number, span};
use crate::wire::{entered, left};
use crate::{Story, dicom};

/// Checks that established traffic across the boundary has stopped, and when.
pub fn stopped(
    story: &mut Story,
    traffic: &Traffic,
    order: &CommandOutput,
    in_force: f64,
    before: (u64, u64),
) -> Result<()> {
    let Story {
        narrator,
        checks,
        hospital,
        ..
    } = story;
    let boundary = hospital.boundary();
    let mut forbidden = Vec::new();
    let mut attempts = 0;
    for tap in &traffic.sessions.taps {
        let frames = tap.frames()?;
        forbidden.extend(
            left(&frames)
                .into_iter()
                .filter(|frame| boundary.forbids(frame)),
        );
        let late = |frame: &&CapturedFrame| boundary.forbids(frame) && frame.at > order.returned;
        attempts += entered(&frames).iter().filter(late).count() as u64;
    }
    let after = forbidden
        .iter()
        .filter(|frame| frame.at > order.returned)
        .count();
    let last = forbidden.iter().map(|frame| frame.at).max();
    let last = last.context("nothing crossed the boundary before the order")?;
    narrator.gap()?;
    narrator.say("Traffic that stopped:")?;
    narrator.fact(
        "from the command to its return",
        format!(
            "{}; by the gateway's clock, in force {in_force:.1} ms after the order arrived",
            apart(order.began, order.returned)
        ),
    )?;
    checks.key_check(
        narrator,
        after == 0,
        "cut off when the command returns",
        match last <= order.returned {
            true => format!(
                "the last forbidden frame left {} after the command started and {} before it returned",
                apart(order.began, last),
                apart(last, order.returned)
            ),
            false => format!(
                "{} left after the command had returned, the last of them {} later",
                count(after as u64, "forbidden frame"),
                apart(order.returned, last)
            ),
        },
    )?;
    narrator.fact(
        "forbidden traffic still arriving",
        format!(
            "{} entered the gateway since",
            count(attempts, "forbidden packet")
        ),
    )?;
    for stream in &traffic.sessions.across_boundary {
        let report = stream.running.report()?;
        let stalled = report
            .flows
            .iter()
            .filter(|flow| flow.newest < Some(order.returned))
            .count();
        checks.check(
            narrator,
            stalled == report.flows.len(),
            stream.what,
            format!(
                "{stalled} of {} established connections deliver nothing",
                report.flows.len()
            ),
        )?;
    }
    let (bytes, accepted) = before;
    let (now, of) = (traffic.download.bytes(), traffic.download.of());
    checks.check(
        narrator,
        now == bytes && bytes < of,
        "download of charts",
        match now == bytes {
            true => format!("stopped at {} of {}", megabytes(bytes), megabytes(of)),
            false => format!("continued from {} to {}", megabytes(bytes), megabytes(now)),
        },
    )?;
    let more = traffic.results.accepted() - accepted;
    checks.check(
        narrator,
        more == 0,
        "results to the interface engine",
        match more {
            0 => "the sender waits for an acknowledgement".to_owned(),
            _ => format!("{} more were acknowledged", number(more)),
        },
    )?;
    Ok(())
}

/// Checks that no new connection across the boundary was established.
pub fn new_connections(story: &mut Story, attempts: &Attempts) -> Result<()> {
    let Story {
        narrator, checks, ..
    } = story;
    let open = attempts.across.iter().filter(|(_, open)| *open);
    let open: Vec<&str> = open.map(|(what, _)| *what).collect();
    let tried: Vec<&str> = attempts.across.iter().map(|(what, _)| *what).collect();
    checks.key_check(
        narrator,
        open.is_empty(),
        "no new connection across the boundary",
        match open.is_empty() {
            true => format!("failed: {}", tried.join(", ")),
            false => format!("NOT blocked: {}", open.join(", ")),
        },
    )?;
    Ok(())
}

/// Checks that the continuity list and traffic within the site continued.
pub fn continued(
    story: &mut Story,
    sessions: &Sessions,
    attempts: &Attempts,
    (delivered, arriving): (bool, usize),
    since: u64,
) -> Result<()> {
    let Story {
        narrator,
        checks,
        hospital,
        ..
    } = story;
    let emergency = &hospital.studies().emergency;
    let stored = emergency.stored(&dicom::received_directory(hospital, "pacs"));
    narrator.gap()?;
    narrator.say("Traffic that continued:")?;
    checks.key_check(
        narrator,
        delivered && stored == emergency.len() && arriving < emergency.len(),
        "the emergency CT study is complete",
        format!(
            "{stored} of {} slices stored with every pixel equal, {} of them after the site was cut off",
            emergency.len(),
            number(emergency.len().saturating_sub(arriving) as u64)
        ),
    )?;
    let (echo, images) = (attempts.echo, attempts.images);
    checks.check(
        narrator,
        echo.0 && images.0,
        "allowed connections can still be opened",
        format!(
            "CT to archive: echo in {}; ultrasound to workstation: {} images in {}",
            span(echo.1),
            hospital.studies().during_quarantine.len(),
            span(images.1)
        ),
    )?;
    let listed = sessions.continuity.iter().chain(&sessions.within_vlan);
    let groups: [(&str, Vec<&Stream>); 2] = [
        ("sessions on the continuity list", listed.collect()),
        (
            "sessions between VLANs of the site",
            sessions.within_site.iter().collect(),
        ),
    ];
    for (what, streams) in groups {
        let (mut alive, mut all) = (0, 0);
        for stream in streams {
            let flows = stream.running.report()?.flows;
            // Sessions with a message that was sent at least a second after the cut-off and arrived.
            let newest = flows.iter().map(|flow| flow.newest);
            alive += newest
                .filter(|newest| *newest > Some(since + 1_000_000_000))
                .count();
            all += flows.len();
        }
        let figure = format!("{alive} of {all} established sessions still deliver");
        checks.check(narrator, alive == all, what, figure)?;
    }
    Ok(())
}
