//! What is played to the program in the machine, and to the tables in memory.

mod frames;

use anyhow::{Context, Result};
use cordon_compile::Compiled;
use cordon_policy::{Date, Sources};
use cordon_portable::Portable;
use cordon_verdict::Egress;

use frames::{
    CENTRAL, CT, GATEWAY, MONITOR, PACS, RECORDS, ROUTER, STATION, arp, carried, tcp, udp6,
};

/// The names of the machine's ports, in order of their numbers.
pub const NICS: [&str; 2] = ["eth1", "eth2"];

const ACCESS: u16 = 0;
const CORE: u16 = 1;

const NORMAL: u8 = 0;
const CONTAIN: u8 = 2;
const SEVER: u8 = 5;

/// One thing that happens to a gateway.
struct Step {
    what: &'static str,
    /// The posture from here on.
    posture: u8,
    port: u16,
    frame: Vec<u8>,
    /// How its [`Fate`] begins.
    expected: &'static str,
}

fn steps() -> Vec<Step> {
    let opens = tcp(CT, ROUTER.with_ip_of(PACS), (40_000, 104), "syn");
    let answers = tcp(ROUTER.with_ip_of(PACS), CT, (104, 40_000), "syn ack");
    let goes_on = tcp(CT, ROUTER.with_ip_of(PACS), (40_000, 104), "ack");
    let reads = tcp(STATION, ROUTER.with_ip_of(RECORDS), (50_000, 443), "syn");
    let is_read = tcp(
        ROUTER.with_ip_of(RECORDS),
        STATION,
        (443, 50_000),
        "syn ack",
    );
    let reads_on = tcp(STATION, ROUTER.with_ip_of(RECORDS), (50_000, 443), "ack");
    let pushes = tcp(CT, ROUTER.with_ip_of(PACS), (40_001, 22), "syn");
    let stranger = tcp(
        CT.with_mac_of(STATION),
        ROUTER.with_ip_of(PACS),
        (40_000, 104),
        "syn",
    );
    let impostor = tcp(
        CT.with_ip_of(STATION),
        ROUTER.with_ip_of(PACS),
        (40_000, 104),
        "syn",
    );
    let step = |posture, what, port, frame: &[u8], expected| Step {
        what,
        posture,
        port,
        frame: frame.to_vec(),
        expected,
    };
    vec![
        step(
            NORMAL,
            "the CT asks who has an address",
            ACCESS,
            &arp(CT, ROUTER),
            "flooded",
        ),
        step(
            NORMAL,
            "the CT opens a connection",
            ACCESS,
            &opens,
            "flooded",
        ),
        step(
            NORMAL,
            "the archive answers",
            CORE,
            &answers,
            "forwarded by eth1",
        ),
        step(
            NORMAL,
            "the CT goes on",
            ACCESS,
            &goes_on,
            "forwarded by eth2",
        ),
        step(
            NORMAL,
            "a workstation opens a connection",
            ACCESS,
            &reads,
            "flooded",
        ),
        step(
            NORMAL,
            "the records server answers",
            CORE,
            &is_read,
            "forwarded by eth1",
        ),
        step(
            NORMAL,
            "the workstation goes on",
            ACCESS,
            &reads_on,
            "forwarded by eth2",
        ),
        step(
            NORMAL,
            "the CT tries another service",
            ACCESS,
            &pushes,
            "dropped, no-rule",
        ),
        step(
            NORMAL,
            "a stranger tries",
            ACCESS,
            &stranger,
            "dropped, unknown-device",
        ),
        step(
            NORMAL,
            "an impostor tries",
            ACCESS,
            &impostor,
            "dropped, address-binding",
        ),
        step(
            NORMAL,
            "the CT appears behind the uplink",
            CORE,
            &opens,
            "dropped, device-on-uplink",
        ),
        step(
            NORMAL,
            "the CT tries IPv6",
            ACCESS,
            &udp6(CT, ROUTER),
            "dropped, address-binding",
        ),
        step(
            NORMAL,
            "half a frame",
            ACCESS,
            &opens[..30],
            "dropped, truncated",
        ),
        step(
            CONTAIN,
            "contained, the CT goes on",
            ACCESS,
            &goes_on,
            "forwarded by eth2",
        ),
        step(
            CONTAIN,
            "contained, the workstation does not",
            ACCESS,
            &reads_on,
            "dropped, posture",
        ),
        step(
            CONTAIN,
            "contained, nor does its server",
            CORE,
            &is_read,
            "dropped, posture",
        ),
        step(
            SEVER,
            "severed, nor does the CT",
            ACCESS,
            &goes_on,
            "dropped, posture",
        ),
        step(
            NORMAL,
            "released, the workstation goes on",
            ACCESS,
            &reads_on,
            "forwarded by eth2",
        ),
    ]
}

/// Two VLANs stitched together, the gateway standing in for who is in them, and two tags at the core.
fn stitched() -> Vec<Step> {
    let step = |what, port, frame: Vec<u8>, expected| Step {
        what,
        posture: NORMAL,
        port,
        frame,
        expected,
    };
    let by_gateway = |host| GATEWAY.with_ip_of(host);
    let server = ROUTER.with_ip_of(RECORDS);
    let is_read = tcp(server, CENTRAL.in_vlan(220), (443, 50_000), "syn ack");
    vec![
        step(
            "a monitor asks for a central station in another VLAN",
            ACCESS,
            arp(MONITOR, CENTRAL.in_vlan(221)),
            "forwarded by eth1",
        ),
        step(
            "it asks for the router",
            ACCESS,
            arp(MONITOR, ROUTER),
            "flooded",
        ),
        step(
            "it opens a connection, and nobody knows yet where to",
            ACCESS,
            tcp(MONITOR, by_gateway(CENTRAL), (40_000, 2575), "syn"),
            "flooded",
        ),
        step(
            "the central station answers",
            ACCESS,
            tcp(CENTRAL, by_gateway(MONITOR), (2575, 40_000), "syn ack"),
            "forwarded by eth1",
        ),
        step(
            "the monitor goes on",
            ACCESS,
            tcp(MONITOR, by_gateway(CENTRAL), (40_000, 2575), "ack"),
            "forwarded by eth1",
        ),
        step(
            "it tries another service",
            ACCESS,
            tcp(MONITOR, by_gateway(CENTRAL), (40_001, 22), "syn"),
            "dropped, no-rule",
        ),
        step(
            "the central station opens a connection through the carrier",
            ACCESS,
            tcp(CENTRAL, server, (50_000, 443), "syn"),
            "flooded",
        ),
        step(
            "the server answers",
            CORE,
            carried(is_read.clone(), 100),
            "forwarded by eth1",
        ),
        step(
            "the central station goes on",
            ACCESS,
            tcp(CENTRAL, server, (50_000, 443), "ack"),
            "forwarded by eth2",
        ),
        step(
            "the server answers in another VLAN of the carrier's",
            CORE,
            carried(is_read, 101),
            "dropped, unknown-attachment",
        ),
    ]
}

fn policy() -> Result<Compiled> {
    let sources = Sources {
        site: include_str!("../policy/site.yaml").to_owned(),
        policy: Some(include_str!("../policy/policy.yaml").to_owned()),
        devices: Some(include_str!("../policy/devices.csv").to_owned()),
    };
    let validated = cordon_policy::from_sources(&sources)?;
    let today = Date::new(2026, 1, 1).context("there was such a day")?;
    Ok(cordon_compile::compile(&validated.policy, today)?)
}

/// What a frame came to, as one line.
pub struct Told {
    /// For the eye, and to be compared.
    pub line: String,
    /// Whether it is what was expected.
    pub as_expected: bool,
}

/// Plays everything to a gateway.
///
/// # Errors
/// The gateway's.
pub fn play(gateway: &mut impl Gateway) -> Result<Vec<Told>> {
    let mut told = Vec::new();
    let early = steps().remove(1);
    let mut tell = |what: &str, fate: &Fate, expected: &str| {
        let line = format!("{what}: {fate}");
        let as_expected = fate.to_string().starts_with(expected);
        told.push(Told { line, as_expected });
    };
    let fate = gateway.judge(early.port, &early.frame)?;
    tell("before there is a policy", &fate, "dropped, no-policy");
    gateway.install(policy()?)?;
    let mut posture = NORMAL;
    for step in steps().into_iter().chain(stitched()) {
        if step.posture != posture {
            posture = step.posture;
            gateway.set_posture(posture)?;
        }
        let fate = gateway.judge(step.port, &step.frame)?;
        tell(step.what, &fate, step.expected);
    }
    Ok(told)
}

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not forwarded; the name of the reason.
    Dropped(&'static str),
    /// Sent to every other attachment of the segment.
    Flooded,
    /// Sent by one attachment, as these bytes.
    Forwarded {
        /// The port.
        port: u16,
        /// The frame that leaves.
        frame: Vec<u8>,
    },
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fate::Dropped(reason) => write!(f, "dropped, {reason}"),
            Fate::Flooded => f.write_str("flooded"),
            Fate::Forwarded { port, frame } => {
                write!(f, "forwarded by {}: ", NICS[usize::from(*port)])?;
                frame.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// A gateway under test.
pub trait Gateway {
    /// Puts a policy into force, at posture `normal`.
    fn install(&mut self, policy: Compiled) -> Result<()>;
    /// Changes the posture.
    fn set_posture(&mut self, posture: u8) -> Result<()>;
    /// Judges a frame.
    fn judge(&mut self, port: u16, frame: &[u8]) -> Result<Fate>;
}

impl Gateway for Portable {
    fn install(&mut self, policy: Compiled) -> Result<()> {
        Portable::install(self, policy.generation, NORMAL);
        Ok(())
    }

    fn set_posture(&mut self, posture: u8) -> Result<()> {
        Portable::set_posture(self, posture);
        Ok(())
    }

    fn judge(&mut self, port: u16, frame: &[u8]) -> Result<Fate> {
        let judged = Portable::judge(self, port, frame);
        Ok(match judged.outcome.verdict {
            Err(reason) => Fate::Dropped(reason.name()),
            Ok(Egress::Flood { .. }) => Fate::Flooded,
            Ok(Egress::Attachment(_)) => {
                let (port, frame) = judged.leaving.into_iter().next().context("one leaves")?;
                Fate::Forwarded { port, frame }
            }
        })
    }
}
