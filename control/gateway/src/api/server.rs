//! Serving connections: one request each, bounded in number and in time, so that nobody slow or hostile keeps others
//! waiting.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;

/// What callers may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Callers at a time.
    pub callers: usize,
    /// How long one may take to send the head of its request.
    pub head: Duration,
    /// How long all of a call may take: a large policy is compiled and installed well within it.
    pub call: Duration,
}

impl Limits {
    /// For so many callers.
    pub const fn new(callers: usize) -> Limits {
        Limits {
            callers,
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

/// Accepts connections for ever. `accept` answers a connection and the router for it.
pub async fn serve<S, F>(limits: Limits, mut accept: impl FnMut() -> F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<(S, Router)>>,
{
    let permits = Arc::new(Semaphore::new(limits.callers));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        match accept().await {
            Ok((stream, router)) => {
                tokio::spawn(async move {
                    converse(stream, router, limits).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file descriptors, say: not for ever.
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse<S>(stream: S, router: Router, limits: Limits)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let endless = Endless::default();
    let service = TowerToHyperService::new(router.layer(Extension(endless.clone())));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    loop {
        match tokio::time::timeout(limits.call, connection.as_mut()).await {
            // A caller that hangs up is its own affair.
            Ok(_) => return,
            Err(_) if endless.get() => {}
            Err(_) => return,
        }
    }
}
