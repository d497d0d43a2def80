//! The HTTP endpoint of the metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::api::server::{self, Connection, Limits};
use crate::engine::Gateway;
use crate::metrics::{self, Snapshot};
use crate::observed::Observed;

/// The limits of all scrapers together.
const LIMITS: Limits = Limits {
    what: "metrics",
    ..Limits::new(16)
};

#[derive(Clone)]
struct Scrape {
    gateway: Arc<Gateway>,
    observed: Arc<Observed>,
    order_seconds: prometheus::Histogram,
    /// One scrape at a time, so that many scrapers do not delay orders.
    turn: Arc<Mutex<()>>,
}

/// Serves the metrics forever. If the address cannot be bound, warns and retries: the API works without metrics.
pub async fn serve(
    listen: SocketAddr,
    (gateway, observed): (Arc<Gateway>, Arc<Observed>),
    order_seconds: prometheus::Histogram,
) {
    let listener = listen_at(listen, &gateway).await;
    let scrape = Scrape {
        gateway,
        observed,
        order_seconds,
        turn: Arc::default(),
    };
    let router = Router::new()
        .route("/metrics", get(metrics))
        .fallback(not_found)
        .with_state(scrape);
    server::serve(LIMITS, async || {
        let (stream, _) = listener.accept().await?;
        Ok(Connection {
            caller: 0,
            stream,
            router: router.clone(),
        })
    })
    .await;
}

async fn listen_at(listen: SocketAddr, gateway: &Arc<Gateway>) -> TcpListener {
    loop {
        let text = match TcpListener::bind(listen).await {
            Ok(listener) => {
                warn(gateway, None).await;
                return listener;
            }
            Err(error) => {
                format!(
                    "the metrics are not served: cannot listen on {listen}: {error}; see [metrics] listen"
                )
            }
        };
        warn(gateway, Some(text)).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

async fn warn(gateway: &Arc<Gateway>, text: Option<String>) {
    let gateway = Arc::clone(gateway);
    let warned = tokio::task::spawn_blocking(move || gateway.engine().warn("metrics", text)).await;
    if let Err(error) = warned {
        tracing::error!("{error}");
    }
}

async fn metrics(State(scrape): State<Scrape>) -> Response {
    let turn = scrape.turn.lock().await;
    let work = {
        let scrape = scrape.clone();
        move || -> Result<String, String> {
            let snapshot = Snapshot::read(&scrape.gateway, &scrape.observed)
                .map_err(|error| error.to_string())?;
            metrics::render(&snapshot, &scrape.order_seconds).map_err(|error| error.to_string())
        }
    };
    let text = tokio::task::spawn_blocking(work).await;
    drop(turn);
    match text.map_err(|error| error.to_string()).flatten() {
        Ok(text) => {
            let kind = [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)];
            (kind, text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "the metrics are at /metrics\n").into_response()
}
