//! The API, served in memory over a kernel that is stood in for: for tests of other crates, which speak HTTP to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cordon_kernel::Opened;
use cordon_portable::Generation;
use cordon_protocol::{Apply, Order, Status};
use tokio::io::DuplexStream;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;

use crate::api::App;
use crate::api::server::{self, Accepted, Limits};
use crate::clock::fake::Fake;
use crate::engine::{Gateway, Parts};
use crate::events::Line;
use crate::observed::Observed;
use crate::plane::fake::{Disk, Kernel, Steps};
use crate::store::Directory;
use crate::{metrics, views};

/// How much is on its way in either direction.
const BUFFER: usize = 64 << 10;

/// A gateway that serves its API.
pub struct Served {
    /// Its kernel.
    pub kernel: Kernel,
    /// Its clocks.
    pub clock: Arc<Fake>,
    /// The steps at which it may be killed.
    pub steps: Arc<Steps>,
    gateway: Arc<Gateway>,
    observed: Arc<Observed>,
    tell: broadcast::Sender<Line>,
    connections: mpsc::UnboundedSender<DuplexStream>,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All that a call can change.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// What `GET /v1/status` says.
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
    /// Starts a gateway without a policy, that keeps its state in a directory. To be called within a runtime of tokio.
    pub fn start(state: &Path) -> Served {
        let steps = Arc::new(Steps::default());
        let kernel = Kernel::new(Arc::clone(&steps));
        let directory = Directory::open(state).expect("nobody else has it");
        let disk = Disk::new(directory, Arc::clone(&steps), Arc::default());
        let clock = Arc::new(Fake::new("boot 1"));
        let gateway = Gateway::start(Parts {
            plane: Box::new(kernel.clone()),
            opened: Opened::New,
            store: Box::new(disk),
            clock: clock.clone(),
            pins: "/pins".to_owned(),
            flows: [1, 1],
            order_seconds: metrics::order_seconds(),
        });
        let gateway = Arc::new(gateway.expect("starts"));
        let (tell, _) = broadcast::channel(16);
        let observed = Arc::new(Observed::new(state, Arc::clone(&gateway.clock)));
        let router = App::new(Arc::clone(&gateway), Arc::clone(&observed), tell.clone()).router();
        let (connections, accepted) = mpsc::unbounded_channel();
        let accepted = Arc::new(tokio::sync::Mutex::new(accepted));
        let task = tokio::spawn(server::serve(Limits::new(16), move || {
            let (accepted, router) = (Arc::clone(&accepted), router.clone());
            async move {
                match accepted.lock().await.recv().await {
                    Some(stream) => Ok(Accepted {
                        caller: 0,
                        stream,
                        router: router.layer(axum::Extension(crate::engine::Caller(0))),
                    }),
                    // Nobody is left who could connect.
                    None => std::future::pending().await,
                }
            }
        }));
        Served {
            kernel,
            clock,
            steps,
            gateway,
            observed,
            tell,
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

    /// How many callers are told of events.
    pub fn listeners(&self) -> usize {
        self.tell.receiver_count()
    }

    /// Time passes, and what comes round is done.
    pub fn pass(&self, seconds: u64) {
        self.clock.pass(seconds);
        self.gateway.tick();
    }

    /// What is the case now.
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
