//! The site is opened again; what was cut goes on; what was kept is counted.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use cordon_lab::{Seen, missing};

use super::quarantine::{CutOff, apart};
use super::traffic::{Sessions, Stream, Traffic};
use crate::tell::{count, megabytes, number, span};
use crate::wire::{Boundary, entered, left};
use crate::{Story, records};

/// How long what was cut may take to go on: TCP doubles its pauses while nobody answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Plays it.
pub fn play(story: &mut Story, cut_off: CutOff) -> Result<()> {
    let Story {
        tell,
        ledger,
        hospital,
        ..
    } = story;
    let CutOff { mut traffic, since } = cut_off;
    tell.act("5. Release")?;
    let reason = "hosts at Rockville cleaned";
    tell.command(&format!("cordon release site --reason \"{reason}\""))?;
    let release = hospital.cordon(&["release", "site", "--reason", reason])?;
    tell.quote(&release.text)?;
    if release.code != Some(0) {
        ledger.promise(
            tell,
            false,
            "the site is opened again",
            "the order was not taken",
        )?;
    }
    let page = records::read(hospital, &hospital.host("station-1")?)?;
    ledger.promise(
        tell,
        page.read,
        "a workstation reads a chart again",
        match page.read {
            true => format!("in {}", span(page.took)),
            false => page.complaint,
        },
    )?;
    tell.doing("waiting for what was cut to go on")?;
    let resumed = resume(&traffic, release.returned)?;
    let whole = traffic.download.finish(PATIENCE)?;
    let outcome = traffic.results.stop();
    ledger.headline(
        tell,
        resumed.is_some() && whole && outcome.trouble.is_none() && outcome.sent == outcome.accepted,
        "what was cut goes on where it was",
        match resumed {
            Some(took) => format!(
                "every connection again within {}, none was reset; charts complete, {}; {} sent, {} acknowledged, \
                 the slowest after {}",
                span(took),
                megabytes(traffic.download.of()),
                count(outcome.sent, "result"),
                number(outcome.accepted),
                span(outcome.slowest)
            ),
            None => format!("not all connections did within {}", span(PATIENCE)),
        },
    )?;
    let Sessions {
        taps,
        kept,
        near,
        inside,
        cut,
    } = traffic.sessions;
    for stream in cut {
        stream.running.stop()?;
    }
    tell.gap()?;
    let (kept, near) = (Counted::of(kept)?, Counted::of(near)?);
    let inside = Counted::of(inside)?;
    // The last acknowledgements are still on their way.
    std::thread::sleep(Duration::from_millis(500));
    let [access, core] = taps;
    let (access, core) = (access.stop()?, core.stop()?);

    let boundary = hospital.boundary();
    let leaked = [&access, &core].into_iter().flat_map(|frames| left(frames));
    let leaked: Vec<Seen> = leaked.filter(|seen| boundary.forbids(seen)).collect();
    let between = |seen: &&Seen| since < seen.at && seen.at < release.began;
    let first = leaked
        .iter()
        .map(|seen| seen.at)
        .filter(|at| *at > release.began)
        .min();
    let knocking = [&access, &core]
        .into_iter()
        .flat_map(|frames| entered(frames));
    let knocking = knocking.filter(|seen| boundary.forbids(seen));
    let knocking = knocking.filter(|seen| between(&seen)).count();
    let during = leaked.iter().filter(between).count();
    ledger.headline(
        tell,
        during == 0,
        "forbidden frames until the release",
        format!(
            "{during} left the gateway in {}; {} tried to",
            apart(since, release.began),
            number(knocking as u64)
        ),
    )?;
    if let Some(first) = first {
        tell.fact(
            "first frame across after the release",
            format!(
                "{} after the command was typed; it returned after {}",
                apart(release.began, first),
                apart(release.began, release.returned)
            ),
        )?;
    }
    let (frames, lost) = lost_inside_the_gateway(boundary, &access, &core);
    ledger.headline(
        tell,
        kept.whole() && near.whole() && lost == 0,
        "lost on the continuity list",
        format!(
            "{} of {} numbered packets and messages, counted at both ends, {} of these by way of the gateway; \
             {lost} of {} frames between both sides of the gateway",
            kept.lost + near.lost,
            number(kept.sent + near.sent),
            number(kept.sent),
            number(frames)
        ),
    )?;
    ledger.promise(
        tell,
        inside.whole(),
        "lost between VLANs of the site",
        format!(
            "{} of {} numbered messages",
            inside.lost,
            number(inside.sent)
        ),
    )?;
    let losses = hospital.lab().losses()?;
    if !losses.is_none() {
        // Not the gateway's: said, so that a loss above is not held against it.
        tell.fact("lost by the lab itself", format!("{losses:?}"))?;
    }
    Ok(())
}

/// Waits until every connection that was cut gets something through again, and answers how long that took.
fn resume(traffic: &Traffic, since: u64) -> Result<Option<Duration>> {
    let began = Instant::now();
    loop {
        let mut waiting = 0;
        for stream in &traffic.sessions.cut {
            let report = stream.running.report()?;
            if let Some(flow) = report.troubled().next() {
                bail!("of {}, one has ended: {flow:?}", stream.what);
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
        if began.elapsed() > PATIENCE {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Numbered messages, counted where they were sent and where they arrived.
#[derive(Default)]
struct Counted {
    sent: u64,
    lost: u64,
    odd: u64,
}

impl Counted {
    fn of(streams: Vec<Stream>) -> Result<Counted> {
        let mut counted = Counted::default();
        for stream in streams {
            let (report, answered) = (stream.running.stop()?, stream.answered);
            // Those that arrived, and the answers to them.
            counted.sent += report.sent();
            counted.lost += report.lost();
            if answered {
                counted.sent += report.arrived();
                counted.lost += report.unanswered() - report.lost();
            }
            counted.odd += report.duplicated() + report.troubled().count() as u64;
        }
        Ok(counted)
    }

    /// Nothing lost, nothing twice, no session ended.
    fn whole(&self) -> bool {
        self.lost == 0 && self.odd == 0 && self.sent > 0
    }
}

/// Frames of the continuity list that reached the gateway, and how many of these did not leave it.
fn lost_inside_the_gateway(boundary: &Boundary, access: &[Seen], core: &[Seen]) -> (u64, u64) {
    let kept = |frames: Vec<Seen>| -> Vec<Seen> {
        frames
            .into_iter()
            .filter(|seen| boundary.keeps(seen))
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
