//! The traffic that runs when the site is cut off.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use cordon_lab::{Flows, Process, Running, Tap, Wire};

use super::care;
use crate::dicom;
use crate::hl7::Results;
use crate::hospital::Hospital;
use crate::records::Download;

const TIMEOUT: Duration = Duration::from_secs(20);

/// All traffic.
pub struct Traffic {
    /// Numbered sessions and the taps.
    pub sessions: Sessions,
    /// Transfer of the CT's emergency study.
    pub study: Process,
    /// Download of all charts to a workstation.
    pub download: Download,
    /// Results to the interface engine.
    pub results: Results,
}

/// Numbered sessions, and taps on both sides of the gateway that were started before them.
pub struct Sessions {
    /// Taps on both trunks, IP packets only.
    pub taps: [Tap; 2],
    /// On the continuity list, through the gateway.
    pub continuity: Vec<Stream>,
    /// On the continuity list, within a VLAN.
    pub within_vlan: Vec<Stream>,
    /// Between VLANs of the site.
    pub within_site: Vec<Stream>,
    /// Across the boundary of the site.
    pub across_boundary: Vec<Stream>,
}

/// A group of numbered sessions.
pub struct Stream {
    /// Description.
    pub what: &'static str,
    /// Number of sessions.
    pub count: u32,
    /// Whether each message is sent back.
    pub answered: bool,
    /// The running flows.
    pub running: Running,
}

impl Sessions {
    /// Starts the sessions. Returns when all are established.
    pub fn start(hospital: &Hospital) -> Result<Sessions> {
        let host = |name: &str| hospital.host(name);
        let tap = |wire| hospital.lab().tap_only(wire, |frame| frame.ips.is_some());
        let taps = [tap(Wire::Access)?, tap(Wire::Core)?];
        let tcp = |from: &str, to: &str, port| Ok(Flows::tcp(&host(from)?, &host(to)?, port));
        let clock = Flows::udp(&host("monitor-1")?, &host("ntp")?, 123);
        let central = host("central-1")?;
        let sessions = Sessions {
            taps,
            continuity: vec![
                stream(
                    "CT sessions with the archive",
                    20,
                    tcp("ct-1", "pacs", 11112),
                )?,
                stream("sessions with the time server", 20, Ok(clock))?,
            ],
            within_vlan: vec![
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
            within_site: vec![stream(
                "ultrasound sessions with a workstation",
                20,
                tcp("us-1", "station-1", 11112),
            )?],
            across_boundary: vec![
                stream(
                    "remote desktops from Rockville",
                    20,
                    tcp("rockville", "station-1", 3389),
                )?,
                stream("web sessions of guests", 20, tcp("guest", "internet", 80))?,
            ],
        };
        let all = [
            &sessions.continuity,
            &sessions.within_vlan,
            &sessions.within_site,
            &sessions.across_boundary,
        ];
        for stream in all.into_iter().flatten() {
            stream.running.established(TIMEOUT)?;
        }
        Ok(sessions)
    }
}

impl Traffic {
    /// Starts the transfers in addition to the sessions. Returns when all are in progress.
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

    /// Waits until study, download and results are in progress.
    fn flows(&self, hospital: &Hospital) -> Result<()> {
        let (received_directory, began) =
            (dicom::received_directory(hospital, "pacs"), Instant::now());
        let study = &hospital.studies().emergency;
        while study.arriving(&received_directory) < 3
            || self.download.bytes() < 1_000_000
            || self.results.accepted() < 5
        {
            if began.elapsed() > TIMEOUT {
                bail!(
                    "after {TIMEOUT:?} only {} slices of the study, {} bytes of the charts and {} results have arrived",
                    study.arriving(&received_directory),
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
