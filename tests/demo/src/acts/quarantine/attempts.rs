//! New connections while the site is cut off.

use std::time::Duration;

use anyhow::Result;

use crate::hospital::Hospital;
use crate::{dicom, records};

/// Time limit of a new connection.
const TRY: Duration = Duration::from_millis(1500);

/// Attempts to open new connections, and their results.
pub struct Attempts {
    /// Across the boundary: description, and whether it succeeded.
    pub across: Vec<(&'static str, bool)>,
    /// DICOM echo from the CT to the archive.
    pub echo: (bool, Duration),
    /// Images from the ultrasound to a workstation.
    pub images: (bool, Duration),
}

impl Attempts {
    /// Makes all attempts at the same time.
    pub fn run(hospital: &Hospital) -> Result<Attempts> {
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
                    .during_quarantine
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
}
