//! The hospital that these tests are played in, and what is said in it.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use cordon_lab::{Flows, Host, Lab, Plan, Result, Seen, TCP, UDP};
use cordon_policy::Posture;

/// Something that is said in the hospital.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    /// What it is.
    pub name: &'static str,
    /// The host that opens it.
    pub from: &'static str,
    /// The host that answers.
    pub to: &'static str,
    /// IP's number of its protocol.
    pub protocol: u8,
    /// The port that it goes to.
    pub port: u16,
    /// The highest posture at which it goes on.
    pub until: Posture,
}

const fn talk(
    name: &'static str,
    from: &'static str,
    to: &'static str,
    (protocol, port): (u8, u16),
    until: Posture,
) -> Talk {
    Talk {
        name,
        from,
        to,
        protocol,
        port,
        until,
    }
}

/// Everything that the policy in `hospital/` allows between two hosts.
pub const TALKS: [Talk; 13] = [
    talk("images", "ct-1", "pacs", (TCP, 104), Posture::Lockdown),
    talk(
        "vitals",
        "monitor-1",
        "central-1",
        (UDP, 24105),
        Posture::Lockdown,
    ),
    talk(
        "doses",
        "pump-1",
        "pump-server-1",
        (TCP, 3613),
        Posture::Lockdown,
    ),
    talk(
        "pump alarms",
        "pump-2",
        "central-1",
        (UDP, 514),
        Posture::Isolate,
    ),
    talk("scans", "us-1", "station-2", (TCP, 104), Posture::Contain),
    talk("charts", "station-1", "records", (TCP, 443), Posture::Watch),
    talk(
        "old images",
        "station-2",
        "pacs",
        (TCP, 443),
        Posture::Watch,
    ),
    talk(
        "old studies",
        "station-1",
        "pacs",
        (TCP, 11112),
        Posture::Watch,
    ),
    talk(
        "remote desk",
        "rockville",
        "station-1",
        (UDP, 3389),
        Posture::Watch,
    ),
    talk(
        "remote charts",
        "rockville",
        "station-2",
        (TCP, 443),
        Posture::Watch,
    ),
    talk("lookups", "guest", "internet", (UDP, 53), Posture::Watch),
    talk("browsing", "guest", "internet", (TCP, 80), Posture::Watch),
    talk("vendor", "internet", "ct-1", (TCP, 22), Posture::Normal),
];

/// The port that monitors announce themselves at by broadcast: on the continuity list.
pub const MONITORS_ANNOUNCE: u16 = 24005;
/// The port that workstations look for each other at by broadcast: within their zone.
pub const STATIONS_ANNOUNCE: u16 = 3702;

/// A talk between hosts of a lab.
#[derive(Clone, Debug)]
pub struct Line {
    /// What is said.
    pub talk: Talk,
    /// Who opens it.
    pub from: Host,
    /// Who answers.
    pub to: Host,
}

/// The policy directory of the hospital.
pub fn policy() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/hospital"))
}

/// Raises the hospital, with the guest and the wider network of Manchester Memorial. Its daemon does not run yet.
///
/// # Errors
/// Those of [`Lab::raise`].
pub fn raise() -> Result<Lab> {
    let mut plan = Plan::from_policy(policy())?;
    let manchester = Plan::manchester()?;
    let guest = |device: &cordon_lab::Device| device.name == "guest";
    plan.devices
        .extend(manchester.devices.into_iter().filter(guest));
    plan.remotes = manchester.remotes;
    Lab::raise(plan)
}

/// The talk of this name. There is one: it panics otherwise.
pub fn line(lab: &Lab, name: &str) -> Result<Line> {
    let talk = TALKS.iter().find(|talk| talk.name == name);
    let talk = *talk.unwrap_or_else(|| panic!("nobody talks of {name}"));
    Ok(Line {
        talk,
        from: lab.host(talk.from)?,
        to: lab.host(talk.to)?,
    })
}

/// All talks.
pub fn lines(lab: &Lab) -> Result<Vec<Line>> {
    TALKS.iter().map(|talk| line(lab, talk.name)).collect()
}

impl Line {
    /// Numbered traffic on it.
    pub fn flows(&self, count: u32, every: Duration) -> Flows {
        let flows = match self.talk.protocol {
            TCP => Flows::tcp(&self.from, &self.to, self.talk.port),
            _ => Flows::udp(&self.from, &self.to, self.talk.port),
        };
        flows.count(count).every(every)
    }

    /// Whether a frame belongs to it, either way.
    pub fn carries(&self, seen: &Seen) -> bool {
        self.asks(seen) || self.answers(seen)
    }

    /// Whether a frame goes from who opened it to who answers.
    pub fn asks(&self, seen: &Seen) -> bool {
        seen.ips == Some((self.from.ip(), self.to.ip()))
            && seen.protocol == self.talk.protocol
            && seen.ports.1 == self.talk.port
    }

    /// Whether a frame goes from who answers to who opened it.
    pub fn answers(&self, seen: &Seen) -> bool {
        seen.ips == Some((self.to.ip(), self.from.ip()))
            && seen.protocol == self.talk.protocol
            && seen.ports.0 == self.talk.port
    }
}

/// The broadcast address of the subnet of a host.
pub fn broadcast(host: &Host) -> IpAddr {
    match host.ip() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            IpAddr::from([a, b, c, 255])
        }
        IpAddr::V6(ip) => panic!("{ip} has none"),
    }
}
