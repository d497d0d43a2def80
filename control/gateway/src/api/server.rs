//! Serving connections: one request each, bounded in number and in time, so that nobody slow or hostile keeps others
//! waiting.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::{Extension, Router};
use cordon_protocol::{Failure, FailureCode};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Semaphore;

use super::ear::Shared;

/// What callers may take. Callers are told apart (by user ID, on the Unix socket), so that whoever takes all that is
/// theirs takes nothing from others.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls at a time, of one caller; four times as many may wait, or listen.
    pub calls: usize,
    /// How long one may take to send the head of its request.
    pub head: Duration,
    /// How long all of a call may take: a large policy is compiled and installed well within it.
    pub call: Duration,
    /// What is served, as the log has it.
    pub what: &'static str,
}

impl Limits {
    /// For so many calls at a time.
    pub const fn new(calls: usize) -> Limits {
        Limits {
            calls,
            head: Duration::from_secs(10),
            call: Duration::from_secs(120),
            what: "api",
        }
    }
}

/// Marks a call that goes on for as long as the caller listens.
#[derive(Clone, Default)]
pub struct Endless(Arc<AtomicBool>);

impl Endless {
    /// The call of this connection has no end of its own.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection that was accepted.
pub struct Accepted<S> {
    /// Whose it is.
    pub caller: u32,
    /// The connection.
    pub stream: S,
    /// What answers it.
    pub router: Router,
}

/// What one caller has in use.
#[derive(Clone)]
struct Share {
    calls: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

/// Whoever is hung up on is told of once in a while, however often that is: the log is for others as well.
#[derive(Default)]
struct Refusals {
    told: HashMap<u32, (Instant, u64)>,
}

impl Refusals {
    /// How often a caller may be told of.
    const EVERY: Duration = Duration::from_secs(10);

    /// Counts one; answers how many there were since it was told of last, if it is to be told of now.
    fn count(&mut self, caller: u32, now: Instant) -> Option<u64> {
        // Who has been quiet since is forgotten.
        self.told
            .retain(|who, (at, _)| *who == caller || now < *at + Self::EVERY);
        match self.told.get_mut(&caller) {
            Some((at, more)) if now < *at + Self::EVERY => {
                *more += 1;
                None
            }
            before => {
                let more = before.map_or(0, |(_, more)| *more);
                self.told.insert(caller, (now, 0));
                Some(more + 1)
            }
        }
    }
}

/// What a caller is answered that has too many calls under way.
fn too_many() -> String {
    let failure = Failure {
        code: FailureCode::Conflict,
        message: "you have too many calls to the gateway under way: nothing was done".to_owned(),
        hint: Some(
            "is a script of yours stuck? `ss -xp | grep cordon` shows who holds them".to_owned(),
        ),
        problems: Vec::new(),
    };
    let body = serde_json::to_string(&failure).unwrap_or_default();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Accepts connections for ever.
pub async fn serve<S, F>(limits: Limits, mut accept: impl FnMut() -> F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<Accepted<S>>>,
{
    let room = limits.calls * 5;
    let mut shares: HashMap<u32, Share> = HashMap::new();
    let mut refusals = Refusals::default();
    let too_many = too_many();
    loop {
        let mut accepted = match accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, say: not for ever.
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Callers that have nothing in use are forgotten.
        shares.retain(|_, share| share.room.available_permits() < room);
        let share = shares.entry(accepted.caller).or_insert_with(|| Share {
            calls: Arc::new(Semaphore::new(limits.calls)),
            room: Arc::new(Semaphore::new(room)),
        });
        let Ok(room) = Arc::clone(&share.room).try_acquire_owned() else {
            if let Some(times) = refusals.count(accepted.caller, Instant::now()) {
                tracing::warn!(
                    what = limits.what,
                    caller = accepted.caller,
                    times,
                    "a caller was hung up on: too many calls at a time"
                );
            }
            // It fits into what the kernel keeps of a new connection: nobody is waited for.
            let answer = accepted.stream.write_all(too_many.as_bytes());
            let _ = tokio::time::timeout(Duration::from_millis(10), answer).await;
            continue;
        };
        let calls = Arc::clone(&share.calls);
        tokio::spawn(async move {
            converse(accepted.stream, accepted.router, &calls, limits).await;
            drop(room);
        });
    }
}

async fn converse<S>(stream: S, router: Router, calls: &Semaphore, limits: Limits)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let endless = Endless::default();
    let answers = TowerToHyperService::new(router.layer(Extension(endless.clone())));
    // A turn lasts from the end of a request's head to the beginning of its answer: whoever has said nothing yet, or
    // only listens by now, keeps nobody waiting.
    let service = service_fn(|request| {
        let answer = answers.call(request);
        async {
            let _turn = calls.acquire().await;
            answer.await
        }
    });
    let stream = Shared::new(stream);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream.clone()), service);
    let connection = async {
        tokio::select! {
            // First: it is what makes a call endless.
            biased;
            // A caller that hangs up is its own affair.
            _ = connection => {}
            () = stream.hung_up(|| endless.get()) => {}
        }
    };
    let mut connection = std::pin::pin!(connection);
    loop {
        match tokio::time::timeout(limits.call, connection.as_mut()).await {
            Ok(()) => return,
            Err(_) if endless.get() => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_crowd_of_refusals_few_are_told_of_and_all_are_counted() {
        let mut refusals = Refusals::default();
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(refusals.count(7, at(0)), Some(1));
        for later in 1..5000 {
            assert_eq!(refusals.count(7, at(later)), None);
        }
        assert_eq!(refusals.count(8, at(5000)), Some(1), "another's own");
        assert_eq!(refusals.count(7, at(10_000)), Some(5000));
        assert_eq!(refusals.count(8, at(60_000)), Some(1));
        assert_eq!(refusals.told.len(), 1, "who is quiet is forgotten");
    }
}
