//! Serving connections: one request each, bounded in number and in time, so that nobody slow or hostile keeps others
//! waiting.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
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
}

impl Limits {
    /// For so many calls at a time.
    pub const fn new(calls: usize) -> Limits {
        Limits {
            calls,
            head: Duration::from_secs(10),
            call: Duration::from_secs(120),
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

/// Accepts connections for ever.
pub async fn serve<S, F>(limits: Limits, mut accept: impl FnMut() -> F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<Accepted<S>>>,
{
    let room = limits.calls * 5;
    let mut shares: HashMap<u32, Share> = HashMap::new();
    loop {
        let accepted = match accept().await {
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
            tracing::warn!(
                caller = accepted.caller,
                "a caller was hung up on: too many calls at a time"
            );
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
