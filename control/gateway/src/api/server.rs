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

/// How long a caller may take to send the head of its request.
const HEAD: Duration = Duration::from_secs(10);
/// How long all of a call may take: a large policy is compiled and installed well within it.
const CALL: Duration = Duration::from_secs(120);

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

/// Accepts connections for ever, `most` at a time. `accept` answers a connection and the router for it.
pub async fn serve<S, F>(most: usize, mut accept: impl FnMut() -> F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<(S, Router)>>,
{
    let permits = Arc::new(Semaphore::new(most));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        match accept().await {
            Ok((stream, router)) => {
                tokio::spawn(async move {
                    converse(stream, router).await;
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

async fn converse<S>(stream: S, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let endless = Endless::default();
    let service = TowerToHyperService::new(router.layer(Extension(endless.clone())));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    loop {
        match tokio::time::timeout(CALL, connection.as_mut()).await {
            // A caller that hangs up is its own affair.
            Ok(_) => return,
            Err(_) if endless.get() => {}
            Err(_) => return,
        }
    }
}
