//! Traffic with numbered messages, so that every lost, duplicated or late message is found.
//!
//! A flow's client sends a message at a fixed interval; its server, in another host, sends each one back. Both record
//! the numbers they receive. Every flow has its own client socket and port.

mod report;
mod side;
mod tcp;
mod udp;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::node::Host;
use crate::probe::Probe;

use report::Tally;
pub use report::{Flow, Report};
use side::Side;

/// Messages in transit are given up when none has arrived for this time.
const QUIET: Duration = Duration::from_secs(1);

/// Flows to be started.
#[derive(Clone, Debug)]
pub struct Flows {
    protocol: Protocol,
    from: Host,
    to: Host,
    address: SocketAddr,
    count: u32,
    every: Duration,
    size: usize,
    answered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
}

/// Flows that run until they are stopped or dropped.
pub struct Running {
    flows: Flows,
    tally: Arc<[Mutex<Tally>]>,
    phase: watch::Sender<Phase>,
    threads: Vec<JoinHandle<()>>,
    overflowed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Phase {
    /// Clients send messages.
    Sending,
    /// Clients send no more; messages in transit may still arrive.
    Draining,
    /// The tasks end.
    Ended,
}

impl Flows {
    /// UDP flows. Default: one flow, 64-byte messages every 20 ms, each sent back.
    pub fn udp(from: &Host, to: &Host, port: u16) -> Flows {
        Flows::new(Protocol::Udp, from, to, port)
    }

    /// TCP flows. Default: one flow, 64-byte messages every 20 ms, each sent back.
    pub fn tcp(from: &Host, to: &Host, port: u16) -> Flows {
        Flows::new(Protocol::Tcp, from, to, port)
    }

    fn new(protocol: Protocol, from: &Host, to: &Host, port: u16) -> Flows {
        Flows {
            protocol,
            from: from.clone(),
            to: to.clone(),
            address: to.at(port),
            count: 1,
            every: Duration::from_millis(20),
            size: 64,
            answered: true,
        }
    }

    /// Sets the number of flows.
    pub fn count(mut self, count: u32) -> Flows {
        self.count = count;
        self
    }

    /// Sets the interval between two messages of a flow.
    pub fn every(mut self, every: Duration) -> Flows {
        self.every = every;
        self
    }

    /// Sets the size of a message in bytes, at least [`Probe::LENGTH`].
    pub fn size(mut self, size: usize) -> Flows {
        self.size = size.max(Probe::LENGTH);
        self
    }

    /// The server does not send messages back (UDP only).
    pub fn one_way(mut self) -> Flows {
        self.answered = false;
        self
    }

    /// Sends to another address of the receiver, for example a broadcast address.
    pub fn to_address(mut self, address: IpAddr) -> Flows {
        self.address.set_ip(address);
        self
    }

    /// Starts the flows.
    ///
    /// # Errors
    /// [`Error::Io`] if the port is taken or there are too few file descriptors.
    pub fn start(self) -> Result<Running> {
        raise_file_limit(u64::from(self.count) * 2 + 100)?;
        let (phase, watching) = watch::channel(Phase::Sending);
        let mut running = Running {
            tally: (0..self.count).map(|_| Mutex::default()).collect(),
            phase,
            threads: Vec::new(),
            overflowed: 0,
            flows: self,
        };
        running.overflowed = running.overflow()?;
        // The server first: it must listen before the clients connect.
        for side in [Side::Server, Side::Client] {
            let thread = side.start(&running.flows, &running.tally, watching.clone())?;
            running.threads.push(thread);
        }
        Ok(running)
    }
}

impl Running {
    /// Waits until a message of every flow has arrived and, unless the flows are one-way, has come back.
    ///
    /// # Errors
    /// [`Error::TimedOut`], with the flows that are still waiting.
    pub fn established(&self, within: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            let report = self.report()?;
            let answered = self.flows.answered;
            let waiting = report
                .flows
                .iter()
                .filter(|flow| flow.arrived == 0 || answered && flow.echoed == 0);
            let count = waiting.clone().count();
            if count == 0 {
                return Ok(());
            }
            if start.elapsed() > within {
                return Err(Error::TimedOut {
                    what: format!(
                        "traffic on all {} flows to {}",
                        self.flows.count, self.flows.address
                    ),
                    after: within,
                    log: waiting
                        .take(5)
                        .map(|flow| format!("{flow:?}\n"))
                        .chain([format!("{count} flows wait")])
                        .collect(),
                });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The counts so far. Messages may be in transit.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn report(&self) -> Result<Report> {
        let flows = self.tally.iter().map(|tally| lock(tally).report());
        Ok(Report {
            flows: flows.collect(),
            overflowed: self.overflow()? - self.overflowed,
        })
    }

    /// Stops sending, waits until all messages have arrived or none has for a second, and returns the final counts.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn stop(mut self) -> Result<Report> {
        self.phase.send_replace(Phase::Draining);
        let mut last = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(10));
            let report = self.report()?;
            let done = report.arrived() + report.echoed();
            if done != last.0 {
                last = (done, Instant::now());
            }
            let complete = report.lost() == 0 && (!self.flows.answered || report.unanswered() == 0);
            if complete || last.1.elapsed() > QUIET {
                break;
            }
        }
        self.end();
        self.report()
    }

    fn end(&mut self) {
        self.phase.send_replace(Phase::Ended);
        for thread in self.threads.drain(..) {
            // A panic of the thread has been printed, and its flows show losses.
            let _ = thread.join();
        }
    }

    /// Datagrams that a full receive buffer dropped at either host: losses of the lab itself.
    fn overflow(&self) -> Result<u64> {
        let counted = |host: &Host| host.snmp_counter("Udp", "RcvbufErrors");
        Ok(counted(&self.flows.from)? + counted(&self.flows.to)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Raises the limit of open files if needed.
fn raise_file_limit(more: u64) -> Result<()> {
    let raise = || -> std::io::Result<()> {
        let open = std::fs::read_dir("/proc/self/fd")?.count() as u64;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let wanted = open + more;
        if soft < wanted {
            // Root may also raise the hard limit.
            setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted))?;
        }
        Ok(())
    };
    raise().map_err(Error::io(format!(
        "raising the limit of open files by {more}"
    )))
}
