//! The local API: whatever a caller sends, it is answered or hung up on, in the end, and what is refused changes
//! nothing.

mod answer;
mod shapes;

use std::time::Duration;

use cordon_gateway::served::Served;
use cordon_protocol::Sources;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

use answer::Answer;

/// Longer than any caller may take for anything. It is not waited for: the clock of the runtime goes on by itself when
/// there is nothing else to do.
const FOR_EVER: Duration = Duration::from_secs(600);

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("there are threads");
}

/// Calls a gateway, with what is divided by [`crate::SEPARATOR`] on a connection each. There is a policy in force, but
/// for inputs that start with `-`.
///
/// # Panics
/// If something does not hold.
pub fn api(input: &[u8]) {
    let (bare, input) = match input.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, input),
    };
    for part in crate::parts(input) {
        shapes::round_trip(part);
    }
    // In memory, where there is such a place: a disk is synced often.
    let state = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let state = state.expect("there is room");
    RUNTIME.with(|runtime| runtime.block_on(calls(&state, bare, input)));
}

async fn calls(state: &TempDir, bare: bool, input: &[u8]) {
    let served = Served::start(state.path());
    if !bare {
        served.apply(policy());
    }
    for part in crate::parts(input) {
        let before = served.snapshot();
        let answer = call(&served, part).await;
        answer.is_proper();
        if !answer.is_success() {
            assert_eq!(
                before,
                served.snapshot(),
                "a refused call changed something"
            );
        }
    }
    // The clock goes on once everybody has done what there was to do.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        served.listeners(),
        0,
        "all have hung up, and some are told all the same"
    );
    // What was begun ends, or is tried again.
    served.pass(3600);
    served.snapshot();
}

/// Sends something, and reads until the gateway hangs up.
async fn call(served: &Served, request: &[u8]) -> Answer {
    let (mut read, mut write) = tokio::io::split(served.connect());
    let mut answer = Vec::new();
    let write = async {
        // The gateway may have hung up in the middle.
        let _ = write.write_all(request).await;
    };
    let read = async {
        let mut buffer = [0; 4096];
        // Events go on for as long as the caller listens.
        while !Answer::is_endless(&answer) {
            match read.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(length) => answer.extend_from_slice(&buffer[..length]),
            }
        }
    };
    let both = async { tokio::join!(write, read) };
    if tokio::time::timeout(FOR_EVER, both).await.is_err() {
        panic!(
            "neither answered nor hung up on: {}",
            request.escape_ascii()
        );
    }
    Answer::new(answer)
}

/// A small hospital.
fn policy() -> Sources {
    let read = |name: &str| name.to_owned();
    Sources {
        site: read(include_str!("api/site.yaml")),
        policy: Some(read(include_str!("api/policy.yaml"))),
        devices: Some(read(include_str!("api/devices.csv"))),
    }
}
