//! The API over a real socket and a fake kernel.

mod delays;
mod events;
mod roles;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use cordon_protocol::{Applied, Apply, Order, Status};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::server::Limits;
use super::socket::Socket;
use super::*;
use crate::config;
use crate::engine::tests::{Machine, policy_a};

struct Served {
    machine: Machine,
    gateway: Arc<Gateway>,
    events: broadcast::Sender<Line>,
    directory: TempDir,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn socket_in(directory: &TempDir) -> config::Socket {
    config::Socket {
        path: directory.path().join("run/cordond.sock"),
        group: None,
        roles: config::Roles::default(),
    }
}

impl Served {
    fn start(limits: Limits) -> Served {
        let machine = Machine::new();
        let gateway = Arc::new(machine.start());
        let (events, _) = broadcast::channel(16);
        let directory = tempfile::tempdir().expect("makes a directory");
        let socket = Socket::bind(&socket_in(&directory)).expect("listens");
        let observed = Arc::new(Observed::new(directory.path(), Arc::clone(&gateway.clock)));
        let router = App::new(Arc::clone(&gateway), observed, events.clone()).router();
        let task = tokio::spawn(async move { socket.serve_within(limits, router).await });
        Served {
            machine,
            gateway,
            events,
            directory,
            task,
        }
    }

    fn path(&self) -> PathBuf {
        socket_in(&self.directory).path
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.path()).await.expect("connects")
    }

    async fn call(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let mut stream = self.connect().await;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: cordond\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("writes");
        // The daemon may have refused before it has read everything.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).expect("is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("has a head");
        let status = head.split(' ').nth(1).expect("has a status");
        let status = status.parse().expect("is a number");
        (status, serde_json::from_str(body).expect("is JSON"))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, b"").await
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> (u16, Value) {
        let body = serde_json::to_vec(body).expect("is JSON");
        self.call("POST", path, &body).await
    }

    /// Waits until there are no subscribers.
    async fn wait_for_no_listeners(&self) {
        for _ in 0..500 {
            if self.events.receiver_count() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("a disconnected subscriber is still there");
    }

    async fn apply(&self) -> (u16, Value) {
        let apply = Apply {
            sources: policy_a(),
            confirm_seconds: None,
        };
        self.post("/v1/policy", &apply).await
    }
}

fn of<T: DeserializeOwned>(answer: (u16, Value)) -> T {
    assert_eq!(answer.0, 200, "{}", answer.1);
    serde_json::from_value(answer.1).expect("has the shape")
}

fn failure(answer: (u16, Value)) -> (u16, Failure) {
    let failure: Failure = serde_json::from_value(answer.1).expect("has the shape");
    assert!(failure.hint.as_ref().is_some_and(|hint| !hint.is_empty()));
    (answer.0, failure)
}

fn contain() -> Value {
    json!({"kind": "quarantine", "scope": "site", "posture": "contain", "reason": "a test"})
}

const LIMITS: Limits = Limits::new(16);

#[tokio::test(flavor = "multi_thread")]
async fn every_call_answers() {
    let served = Served::start(LIMITS);
    let applied: Applied = of(served.apply().await);
    assert_eq!((applied.policy.generation, applied.policy.devices), (1, 2));
    let order: Order = of(served.post("/v1/orders", &contain()).await);
    assert_eq!(order.by, format!("uid {}", nix::unistd::getuid()));
    assert_eq!(served.machine.kernel.posture(), 2);
    let status: Status = of(served.get("/v1/status").await);
    assert_eq!(
        (status.posture.as_str(), status.site.as_deref()),
        ("contain", Some("test"))
    );
    let _: Vec<cordon_protocol::Device> = of(served.get("/v1/devices").await);
    let _: Vec<cordon_protocol::Rule> = of(served.get("/v1/rules").await);
    let _: cordon_protocol::Flows = of(served.get("/v1/flows?limit=5").await);
    let found = served.get("/v1/flows?device=ct&segment=imaging&rule=a&state=half-open");
    let _: cordon_protocol::Flows = of(found.await);
    let _: cordon_protocol::Observed = of(served.get("/v1/observed").await);
    let orders: Vec<Order> = of(served.get("/v1/orders").await);
    assert_eq!(orders, [order]);
    let question = json!({"from": "ct", "to": "us", "service": "dicom"});
    let explained: Vec<cordon_protocol::Explanation> =
        of(served.post("/v1/explain", &question).await);
    assert_eq!(explained.len(), 2);
    let (status, failure) = failure(served.post("/v1/policy/confirm", &json!({})).await);
    assert_eq!((status, failure.code), (409, FailureCode::Conflict));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_has_the_same_shape() {
    let served = Served::start(LIMITS);
    let long = vec![b' '; MAX_BODY_BYTES + 1];
    for (method, path, body, status, code) in [
        ("GET", "/v2/status", &b""[..], 404, FailureCode::NotFound),
        ("DELETE", "/v1/status", b"", 404, FailureCode::NotFound),
        (
            "GET",
            "/v1/flows?limit=x",
            b"",
            400,
            FailureCode::BadRequest,
        ),
        ("GET", "/v1/flows?most=3", b"", 400, FailureCode::BadRequest),
        (
            "GET",
            "/v1/flows?state=shut",
            b"",
            400,
            FailureCode::BadRequest,
        ),
        (
            "GET",
            "/v1/flows?device=missing",
            b"",
            404,
            FailureCode::NotFound,
        ),
        ("POST", "/v1/orders", b"{", 400, FailureCode::BadRequest),
        (
            "POST",
            "/v1/orders",
            b"{\"kind\":\"open\"}",
            400,
            FailureCode::BadRequest,
        ),
        (
            "POST",
            "/v1/orders",
            b"\xff\xfe",
            400,
            FailureCode::BadRequest,
        ),
        ("POST", "/v1/orders", &long, 400, FailureCode::BadRequest),
        (
            "POST",
            "/v1/policy",
            b"{\"sources\":{\"site\":\"\"}}",
            422,
            FailureCode::PolicyRejected,
        ),
        (
            "POST",
            "/v1/explain",
            b"{\"from\":\"a\",\"to\":\"b\",\"service\":\"c\"}",
            404,
            FailureCode::NotFound,
        ),
    ] {
        let (got, failure) = failure(served.call(method, path, body).await);
        assert_eq!((got, failure.code), (status, code), "{method} {path}");
    }
    let (status, rejected) = failure(
        served
            .post(
                "/v1/policy",
                &json!({"sources": {"site": "site: x\nprots: {}\n"}}),
            )
            .await,
    );
    assert_eq!(status, 422);
    assert!(
        rejected.problems.iter().any(|problem| problem.line == 2),
        "{rejected:?}"
    );
    let status: Status = of(served.get("/v1/status").await);
    assert_eq!(status.policy, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_an_order_is_in_force_and_a_policy_is_refused() {
    let served = Served::start(LIMITS);
    let _: Applied = of(served.apply().await);
    served.machine.fill_disk(true);
    let order: Order = of(served.post("/v1/orders", &contain()).await);
    assert!(
        order
            .warning
            .is_some_and(|warning| warning.contains("in force"))
    );
    assert_eq!(served.machine.kernel.posture(), 2);
    let (status, refused) = failure(served.apply().await);
    assert_eq!((status, refused.code), (507, FailureCode::NotDurable));
    let release =
        json!({"kind": "release", "scope": "site", "posture": "normal", "reason": "a test"});
    let (status, refused) = failure(served.post("/v1/orders", &release).await);
    assert_eq!((status, refused.code), (507, FailureCode::NotDurable));
    assert_eq!(served.machine.kernel.posture(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_for_root_and_a_group_and_replaces_a_stale_one() {
    let directory = tempfile::tempdir().expect("makes a directory");
    let mut config = socket_in(&directory);
    std::fs::create_dir_all(config.path.parent().expect("has one")).expect("makes");
    // A killed daemon leaves its socket.
    drop(std::os::unix::net::UnixListener::bind(&config.path).expect("binds"));
    config.group = Some("daemon".to_owned());
    let socket = Socket::bind(&config).expect("listens");
    let found = std::fs::metadata(&config.path).expect("is there");
    assert_eq!(found.permissions().mode() & 0o777, 0o660);
    let group = nix::unistd::Group::from_name("daemon")
        .expect("looks")
        .expect("is there");
    assert_eq!(found.gid(), group.gid.as_raw());
    let second = Socket::bind(&config).err().expect("is refused");
    assert!(
        second.to_string().contains("another daemon listens"),
        "{second}"
    );
    drop(socket);
    assert!(!config.path.exists(), "it is removed");
    // With several groups the roles decide, not the file's permissions.
    config.roles.look = Some("adm".to_owned());
    let socket = Socket::bind(&config).expect("listens");
    let found = std::fs::metadata(&config.path).expect("is there");
    assert_eq!(found.permissions().mode() & 0o777, 0o666);
    drop(socket);
    config.group = Some("no-such-group".to_owned());
    let refused = Socket::bind(&config).err().expect("is refused");
    assert!(refused.to_string().contains("groupadd"), "{refused}");
}
