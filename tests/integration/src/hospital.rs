//! The hospital of the tests with the real daemon, and the flows in it.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use cordon_lab::{CapturedFrame, Flows, Host, Lab, Plan, Result, TCP, UDP};
use cordon_policy::Posture;

/// A flow that the policy allows.
#[derive(Clone, Copy, Debug)]
pub struct FlowSpec {
    /// Its name in the tests.
    pub name: &'static str,
    /// The client.
    pub from: &'static str,
    /// The server.
    pub to: &'static str,
    /// The IP protocol number.
    pub protocol: u8,
    /// The server's port.
    pub port: u16,
    /// The highest posture at which it passes.
    pub until: Posture,
}

const fn spec(
    name: &'static str,
    from: &'static str,
    to: &'static str,
    (protocol, port): (u8, u16),
    until: Posture,
) -> FlowSpec {
    FlowSpec {
        name,
        from,
        to,
        protocol,
        port,
        until,
    }
}

/// Every flow between two hosts that the policy in `hospital/` allows.
pub const FLOW_SPECS: [FlowSpec; 13] = [
    spec("images", "ct-1", "pacs", (TCP, 104), Posture::Lockdown),
    spec(
        "vitals",
        "monitor-1",
        "central-1",
        (UDP, 24105),
        Posture::Lockdown,
    ),
    spec(
        "doses",
        "pump-1",
        "pump-server-1",
        (TCP, 3613),
        Posture::Lockdown,
    ),
    spec(
        "pump alarms",
        "pump-2",
        "central-1",
        (UDP, 514),
        Posture::Isolate,
    ),
    spec("scans", "us-1", "station-2", (TCP, 104), Posture::Contain),
    spec("charts", "station-1", "records", (TCP, 443), Posture::Watch),
    spec(
        "old images",
        "station-2",
        "pacs",
        (TCP, 443),
        Posture::Watch,
    ),
    spec(
        "old studies",
        "station-1",
        "pacs",
        (TCP, 11112),
        Posture::Watch,
    ),
    spec(
        "remote desk",
        "rockville",
        "station-1",
        (UDP, 3389),
        Posture::Watch,
    ),
    spec(
        "remote charts",
        "rockville",
        "station-2",
        (TCP, 443),
        Posture::Watch,
    ),
    spec("lookups", "guest", "internet", (UDP, 53), Posture::Watch),
    spec("browsing", "guest", "internet", (TCP, 80), Posture::Watch),
    spec("vendor", "internet", "ct-1", (TCP, 22), Posture::Normal),
];

/// The UDP port of the monitors' broadcast announcements: on the continuity list.
pub const MONITORS_ANNOUNCE: u16 = 24005;
/// The UDP port of the workstations' broadcast discovery: allowed within their zone.
pub const STATIONS_ANNOUNCE: u16 = 3702;

/// A flow between hosts of a lab.
#[derive(Clone, Debug)]
pub struct TestFlow {
    /// Its entry in the table.
    pub spec: FlowSpec,
    /// The client.
    pub from: Host,
    /// The server.
    pub to: Host,
}

/// The policy directory of the hospital.
pub fn policy() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/hospital"))
}

/// Raises the hospital, with the guest and the wider network of Manchester Memorial. It does not start the daemon.
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

/// The flow of this name. It panics if there is none.
pub fn test_flow(lab: &Lab, name: &str) -> Result<TestFlow> {
    let spec = FLOW_SPECS.iter().find(|spec| spec.name == name);
    let spec = *spec.unwrap_or_else(|| panic!("no flow is named {name}"));
    Ok(TestFlow {
        spec,
        from: lab.host(spec.from)?,
        to: lab.host(spec.to)?,
    })
}

/// All flows.
pub fn test_flows(lab: &Lab) -> Result<Vec<TestFlow>> {
    FLOW_SPECS
        .iter()
        .map(|spec| test_flow(lab, spec.name))
        .collect()
}

impl TestFlow {
    /// Numbered traffic for it: `count` flows, one frame every `every` each.
    pub fn flows(&self, count: u32, every: Duration) -> Flows {
        let flows = match self.spec.protocol {
            TCP => Flows::tcp(&self.from, &self.to, self.spec.port),
            _ => Flows::udp(&self.from, &self.to, self.spec.port),
        };
        flows.count(count).every(every)
    }

    /// Whether a frame belongs to it, in either direction.
    pub fn carries(&self, seen: &CapturedFrame) -> bool {
        self.is_request(seen) || self.is_reply(seen)
    }

    /// Whether a frame belongs to it and goes from the client to the server.
    pub fn is_request(&self, seen: &CapturedFrame) -> bool {
        seen.ips == Some((self.from.ip(), self.to.ip()))
            && seen.protocol == self.spec.protocol
            && seen.ports.1 == self.spec.port
    }

    /// Whether a frame belongs to it and goes from the server to the client.
    pub fn is_reply(&self, seen: &CapturedFrame) -> bool {
        seen.ips == Some((self.to.ip(), self.from.ip()))
            && seen.protocol == self.spec.protocol
            && seen.ports.0 == self.spec.port
    }
}

/// The broadcast address of a host's /24 subnet.
pub fn broadcast(host: &Host) -> IpAddr {
    match host.ip() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            IpAddr::from([a, b, c, 255])
        }
        IpAddr::V6(ip) => panic!("{ip} has no broadcast address"),
    }
}
