//! Serving connections: one request each, limited in number and in time, so that slow or hostile callers do not delay
//! others.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::admission::{Admission, Admissions, Lane};
use super::disconnect::SharedStream;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::{Extension, Router};
use cordon_protocol::{Failure, FailureCode};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

/// The limits of each caller. Callers are distinguished by user ID on the Unix socket, so that one cannot exhaust the
/// limits of another.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Concurrent calls of one caller; four times as many may wait, or their answers be sent. Orders have as many again.
    pub calls: usize,
    /// How long a caller may take to send the head of its request.
    pub head: Duration,
    /// How long a call may take in all. Compiling and installing a large policy takes much less.
    pub call: Duration,
    /// The name of the service in the log.
    pub what: &'static str,
}

impl Limits {
    /// Limits with this many concurrent calls.
    pub const fn new(calls: usize) -> Limits {
        Limits {
            calls,
            head: Duration::from_secs(10),
            call: Duration::from_secs(120),
            what: "api",
        }
    }
}

/// Marks a call whose answer is a stream without an end.
#[derive(Clone, Default)]
pub struct Streaming(Arc<AtomicBool>);

impl Streaming {
    /// Marks the call of this connection.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// An accepted connection.
pub struct Connection<S> {
    /// The caller: its user ID.
    pub caller: u32,
    /// The connection.
    pub stream: S,
    /// The routes that answer it.
    pub router: Router,
}

/// Limits how often closed connections of a caller are logged.
#[derive(Default)]
struct RefusalLog {
    logged: HashMap<u32, (Instant, u64)>,
}

impl RefusalLog {
    /// The interval between two log lines about a caller.
    const LOG_INTERVAL: Duration = Duration::from_secs(10);

    /// Counts a closed connection. Returns how many there were since the last log line about the caller, if one is
    /// due.
    fn count(&mut self, caller: u32, now: Instant) -> Option<u64> {
        // Removes callers without refusals since.
        self.logged
            .retain(|uid, (at, _)| *uid == caller || now < *at + Self::LOG_INTERVAL);
        match self.logged.get_mut(&caller) {
            Some((at, more)) if now < *at + Self::LOG_INTERVAL => {
                *more += 1;
                None
            }
            before => {
                let more = before.map_or(0, |(_, more)| *more);
                self.logged.insert(caller, (now, 0));
                Some(more + 1)
            }
        }
    }
}

/// The answer to a caller with too many calls in progress.
pub fn too_many_calls() -> Failure {
    Failure {
        code: FailureCode::Conflict,
        message: "you have too many calls to the gateway in progress: this one was refused".to_owned(),
        hint: Some(
            "is a script of yours stuck? `ss -xp | grep cordon` lists the processes that hold connections".to_owned(),
        ),
        problems: Vec::new(),
    }
}

/// The answer on a connection that is closed to make room.
fn evicted_answer() -> String {
    let body = serde_json::to_string(&too_many_calls()).unwrap_or_default();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Accepts connections forever.
pub async fn serve<S, F>(limits: Limits, mut accept: impl FnMut() -> F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<Connection<S>>>,
{
    let admissions = Admissions::new(limits.calls);
    let mut refusals = RefusalLog::default();
    loop {
        let connection = match accept().await {
            Ok(connection) => connection,
            Err(error) => {
                // A temporary condition, such as no free file descriptors.
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (admission, evicted) = admissions.add(connection.caller);
        if let Some(caller) = evicted
            && let Some(times) = refusals.count(caller, Instant::now())
        {
            tracing::warn!(
                what = limits.what,
                caller,
                times,
                "connections of a caller without a whole request were closed: too many at a time"
            );
        }
        tokio::spawn(serve_connection(connection, admission, limits));
    }
}

async fn serve_connection<S>(connection: Connection<S>, admission: Admission, limits: Limits)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Connection { stream, router, .. } = connection;
    let streaming = Streaming::default();
    let router = router
        .layer(Extension(streaming.clone()))
        .layer(Extension(admission.clone()));
    let answers = TowerToHyperService::new(router);
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        // What reads the body of another request says when it is complete.
        let has_no_body = request.method() == hyper::Method::GET;
        let answer = answers.call(request);
        let admission = &admission;
        async move {
            if has_no_body && admission.complete(Lane::Ordinary).await.is_err() {
                let refused = (
                    StatusCode::SERVICE_UNAVAILABLE,
                    axum::Json(too_many_calls()),
                );
                return Ok(refused.into_response());
            }
            let answer = answer.await;
            admission.answered();
            answer
        }
    });
    let stream = SharedStream::new(stream);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream.clone()), service);
    let connection = async {
        tokio::select! {
            // First: it runs the call, which may turn it into a stream.
            biased;
            // A caller may disconnect.
            _ = connection => {}
            () = stream.clone().closed_by_peer(|| streaming.get()) => {}
            () = admission.evicted() => {
                // It fits into the socket buffer of a connection without an answer, so this does not wait.
                let answer = evicted_answer();
                let mut evicted = stream.clone();
                let sent = evicted.write_all(answer.as_bytes());
                let _ = tokio::time::timeout(Duration::from_millis(10), sent).await;
            }
        }
    };
    let mut connection = std::pin::pin!(connection);
    loop {
        match tokio::time::timeout(limits.call, connection.as_mut()).await {
            Ok(()) => return,
            Err(_) if streaming.get() => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_logged_at_intervals_and_all_are_counted() {
        let mut refusals = RefusalLog::default();
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(refusals.count(7, at(0)), Some(1));
        for later in 1..5000 {
            assert_eq!(refusals.count(7, at(later)), None);
        }
        assert_eq!(
            refusals.count(8, at(5000)),
            Some(1),
            "another caller has its own interval"
        );
        assert_eq!(refusals.count(7, at(10_000)), Some(5000));
        assert_eq!(refusals.count(8, at(60_000)), Some(1));
        assert_eq!(
            refusals.logged.len(),
            1,
            "callers without refusals are removed"
        );
    }
}
