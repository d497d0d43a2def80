//! One gateway between a sender and a sink.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::gateways::{self, Gateway, GatewayCounters, Kind};
use crate::namespace::Namespace;
use crate::payload::Payload;
use crate::processor;
use crate::programs::{Generator, Pattern, Received, Sink};
use crate::stop;
use crate::traffic::{FLOWS, NEW_FLOWS, Site};

/// The most attempts to establish all flows.
const ATTEMPTS: u32 = 5;

/// A gateway with a veth pair on either side, and every flow established through it.
pub struct Bed {
    /// The kind of gateway.
    pub kind: Kind,
    /// The site that it is configured for.
    pub site: Site,
    // Drop order: the gateway and the programs before their namespaces.
    gateway: Box<dyn Gateway>,
    generators: Vec<(u32, Generator)>,
    sink: Option<Sink>,
    answered: Sink,
    inside: Namespace,
    right: Namespace,
    _left: Namespace,
}

/// All counters since the bed was set up.
pub struct Counts {
    /// Frames sent.
    pub sent: u64,
    /// Frames received by the sink.
    pub arrived: Received,
    /// The gateway's counters.
    pub counters: GatewayCounters,
}

/// Sets up a bed for each of these kinds of gateway and sites.
///
/// # Errors
/// If the setup fails, or the benchmark is interrupted.
pub fn set_up(needed: impl Iterator<Item = (Kind, Site)>, sender: usize) -> Result<Vec<Bed>> {
    let mut beds: Vec<Bed> = Vec::new();
    for (kind, site) in needed {
        if beds.iter().any(|bed| bed.kind == kind && bed.site == site) {
            continue;
        }
        stop::check()?;
        let since = Instant::now();
        let bed = Bed::new(kind, site, sender)?;
        let devices = match kind {
            Kind::Redirect => String::new(),
            _ => format!(", {} devices", site.devices()),
        };
        eprintln!(
            "  {}{devices}: {} ({:.1} s)",
            kind.name(),
            bed.description(),
            since.elapsed().as_secs_f64()
        );
        beds.push(bed);
    }
    Ok(beds)
}

fn pattern(kind: Kind, site: Site, flows: u32, answers: bool) -> Pattern {
    Pattern {
        flows,
        site,
        device: None,
        tagged: kind != Kind::Nftables,
        routed: kind == Kind::Nftables,
        answers,
        payload: Payload::Udp,
    }
}

impl Bed {
    /// Sets up a gateway, and establishes every flow through it.
    ///
    /// # Errors
    /// If the setup fails, or the flows are not established.
    pub fn new(kind: Kind, site: Site, sender: usize) -> Result<Bed> {
        let [left, inside, right] = [Namespace::new()?, Namespace::new()?, Namespace::new()?];
        left.cable("sender", &inside, "eth1")?;
        inside.cable("eth2", &right, "sink")?;
        let gateway = inside.run(|| gateways::new(kind, site))?;
        let (generators, answered) = left.run(|| {
            let mut generators = Vec::new();
            for flows in FLOWS.into_iter().chain([NEW_FLOWS]) {
                let pattern = pattern(kind, site, flows, false);
                generators.push((flows, Generator::new(pattern, "sender")?));
            }
            Ok((generators, Sink::new("sender")?))
        })?;
        let [.., most] = FLOWS;
        let (sink, answers) = right.run(|| {
            let pattern = pattern(kind, site, most, true);
            Ok((Sink::new("sink")?, Generator::new(pattern, "sink")?))
        })?;
        let mut bed = Bed {
            kind,
            site,
            gateway,
            generators,
            sink: Some(sink),
            answered,
            inside,
            right,
            _left: left,
        };
        if kind != Kind::Redirect {
            bed.establish(&answers, most, sender)?;
        }
        Ok(bed)
    }

    /// Opens every flow, answers it, and continues it. A smaller number of flows is a prefix of the largest one.
    fn establish(&mut self, answers: &Generator, flows: u32, sender: usize) -> Result<()> {
        let mut established = 0;
        for _ in 0..ATTEMPTS {
            let opening = self.generator(flows)?;
            processor::run_on(sender, || {
                opening.send(flows)?;
                answers.send(flows)?;
                opening.send(flows)
            })?;
            established = self.established()?;
            if established == u64::from(flows) {
                break;
            }
            // Cordon limits the flows that a device opens within a tick: the rest follows in the next attempt.
            thread::sleep(Duration::from_millis(1100));
        }
        let counters = self.counts(flows)?.counters;
        let opened = counters.opened.unwrap_or(u64::from(flows));
        ensure!(
            established == u64::from(flows) && opened == u64::from(flows),
            "{} with {}: {established} of {flows} flows are established: {counters:?}",
            self.kind.name(),
            self.site.name(),
        );
        Ok(())
    }

    /// The generator for a number of flows.
    ///
    /// # Errors
    /// If there is none.
    pub fn generator(&self, flows: u32) -> Result<&Generator> {
        let found = self.generators.iter().find(|(of, _)| *of == flows);
        Ok(&found
            .context("there is no generator for this number of flows")?
            .1)
    }

    /// Frames received at the servers' end.
    ///
    /// # Errors
    /// If the counter cannot be read.
    pub fn arrived(&self) -> Result<Received> {
        self.sink.as_ref().context("there is no sink")?.arrived()
    }

    /// Frames received at the devices' end.
    ///
    /// # Errors
    /// If the counter cannot be read.
    pub fn answered(&self) -> Result<Received> {
        self.answered.arrived()
    }

    /// Makes the servers answer every frame, or none.
    ///
    /// # Errors
    /// If the kernel refuses the program.
    pub fn set_answering(&mut self, answers: bool) -> Result<()> {
        // An interface has one XDP program: the old one goes first.
        self.sink = None;
        let sink = match answers {
            true => Sink::answering,
            false => Sink::new,
        };
        self.sink = Some(self.right.run(|| sink("sink"))?);
        Ok(())
    }

    /// Removes all flows from the gateway.
    ///
    /// # Errors
    /// If the gateway fails to.
    pub fn flush_flows(&mut self) -> Result<()> {
        let gateway = &mut self.gateway;
        self.inside.run(|| gateway.flush_flows())
    }

    /// The number of established flows in the gateway.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn established(&mut self) -> Result<u64> {
        let gateway = &mut self.gateway;
        self.inside.run(|| gateway.established())
    }

    /// All counters.
    ///
    /// # Errors
    /// If a counter cannot be read.
    pub fn counts(&mut self, flows: u32) -> Result<Counts> {
        let gateway = &mut self.gateway;
        Ok(Counts {
            counters: self.inside.run(|| gateway.counters())?,
            sent: self.generator(flows)?.sent()?,
            arrived: self.arrived()?,
        })
    }

    /// A description of the gateway's setup.
    pub fn description(&self) -> String {
        self.gateway.description()
    }

    /// Runs a job in the gateway's namespace.
    ///
    /// # Errors
    /// The job's error.
    pub fn inside<T: Send>(&self, job: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.inside.run(job)
    }
}
