//! Traffic whose every message is numbered, so that each that is lost, doubled or late is known.
//!
//! A flow's client, in one host, sends a message every so often; its server, in another, sends each back. Both note
//! the numbers they get. Every flow is a socket of its own, with a port of its own.

mod report;
mod tcp;
mod udp;

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::error::{Error, Result};
use crate::node::Host;
use crate::probe::Probe;

use report::Tally;
pub use report::{Flow, Report};

/// How long nothing more has to come for what is on its way to be given up.
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
    /// Messages are sent.
    Sending,
    /// None is, but those on their way are waited for.
    Draining,
    /// It is over.
    Ended,
}

impl Flows {
    /// UDP flows: one at first, a message of 64 bytes every 20 milliseconds, each sent back.
    pub fn udp(from: &Host, to: &Host, port: u16) -> Flows {
        Flows::new(Protocol::Udp, from, to, port)
    }

    /// TCP flows: one at first, a message of 64 bytes every 20 milliseconds, each sent back.
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

    /// How many.
    pub fn count(mut self, count: u32) -> Flows {
        self.count = count;
        self
    }

    /// How long from one message of a flow to its next.
    pub fn every(mut self, every: Duration) -> Flows {
        self.every = every;
        self
    }

    /// Bytes of a message; at least those of its number, 24.
    pub fn size(mut self, size: usize) -> Flows {
        self.size = size.max(Probe::LENGTH);
        self
    }

    /// Datagrams that are not sent back.
    pub fn one_way(mut self) -> Flows {
        self.answered = false;
        self
    }

    /// Sends to this address, where the receiver has more than one: to a broadcast address, for example.
    pub fn to_address(mut self, address: IpAddr) -> Flows {
        self.address.set_ip(address);
        self
    }

    /// Starts them.
    ///
    /// # Errors
    /// [`Error::Io`] if the port is taken or there are too few file descriptors.
    pub fn start(self) -> Result<Running> {
        room_for(u64::from(self.count) * 2 + 100)?;
        let (phase, watching) = watch::channel(Phase::Sending);
        let mut running = Running {
            tally: (0..self.count).map(|_| Mutex::default()).collect(),
            phase,
            threads: Vec::new(),
            overflowed: 0,
            flows: self,
        };
        running.overflowed = running.overflow()?;
        // The server first: it must be there when the clients come.
        for side in [Side::Server, Side::Client] {
            let thread = side.start(&running.flows, &running.tally, watching.clone())?;
            running.threads.push(thread);
        }
        Ok(running)
    }
}

impl Running {
    /// Waits until every flow has got something through and, if it is answered, back.
    ///
    /// # Errors
    /// [`Error::TimedOut`], with how many have not.
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

    /// What came of them so far. Messages may be on their way.
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

    /// Sends no more, waits for what is on its way until nothing more has come for a second, and answers what came of
    /// all of them.
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
            // A panic there has been printed, and shows in the numbers.
            let _ = thread.join();
        }
    }

    /// Datagrams that came, but found the receiver's buffer full: the lab's own loss.
    fn overflow(&self) -> Result<u64> {
        let counted = |host: &Host| host.counted("Udp", "RcvbufErrors");
        Ok(counted(&self.flows.from)? + counted(&self.flows.to)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// The two ends of all flows.
#[derive(Clone, Copy)]
enum Side {
    Server,
    Client,
}

/// What both ends need to know.
struct Context {
    flows: Flows,
    tally: Arc<[Mutex<Tally>]>,
    phase: watch::Receiver<Phase>,
}

impl Side {
    /// Starts a thread in the host's namespace, and returns when its sockets are open.
    fn start(
        self,
        flows: &Flows,
        tally: &Arc<[Mutex<Tally>]>,
        phase: watch::Receiver<Phase>,
    ) -> Result<JoinHandle<()>> {
        let host = match self {
            Side::Server => flows.to.clone(),
            Side::Client => flows.from.clone(),
        };
        let context = Arc::new(Context {
            flows: flows.clone(),
            tally: Arc::clone(tally),
            phase,
        });
        let (tell, told) = mpsc::channel();
        let name = host.name().to_owned();
        let failed = || Error::io(format!("starting flows at {name} to {}", flows.address));
        let thread = std::thread::Builder::new()
            .name(format!("flows {name}"))
            .spawn(move || {
                if let Err(error) = host.enter() {
                    let _ = tell.send(Err(std::io::Error::other(error)));
                    return;
                }
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                let work = async {
                    let mut phase = context.phase.clone();
                    let protocol = context.flows.protocol;
                    let opened = match (self, protocol) {
                        (Side::Server, Protocol::Udp) => udp::serve(context).await,
                        (Side::Client, Protocol::Udp) => udp::send(context).await,
                        (Side::Server, Protocol::Tcp) => tcp::serve(context).await,
                        (Side::Client, Protocol::Tcp) => tcp::send(context).await,
                    };
                    match opened {
                        Ok(tasks) => {
                            let _ = tell.send(Ok(()));
                            finish(tasks, &mut phase).await;
                        }
                        Err(error) => {
                            let _ = tell.send(Err(error));
                        }
                    }
                };
                match runtime {
                    Ok(runtime) => runtime.block_on(work),
                    Err(error) => {
                        let _ = tell.send(Err(error));
                    }
                }
            })
            .map_err(failed())?;
        match told.recv() {
            Ok(opened) => opened.map_err(failed())?,
            Err(_) => return Err(failed()(std::io::Error::other("its thread ended"))),
        }
        Ok(thread)
    }
}

/// Lets the tasks run until it is over, and a little longer, to note down how it ended.
async fn finish(mut tasks: JoinSet<()>, phase: &mut watch::Receiver<Phase>) {
    // An error means that whoever would tell is gone.
    let _ = phase.wait_for(|phase| *phase == Phase::Ended).await;
    let all = async { while tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(2), all).await;
}

impl Context {
    fn tally(&self, flow: u32) -> Option<MutexGuard<'_, Tally>> {
        self.tally.get(flow as usize).map(lock)
    }

    /// Ticks when a flow is to send. The flows take turns, rather than all send at once.
    fn ticks(&self, flow: u32) -> tokio::time::Interval {
        let every = self.flows.every.max(Duration::from_micros(1));
        let offset = every * flow / self.flows.count.max(1);
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + offset, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks
    }

    /// The server's own address: any.
    fn listen(&self) -> SocketAddr {
        let any: IpAddr = match self.flows.address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(any, self.flows.address.port())
    }

    fn local(&self) -> SocketAddr {
        SocketAddr::new(self.flows.from.ip(), 0)
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Raises the limit of open files as far as is needed.
fn room_for(more: u64) -> Result<()> {
    let raise = || -> std::io::Result<()> {
        let open = std::fs::read_dir("/proc/self/fd")?.count() as u64;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let wanted = open + more;
        if soft < wanted {
            // Root may raise the hard limit too.
            setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted))?;
        }
        Ok(())
    };
    raise().map_err(Error::io(format!("making room for {more} sockets")))
}

/// A large receive buffer, so that a busy machine makes nobody lose what has arrived.
fn enlarge(socket: &impl AsFd, bytes: usize) -> std::io::Result<()> {
    Ok(setsockopt(socket, sockopt::RcvBufForce, &bytes)?)
}
