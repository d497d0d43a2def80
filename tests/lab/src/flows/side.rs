//! The two ends of flows: a thread in each host, and the state that its tasks share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::report::Tally;
use super::{Flows, Phase, Protocol, lock, tcp, udp};
use crate::error::{Error, Result};

/// One end of all flows.
#[derive(Clone, Copy)]
pub enum Side {
    Server,
    Client,
}

/// State that the tasks of one side share.
pub struct Context {
    pub flows: Flows,
    pub phase: watch::Receiver<Phase>,
    tally: Arc<[Mutex<Tally>]>,
}

impl Side {
    /// Starts a thread in the host's namespace. Returns when its sockets are open.
    pub fn start(
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
        let (opened_sender, opened_receiver) = mpsc::channel();
        let name = host.name().to_owned();
        let failed = || Error::io(format!("starting flows at {name} to {}", flows.address));
        let thread = std::thread::Builder::new()
            .name(format!("flows {name}"))
            .spawn(move || {
                if let Err(error) = host.enter() {
                    let _ = opened_sender.send(Err(std::io::Error::other(error)));
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
                            let _ = opened_sender.send(Ok(()));
                            finish(tasks, &mut phase).await;
                        }
                        Err(error) => {
                            let _ = opened_sender.send(Err(error));
                        }
                    }
                };
                match runtime {
                    Ok(runtime) => runtime.block_on(work),
                    Err(error) => {
                        let _ = opened_sender.send(Err(error));
                    }
                }
            })
            .map_err(failed())?;
        match opened_receiver.recv() {
            Ok(opened) => opened.map_err(failed())?,
            Err(_) => return Err(failed()(std::io::Error::other("its thread ended"))),
        }
        Ok(thread)
    }
}

/// Lets the tasks run until the flows have ended, and up to two seconds more to record the result.
async fn finish(mut tasks: JoinSet<()>, phase: &mut watch::Receiver<Phase>) {
    // An error means that the sender of the phase was dropped: also an end.
    let _ = phase.wait_for(|phase| *phase == Phase::Ended).await;
    let all = async { while tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(2), all).await;
}

impl Context {
    /// The counts of a flow.
    pub fn tally(&self, flow: u32) -> Option<MutexGuard<'_, Tally>> {
        self.tally.get(flow as usize).map(lock)
    }

    /// An interval for the messages of a flow. The flows' ticks are spread evenly.
    pub fn ticks(&self, flow: u32) -> tokio::time::Interval {
        let every = self.flows.every.max(Duration::from_micros(1));
        let offset = every * flow / self.flows.count.max(1);
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + offset, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks
    }

    /// The server's listening address: unspecified, with the flows' port.
    pub fn listen(&self) -> SocketAddr {
        let any: IpAddr = match self.flows.address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(any, self.flows.address.port())
    }

    /// The clients' local address, with any port.
    pub fn local(&self) -> SocketAddr {
        SocketAddr::new(self.flows.from.ip(), 0)
    }
}

/// Enlarges a socket's receive buffer, so that a busy machine does not drop datagrams.
pub fn enlarge(socket: &impl AsFd, bytes: usize) -> std::io::Result<()> {
    Ok(setsockopt(socket, sockopt::RcvBufForce, &bytes)?)
}
