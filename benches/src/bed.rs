//! One gateway between a sender and a sink.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::gateways::{self, Account, Gateway, Kind};
use crate::namespace::Namespace;
use crate::processor;
use crate::programs::{Arrived, Generator, Pattern, Sink, What};
use crate::traffic::{FLOWS, NEW_FLOWS, Site};

/// In how many turns flows come to stand at the latest.
const TURNS: u32 = 5;

/// A gateway with a cable on either side, and every flow established through it.
pub struct Bed {
    /// Which gateway.
    pub kind: Kind,
    /// What it is told of.
    pub site: Site,
    // Fields are dropped in this order: the gateway and the programs before the namespaces they are in.
    gateway: Box<dyn Gateway>,
    generators: Vec<(u32, Generator)>,
    sink: Option<Sink>,
    answered: Sink,
    inside: Namespace,
    right: Namespace,
    _left: Namespace,
}

/// What has been counted at every place, since the bed was set up.
pub struct Counts {
    /// Frames sent.
    pub sent: u64,
    /// Frames that arrived.
    pub arrived: Arrived,
    /// What the gateway says.
    pub account: Account,
}

fn pattern(kind: Kind, site: Site, flows: u32, answers: bool) -> Pattern {
    Pattern {
        flows,
        site,
        alone: None,
        tagged: kind != Kind::Nftables,
        routed: kind == Kind::Nftables,
        answers,
        what: What::Udp,
    }
}

impl Bed {
    /// Sets a gateway up, and establishes every flow through it.
    ///
    /// # Errors
    /// If something is refused, or the flows do not come to stand.
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

    /// Every flow is opened, answered, and goes on. The fewer flows are the first ones of the most.
    fn establish(&mut self, answers: &Generator, flows: u32, sender: usize) -> Result<()> {
        let mut established = 0;
        for _ in 0..TURNS {
            let opening = self.generator(flows)?;
            processor::on(sender, || {
                opening.send(flows)?;
                answers.send(flows)?;
                opening.send(flows)
            })?;
            established = self.established()?;
            if established == u64::from(flows) {
                break;
            }
            // A device may open so many flows at a time: the rest waits its turn.
            thread::sleep(Duration::from_millis(1100));
        }
        let account = self.counts(flows)?.account;
        let opened = account.opened.unwrap_or(u64::from(flows));
        ensure!(
            established == u64::from(flows) && opened == u64::from(flows),
            "{} with {}: {established} of {flows} flows stand: {account:?}",
            self.kind.name(),
            self.site.name(),
        );
        Ok(())
    }

    /// What sends so many flows.
    ///
    /// # Errors
    /// If nothing does.
    pub fn generator(&self, flows: u32) -> Result<&Generator> {
        let found = self.generators.iter().find(|(of, _)| *of == flows);
        Ok(&found.context("there is no generator for so many flows")?.1)
    }

    /// What has arrived at the servers' end.
    ///
    /// # Errors
    /// If the counter cannot be read.
    pub fn arrived(&self) -> Result<Arrived> {
        self.sink.as_ref().context("there is no sink")?.arrived()
    }

    /// What has come back to the devices' end.
    ///
    /// # Errors
    /// If the counter cannot be read.
    pub fn answered(&self) -> Result<Arrived> {
        self.answered.arrived()
    }

    /// From now on servers answer every frame, or none.
    ///
    /// # Errors
    /// If the kernel refuses the program.
    pub fn have_answered(&mut self, answers: bool) -> Result<()> {
        // An interface has room for one.
        self.sink = None;
        let sink = match answers {
            true => Sink::answering,
            false => Sink::new,
        };
        self.sink = Some(self.right.run(|| sink("sink"))?);
        Ok(())
    }

    /// Makes the gateway forget all flows.
    ///
    /// # Errors
    /// If it does not.
    pub fn forget(&mut self) -> Result<()> {
        let gateway = &mut self.gateway;
        self.inside.run(|| gateway.forget())
    }

    /// How many flows the gateway has heard both ends of.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn established(&mut self) -> Result<u64> {
        let gateway = &mut self.gateway;
        self.inside.run(|| gateway.established())
    }

    /// Everything that was counted so far.
    ///
    /// # Errors
    /// If a counter cannot be read.
    pub fn counts(&mut self, flows: u32) -> Result<Counts> {
        let gateway = &mut self.gateway;
        Ok(Counts {
            account: self.inside.run(|| gateway.account())?,
            sent: self.generator(flows)?.sent()?,
            arrived: self.arrived()?,
        })
    }

    /// How the gateway is set up.
    pub fn described(&self) -> String {
        self.gateway.described()
    }

    /// Does something in the gateway's namespace.
    ///
    /// # Errors
    /// What `job` says.
    pub fn inside<T: Send>(&self, job: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.inside.run(job)
    }
}
