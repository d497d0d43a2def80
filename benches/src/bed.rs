//! One gateway between a sender and a sink.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::gateways::cordon::Cordon;
use crate::gateways::nftables::Nftables;
use crate::gateways::redirect::Redirect;
use crate::gateways::{Account, Gateway, Kind};
use crate::namespace::{Namespace, PINS};
use crate::processor;
use crate::programs::{Arrived, Generator, Pattern, Sink};
use crate::traffic::FLOWS;

/// In how many turns flows come to stand at the latest.
const TURNS: u32 = 5;

/// A gateway with a cable on either side, and every flow established through it.
pub struct Bed {
    /// Which gateway.
    pub kind: Kind,
    /// How many devices it knows.
    pub devices: u32,
    // Fields are dropped in this order: the gateway and the programs before the namespaces they are in.
    gateway: Box<dyn Gateway>,
    generators: Vec<(u32, Generator)>,
    sink: Sink,
    _answered: Sink,
    inside: Namespace,
    _outside: [Namespace; 2],
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

impl Bed {
    /// Sets a gateway up, and establishes every flow through it.
    ///
    /// # Errors
    /// If something is refused, or the flows do not come to stand.
    pub fn new(kind: Kind, devices: u32, sender: usize) -> Result<Bed> {
        let [left, inside, right] = [Namespace::new()?, Namespace::new()?, Namespace::new()?];
        left.cable("sender", &inside, "eth1")?;
        inside.cable("eth2", &right, "sink")?;
        let gateway = inside.run(|| -> Result<Box<dyn Gateway>> {
            Ok(match kind {
                Kind::Redirect => Box::new(Redirect::new()?),
                Kind::Nftables => Box::new(Nftables::new(devices)?),
                Kind::Cordon => Box::new(Cordon::new(devices, &format!("{PINS}/{devices}"))?),
            })
        })?;
        let pattern = |flows, answers| Pattern {
            flows,
            devices,
            tagged: kind != Kind::Nftables,
            routed: kind == Kind::Nftables,
            answers,
        };
        let (generators, answered) = left.run(|| {
            let mut generators = Vec::new();
            for flows in FLOWS {
                generators.push((flows, Generator::new(pattern(flows, false), "sender")?));
            }
            Ok((generators, Sink::new("sender")?))
        })?;
        let [.., most] = FLOWS;
        let (sink, answers) = right.run(|| {
            Ok((
                Sink::new("sink")?,
                Generator::new(pattern(most, true), "sink")?,
            ))
        })?;
        let mut bed = Bed {
            kind,
            devices,
            gateway,
            generators,
            sink,
            _answered: answered,
            inside,
            _outside: [left, right],
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
            let gateway = &mut self.gateway;
            established = self.inside.run(|| gateway.established())?;
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
            "{} with {} devices: {established} of {flows} flows stand: {account:?}",
            self.kind.name(),
            self.devices,
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

    /// What swallows them.
    pub fn sink(&self) -> &Sink {
        &self.sink
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
            arrived: self.sink.arrived()?,
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
