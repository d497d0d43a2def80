//! The API served in memory over a fake kernel: for tests of other crates, which call it by HTTP.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cordon_protocol::{Apply, Order, Status};
use cordon_tables::Generation;
use tokio::io::DuplexStream;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;

use crate::api::App;
use crate::api::roles::{Access, Credentials};
use crate::api::server::{self, Connection, Limits};
use crate::clock::fake::Fake;
use crate::engine::{Gateway, stand_in};
use crate::events::Line;
use crate::kill_switch::KillSwitch;
use crate::observed::Observed;
use crate::plane::fake::Kernel;
use crate::store::Directory;
use crate::store::fake::Disk;
use crate::views;

/// Bytes that each direction of a connection buffers.
const BUFFER: usize = 64 << 10;

/// A gateway that serves its API.
pub struct Served {
    /// Its kernel.
    pub kernel: Kernel,
    /// Its clocks.
    pub clock: Arc<Fake>,
    /// Kills it before a chosen step.
    pub kill_switch: Arc<KillSwitch>,
    gateway: Arc<Gateway>,
    observed: Arc<Observed>,
    events: broadcast::Sender<Line>,
    connections: mpsc::UnboundedSender<DuplexStream>,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Everything that a call can change.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The answer of `GET /v1/status`.
    pub status: Status,
    /// Every order that was given.
    pub orders: Vec<Order>,
    /// The posture in the kernel.
    pub posture: u8,
    /// The policy in the kernel.
    pub tables: Generation,
    /// The ports in the kernel.
    pub ports: BTreeMap<u16, String>,
}

impl Served {
    /// Starts a gateway without a policy, with this state directory. Call within a tokio runtime.
    pub fn start(state: &Path) -> Served {
        let kill_switch = Arc::new(KillSwitch::default());
        let kernel = Kernel::new(Arc::clone(&kill_switch));
        let directory = Directory::open(state).expect("is not in use");
        let disk = Disk::new(directory, Arc::clone(&kill_switch), Arc::default());
        let clock = Arc::new(Fake::new("boot 1"));
        let gateway = Gateway::start(stand_in(&kernel, disk, Arc::clone(&clock)));
        let gateway = Arc::new(gateway.expect("starts"));
        let (events, _) = broadcast::channel(16);
        let observed = Arc::new(Observed::new(state, Arc::clone(&gateway.clock)));
        let router = App::new(Arc::clone(&gateway), Arc::clone(&observed), events.clone()).router();
        let (connections, accepted) = mpsc::unbounded_channel();
        let accepted = Arc::new(tokio::sync::Mutex::new(accepted));
        let root = Access::of(&Arc::default(), &Credentials::default());
        let router = router.layer(axum::Extension(root));
        let task = tokio::spawn(server::serve(Limits::new(16), move || {
            let (accepted, router) = (Arc::clone(&accepted), router.clone());
            async move {
                match accepted.lock().await.recv().await {
                    Some(stream) => Ok(Connection {
                        caller: 0,
                        stream,
                        router: router.layer(axum::Extension(crate::engine::Caller(0))),
                    }),
                    // No caller can connect any more.
                    None => std::future::pending().await,
                }
            }
        }));
        Served {
            kernel,
            clock,
            kill_switch,
            gateway,
            observed,
            events,
            connections,
            task,
        }
    }

    /// Puts a policy into force.
    pub fn apply(&self, sources: cordon_protocol::Sources) {
        let apply = Apply {
            sources,
            confirm_seconds: None,
        };
        let applied = self.gateway.apply(&apply);
        applied.unwrap_or_else(|refusal| panic!("{refusal}"));
    }

    /// A caller's end of a connection.
    pub fn connect(&self) -> DuplexStream {
        let (caller, gateway) = tokio::io::duplex(BUFFER);
        self.connections.send(gateway).expect("is served");
        caller
    }

    /// Number of subscribers to events.
    pub fn listeners(&self) -> usize {
        self.events.receiver_count()
    }

    /// Advances the clock and runs the periodic work.
    pub fn advance(&self, seconds: u64) {
        self.clock.advance(seconds);
        self.gateway.tick();
    }

    /// The current state.
    pub fn snapshot(&self) -> Snapshot {
        let status = views::status(&self.gateway, &self.observed).expect("the kernel answers");
        Snapshot {
            status: Status {
                uptime_seconds: 0,
                ..status
            },
            orders: self.gateway.engine().orders().expect("the disk answers"),
            posture: self.kernel.posture(),
            tables: self.kernel.generation(),
            ports: self.kernel.tables().ports.clone(),
        }
    }
}
