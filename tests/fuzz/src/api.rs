//! The local API: every call is answered or its connection closed, and a refused call changes no state.

mod answer;
mod shapes;

use std::time::Duration;

use cordon_gateway::served::Served;
use cordon_protocol::Sources;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

use answer::Answer;

/// Longer than every time limit of the server. The test does not wait for it: the runtime's paused clock advances when
/// all tasks are idle.
const TIMEOUT: Duration = Duration::from_secs(600);

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime can be made");
}

/// Sends each part of the input to a gateway on a connection of its own. A policy is active, except for inputs that
/// start with `-`.
///
/// # Panics
/// If a property is violated.
pub fn api(input: &[u8]) {
    let (without_policy, input) = match input.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, input),
    };
    for part in crate::parts(input) {
        shapes::round_trip(part);
    }
    // In memory if possible: the gateway syncs its state often.
    let state = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let state = state.expect("a directory can be made");
    RUNTIME.with(|runtime| runtime.block_on(calls(&state, without_policy, input)));
}

async fn calls(state: &TempDir, without_policy: bool, input: &[u8]) {
    let served = Served::start(state.path());
    if !without_policy {
        served.apply(policy());
    }
    for part in crate::parts(input) {
        let before = served.snapshot();
        let answer = call(&served, part).await;
        answer.check();
        if !answer.is_success() {
            assert_eq!(
                before,
                served.snapshot(),
                "a refused call changed something"
            );
        }
    }
    // The paused clock advances when all tasks are idle.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        served.listeners(),
        0,
        "event streams remain after all callers have disconnected"
    );
    // Pending work completes or is retried.
    served.advance(3600);
    served.snapshot();
}

/// Sends a request, and reads until the gateway closes the connection.
async fn call(served: &Served, request: &[u8]) -> Answer {
    let (mut read, mut write) = tokio::io::split(served.connect());
    let mut answer = Vec::new();
    let write = async {
        // The gateway may have closed the connection before the end.
        let _ = write.write_all(request).await;
    };
    let read = async {
        let mut buffer = [0; 4096];
        // An event stream has no end.
        while !Answer::is_endless(&answer) {
            match read.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(length) => answer.extend_from_slice(&buffer[..length]),
            }
        }
    };
    let both = async { tokio::join!(write, read) };
    if tokio::time::timeout(TIMEOUT, both).await.is_err() {
        panic!("neither answered nor closed: {}", request.escape_ascii());
    }
    Answer::new(answer)
}

/// The policy of a small hospital.
fn policy() -> Sources {
    let read = |name: &str| name.to_owned();
    Sources {
        site: read(include_str!("api/site.yaml")),
        policy: Some(read(include_str!("api/policy.yaml"))),
        devices: Some(read(include_str!("api/devices.csv"))),
    }
}
