//! Act 5: the site is released. Interrupted connections resume, and losses are counted.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use cordon_lab::{CapturedFrame, missing};

use super::quarantine::{CutOff, apart};
use super::traffic::{Sessions, Stream, Traffic};
use crate::narrator::{count, megabytes, number, span};
use crate::wire::{Boundary, entered, left};
use crate::{Story, records};

/// Time limit for connections to resume: TCP doubles its retransmission timeout while there is no answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Plays the act.
pub fn play(story: &mut Story, cut_off: CutOff) -> Result<()> {
    let Story {
        narrator,
        checks,
        hospital,
        ..
    } = story;
    let CutOff { mut traffic, since } = cut_off;
    narrator.act("5. Release")?;
    let reason = "hosts at Rockville cleaned";
    narrator.command(&format!("cordon release site --reason \"{reason}\""))?;
    let release = hospital.cordon(&["release", "site", "--reason", reason])?;
    narrator.output(&release.text)?;
    if release.code != Some(0) {
        checks.check(
            narrator,
            false,
            "the site is released",
            "the gateway refused the order",
        )?;
    }
    let page = records::read(hospital, &hospital.host("station-1")?)?;
    checks.check(
        narrator,
        page.read,
        "a workstation reads charts again",
        match page.read {
            true => format!("in {}", span(page.took)),
            false => page.error,
        },
    )?;
    narrator.progress("waiting for the interrupted connections")?;
    let resumed = resume(&traffic, release.returned)?;
    let whole = traffic.download.finish(TIMEOUT)?;
    let outcome = traffic.results.stop();
    checks.key_check(
        narrator,
        resumed.is_some() && whole && outcome.error.is_none() && outcome.sent == outcome.accepted,
        "interrupted connections resume",
        match resumed {
            Some(took) => format!(
                "all within {}, none was reset; download complete, {}; {} sent, {} acknowledged, the slowest after {}",
                span(took),
                megabytes(traffic.download.of()),
                count(outcome.sent, "result"),
                number(outcome.accepted),
                span(outcome.slowest)
            ),
            None => format!("some had not resumed after {}", span(TIMEOUT)),
        },
    )?;
    let Sessions {
        taps,
        continuity,
        within_vlan,
        within_site,
        across_boundary,
    } = traffic.sessions;
    for stream in across_boundary {
        stream.running.stop()?;
    }
    narrator.gap()?;
    let through_gateway = Counted::of(continuity)?;
    let within_vlan = Counted::of(within_vlan)?;
    let within_site = Counted::of(within_site)?;
    // The last acknowledgements are still in transit.
    std::thread::sleep(Duration::from_millis(500));
    let [access, core] = taps;
    let (access, core) = (access.stop()?, core.stop()?);

    let boundary = hospital.boundary();
    let leaked = [&access, &core].into_iter().flat_map(|frames| left(frames));
    let leaked: Vec<CapturedFrame> = leaked.filter(|frame| boundary.forbids(frame)).collect();
    let between = |frame: &&CapturedFrame| since < frame.at && frame.at < release.began;
    let first = leaked
        .iter()
        .map(|frame| frame.at)
        .filter(|at| *at > release.began)
        .min();
    let attempts = [&access, &core]
        .into_iter()
        .flat_map(|frames| entered(frames));
    let attempts = attempts.filter(|frame| boundary.forbids(frame));
    let attempts = attempts.filter(|frame| between(&frame)).count();
    let during = leaked.iter().filter(between).count();
    checks.key_check(
        narrator,
        during == 0,
        "no forbidden frame until the release",
        format!(
            "{during} left the gateway in {}; {} entered it",
            apart(since, release.began),
            number(attempts as u64)
        ),
    )?;
    if let Some(first) = first {
        narrator.fact(
            "first frame across the boundary",
            format!(
                "{} after the start of the release command, which returned after {}",
                apart(release.began, first),
                apart(release.began, release.returned)
            ),
        )?;
    }
    let (frames, lost) = lost_inside_the_gateway(boundary, &access, &core);
    checks.key_check(
        narrator,
        through_gateway.is_intact() && within_vlan.is_intact() && lost == 0,
        "no loss on the continuity list",
        format!(
            "{} of {} numbered messages lost; {} of the messages passed the gateway; {lost} of {} frames lost in the gateway",
            through_gateway.lost + within_vlan.lost,
            number(through_gateway.sent + within_vlan.sent),
            number(through_gateway.sent),
            number(frames)
        ),
    )?;
    checks.check(
        narrator,
        within_site.is_intact(),
        "no loss between VLANs of the site",
        format!(
            "{} of {} numbered messages were lost",
            within_site.lost,
            number(within_site.sent)
        ),
    )?;
    let losses = hospital.lab().losses()?;
    if !losses.is_none() {
        // These can explain a loss above that is not the gateway's.
        narrator.fact("lost by the lab itself", format!("{losses:?}"))?;
    }
    Ok(())
}

/// Waits until every interrupted connection delivers again. Returns the time, or none after the time limit.
fn resume(traffic: &Traffic, since: u64) -> Result<Option<Duration>> {
    let began = Instant::now();
    loop {
        let mut waiting = 0;
        for stream in &traffic.sessions.across_boundary {
            let report = stream.running.report()?;
            if let Some(flow) = report.failed().next() {
                bail!("{}: a connection has ended: {flow:?}", stream.what);
            }
            waiting += report
                .flows
                .iter()
                .filter(|flow| flow.newest < Some(since))
                .count();
        }
        if waiting == 0 {
            return Ok(Some(began.elapsed()));
        }
        if began.elapsed() > TIMEOUT {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Counts of numbered messages.
#[derive(Default)]
struct Counted {
    sent: u64,
    lost: u64,
    faults: u64,
}

impl Counted {
    fn of(streams: Vec<Stream>) -> Result<Counted> {
        let mut counted = Counted::default();
        for stream in streams {
            let (report, answered) = (stream.running.stop()?, stream.answered);
            // The messages that arrived, and the answers to them.
            counted.sent += report.sent();
            counted.lost += report.lost();
            if answered {
                counted.sent += report.arrived();
                counted.lost += report.unanswered() - report.lost();
            }
            counted.faults += report.duplicated() + report.failed().count() as u64;
        }
        Ok(counted)
    }

    /// Whether no message was lost or duplicated, and no session ended.
    fn is_intact(&self) -> bool {
        self.lost == 0 && self.faults == 0 && self.sent > 0
    }
}

/// Number of continuity-list frames that reached the gateway, and how many of them did not leave it.
fn lost_inside_the_gateway(
    boundary: &Boundary,
    access: &[CapturedFrame],
    core: &[CapturedFrame],
) -> (u64, u64) {
    let kept = |frames: Vec<CapturedFrame>| -> Vec<CapturedFrame> {
        frames
            .into_iter()
            .filter(|frame| boundary.is_on_continuity_list(frame))
            .collect()
    };
    let (mut all, mut lost) = (0, 0);
    for (from, to) in [(access, core), (core, access)] {
        let arrived = kept(entered(from));
        lost += missing(&arrived, &kept(left(to))).len() as u64;
        all += arrived.len() as u64;
    }
    (all, lost)
}
