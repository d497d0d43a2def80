//! What is under way when the site is cut off.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use cordon_lab::{Flows, Process, Running, Tap, Wire};

use super::care;
use crate::dicom;
use crate::hl7::Results;
use crate::hospital::Hospital;
use crate::records::Download;

const PATIENCE: Duration = Duration::from_secs(20);

/// Everything under way.
pub struct Traffic {
    /// Numbered sessions, and taps.
    pub sessions: Sessions,
    /// The CT's emergency study.
    pub study: Process,
    /// All charts, on their way to a workstation.
    pub download: Download,
    /// Results for the interface engine.
    pub results: Results,
}

/// Numbered sessions, and taps on both sides of the gateway that were there before.
pub struct Sessions {
    /// On both links of the gateway, IP packets only.
    pub taps: [Tap; 2],
    /// On the continuity list, by way of the gateway.
    pub kept: Vec<Stream>,
    /// On the continuity list, within a VLAN.
    pub near: Vec<Stream>,
    /// Between VLANs of the site.
    pub inside: Vec<Stream>,
    /// Across its boundary.
    pub cut: Vec<Stream>,
}

/// Numbered traffic.
pub struct Stream {
    /// What it stands for.
    pub what: &'static str,
    /// How many of it.
    pub count: u32,
    /// Whether each message is sent back.
    pub answered: bool,
    /// The traffic.
    pub running: Running,
}

impl Sessions {
    /// Starts them, and returns when each of them is established.
    pub fn start(hospital: &Hospital) -> Result<Sessions> {
        let host = |name: &str| hospital.host(name);
        let tap = |wire| hospital.lab().tap_only(wire, |seen| seen.ips.is_some());
        let taps = [tap(Wire::Access)?, tap(Wire::Core)?];
        let tcp = |from: &str, to: &str, port| Ok(Flows::tcp(&host(from)?, &host(to)?, port));
        let clock = Flows::udp(&host("monitor-1")?, &host("ntp")?, 123);
        let central = host("central-1")?;
        let sessions = Sessions {
            taps,
            kept: vec![
                stream(
                    "CT sessions with the archive",
                    20,
                    tcp("ct-1", "pacs", 11112),
                )?,
                stream("with the clock", 20, Ok(clock))?,
            ],
            near: vec![
                Stream {
                    what: "monitor announcements",
                    count: 1,
                    answered: false,
                    running: care::announce(host("monitor-1")?, &central, hospital)?,
                },
                Stream {
                    what: "monitor measurements",
                    count: 1,
                    answered: true,
                    running: care::export(&host("monitor-2")?, &central)?,
                },
                stream("pump sessions", 5, tcp("pump-2", "pump-server-1", 3613))?,
            ],
            inside: vec![stream(
                "ultrasound sessions with a workstation",
                20,
                tcp("us-1", "station-1", 11112),
            )?],
            cut: vec![
                stream(
                    "remote desktops from Rockville",
                    20,
                    tcp("rockville", "station-1", 3389),
                )?,
                stream("web sessions of guests", 20, tcp("guest", "internet", 80))?,
            ],
        };
        let all = [
            &sessions.kept,
            &sessions.near,
            &sessions.inside,
            &sessions.cut,
        ];
        for stream in all.into_iter().flatten() {
            stream.running.established(PATIENCE)?;
        }
        Ok(sessions)
    }
}

impl Traffic {
    /// Starts the transfers beside the sessions, and returns when all of them flow.
    pub fn start(hospital: &Hospital, sessions: Sessions) -> Result<Traffic> {
        let host = |name: &str| hospital.host(name);
        let (ct, central) = (host("ct-1")?, host("central-1")?);
        let engine = host("interfaces")?.at(2575);
        let traffic = Traffic {
            sessions,
            results: Results::start(&central, engine, Duration::from_millis(100), u64::MAX),
            download: Download::start(hospital, &host("station-2")?)?,
            study: hospital.studies().emergency.send(&ct, &host("pacs")?)?,
        };
        traffic.flows(hospital)?;
        Ok(traffic)
    }

    /// Waits until the study, the download and the results are well under way.
    fn flows(&self, hospital: &Hospital) -> Result<()> {
        let (arrivals, began) = (dicom::arrivals(hospital, "pacs"), Instant::now());
        let study = &hospital.studies().emergency;
        while study.coming(&arrivals) < 3
            || self.download.bytes() < 1_000_000
            || self.results.accepted() < 5
        {
            if began.elapsed() > PATIENCE {
                bail!(
                    "after {PATIENCE:?}, of the study {} slices have come, of the charts {} bytes, of the results {}",
                    study.coming(&arrivals),
                    self.download.bytes(),
                    self.results.accepted()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn stream(what: &'static str, count: u32, flows: Result<Flows>) -> Result<Stream> {
    let running = flows?
        .count(count)
        .every(Duration::from_millis(50))
        .start()?;
    Ok(Stream {
        what,
        count,
        answered: true,
        running,
    })
}
