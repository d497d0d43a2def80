//! Act 2: clinical traffic, by real programs where they exist.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use cordon_lab::{Flows, Host, Report, Wire};

use crate::counters::rules;
use crate::hl7::Results;
use crate::narrator::{count, megabytes, number, span};
use crate::wire::{ANNOUNCE, EXPORT, entered, left};
use crate::{Story, records};

/// Duration of the traffic of monitors and pumps.
const WHILE: Duration = Duration::from_millis(1500);
const TIMEOUT: Duration = Duration::from_secs(20);
const RESULTS: u64 = 20;

/// Plays the act.
pub fn play(story: &mut Story) -> Result<()> {
    let Story {
        narrator,
        checks,
        hospital,
        ..
    } = story;
    let studies = hospital.studies();
    let host = |name: &str| hospital.host(name);
    narrator.act("2. Clinical traffic, by real programs")?;
    let before = rules(hospital)?;

    let (whole, took) = studies.ct.delivered(hospital, "ct-1", "pacs")?;
    checks.check(
        narrator,
        whole,
        "CT to the image archive (DICOM)",
        format!(
            "{} slices, {}, stored with every pixel equal in {}",
            studies.ct.len(),
            megabytes(studies.ct.bytes()),
            span(took)
        ),
    )?;
    let (whole, took) = studies
        .ultrasound
        .delivered(hospital, "us-1", "station-1")?;
    checks.check(
        narrator,
        whole,
        "ultrasound to a workstation (DICOM)",
        format!(
            "{} images, {}, in {}; between two VLANs, so they pass the gateway twice",
            studies.ultrasound.len(),
            megabytes(studies.ultrasound.bytes()),
            span(took)
        ),
    )?;
    let engine = host("interfaces")?.at(2575);
    let mut results = Results::start(
        &host("central-1")?,
        engine,
        Duration::from_millis(10),
        RESULTS,
    );
    let outcome = results.finish();
    checks.check(
        narrator,
        outcome.accepted == RESULTS,
        "results to the interface engine (HL7)",
        match outcome.error {
            Some(error) => error,
            None => format!(
                "{} of {} ORU^R01 acknowledged (MLLP, MSA|AA), median time {}",
                outcome.accepted,
                outcome.sent,
                span(outcome.median)
            ),
        },
    )?;
    let page = records::read(hospital, &host("station-1")?)?;
    checks.check(
        narrator,
        page.read,
        "a workstation reads a chart (HTTPS)",
        match page.read {
            true => format!("certificate verified, page read in {}", span(page.took)),
            false => page.error,
        },
    )?;
    monitors(story)?;

    let Story {
        narrator,
        checks,
        hospital,
        ..
    } = story;
    let (guest, internet) = (hospital.host("guest")?, hospital.host("internet")?);
    let web = guest.connects(internet.at(443), Duration::from_secs(3))?;
    let vendor = internet.connects(hospital.host("ct-1")?.at(22), Duration::from_secs(3))?;
    checks.check(
        narrator,
        web && vendor,
        "guest to the web, vendor's SSH to the CT",
        match (web, vendor) {
            (true, true) => "both connect",
            (false, _) => "the guest does not connect",
            (_, false) => "the vendor does not connect",
        },
    )?;
    let after = rules(hospital)?;
    let hits = |rule: &str| {
        let packets = |of: &std::collections::BTreeMap<String, u64>| of.get(rule).copied();
        Some(packets(&after)? - packets(&before)?)
    };
    let mut counts = Vec::new();
    for rule in ["ct-to-pacs", "monitors-results", "stations-to-records"] {
        let packets = hits(rule).with_context(|| format!("there is no rule {rule}"))?;
        counts.push(format!("{rule} {}", number(packets)));
    }
    narrator.fact("packets by rule (`cordon rules`)", counts.join(", "))?;
    Ok(())
}

/// Bedside devices: numbered messages at the ports and intervals of real ones.
fn monitors(story: &mut Story) -> Result<()> {
    let Story {
        narrator,
        checks,
        hospital,
        ..
    } = story;
    let host = |name: &str| hospital.host(name);
    let taps = [
        hospital
            .lab()
            .tap_only(Wire::Access, |frame| frame.is_udp_to(ANNOUNCE))?,
        hospital
            .lab()
            .tap_only(Wire::Core, |frame| frame.is_udp_to(ANNOUNCE))?,
    ];
    let announcements = announce(hospital.host("monitor-1")?, &host("central-1")?, hospital)?;
    let export = export(&host("monitor-2")?, &host("central-1")?)?;
    let pumps = Flows::tcp(&host("pump-2")?, &host("pump-server-1")?, 3613).start()?;
    for flows in [&announcements, &export, &pumps] {
        flows.established(TIMEOUT)?;
    }
    std::thread::sleep(WHILE);
    let (announcements, export, pumps) = (announcements.stop()?, export.stop()?, pumps.stop()?);
    let [access, core] = taps;
    let (shown, copied) = (entered(&access.stop()?).len(), left(&core.stop()?).len());
    checks.check(
        narrator,
        announcements.lost() == 0 && shown == copied && copied > 0,
        "a monitor's announcements (udp 24005)",
        format!(
            "the central station received {} of {} broadcasts; the gateway forwarded {copied} of {shown}",
            announcements.arrived(),
            announcements.sent()
        ),
    )?;
    let bedside = |report: &Report| report.lost() == 0 && report.unanswered() == 0;
    checks.check(
        narrator,
        bedside(&export) && bedside(&pumps),
        "monitors and pumps to their servers",
        format!(
            "{} (udp 24105) and {} (tcp 3613), all answered; carried by the access switch, within a VLAN",
            count(export.sent(), "measurement"),
            count(pumps.sent(), "dose report")
        ),
    )?;
    Ok(())
}

/// A monitor's announcements: ten broadcasts a second in its VLAN.
pub fn announce(
    monitor: Host,
    central: &Host,
    hospital: &crate::hospital::Hospital,
) -> Result<cordon_lab::Running> {
    let subnets = &hospital.boundary().subnets;
    let subnet = subnets.iter().find(|subnet| subnet.contains(&monitor.ip()));
    let broadcast: IpAddr = subnet.context("a monitor is in no subnet")?.broadcast();
    let flows = Flows::udp(&monitor, central, ANNOUNCE).to_address(broadcast);
    let flows = flows.every(Duration::from_millis(100)).one_way();
    Ok(flows.start()?)
}

/// A monitor's measurements, fifty times a second.
pub fn export(monitor: &Host, central: &Host) -> Result<cordon_lab::Running> {
    Ok(Flows::udp(monitor, central, EXPORT).size(300).start()?)
}
