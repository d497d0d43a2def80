//! The local API: the table of calls in `cordon_protocol`, over HTTP on a Unix socket.

mod ear;
mod seats;
pub mod server;
pub mod socket;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Extension, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cordon_protocol::{Failure, FailureCode, FlowQuery};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, broadcast};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use crate::engine::{Caller, Gateway};
use crate::events::Line;
use crate::observed::Observed;
use crate::refusal::Refusal;
use crate::{explain, flows, views};

use seats::Seats;
use server::Endless;

/// A policy of 100,000 devices is 10 MiB; twice the longest file, in JSON.
const LONGEST_POLICY: usize = 96 << 20;
/// Anything else.
const LONGEST: usize = 64 << 10;
/// How long a caller may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(20);
/// Listeners to events at a time: of one caller, and in all.
const LISTENERS: (usize, usize) = (8, 32);
/// Callers at a time that read what takes the engine a while: however many ask, an order waits for one of them.
const READERS: usize = 1;
/// Policies held in memory at a time: of one caller, and in all.
const APPLYING: (usize, usize) = (1, 2);

/// What every call can use.
#[derive(Clone)]
pub struct App {
    gateway: Arc<Gateway>,
    observed: Arc<Observed>,
    tell: broadcast::Sender<Line>,
    listeners: Seats,
    readers: Arc<Semaphore>,
    applying: Seats,
}

impl App {
    /// The API of a gateway; events come by `tell`.
    pub fn new(
        gateway: Arc<Gateway>,
        observed: Arc<Observed>,
        tell: broadcast::Sender<Line>,
    ) -> App {
        App {
            gateway,
            observed,
            tell,
            listeners: Seats::new(LISTENERS.0, LISTENERS.1),
            readers: Arc::new(Semaphore::new(READERS)),
            applying: Seats::new(APPLYING.0, APPLYING.1),
        }
    }

    /// The calls.
    pub fn router(self) -> Router {
        Router::new()
            .route("/v1/status", get(status))
            .route("/v1/devices", get(devices))
            .route("/v1/rules", get(rules))
            .route("/v1/flows", get(flows))
            .route("/v1/observed", get(observed))
            .route("/v1/events", get(events))
            .route("/v1/orders", get(orders).post(order))
            .route("/v1/explain", post(explain_packet))
            .route("/v1/policy", post(apply))
            .route("/v1/policy/confirm", post(confirm))
            .fallback(no_such_call)
            .method_not_allowed_fallback(no_such_call)
            .with_state(self)
    }

    /// Runs something that reads a lot, one at a time.
    async fn read<T: Send + 'static>(
        self,
        work: impl FnOnce(&Gateway, &Observed) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Answer<T>, Refused> {
        let _permit = self.readers.acquire().await;
        let (gateway, observed) = (Arc::clone(&self.gateway), Arc::clone(&self.observed));
        blocking(move || work(&gateway, &observed)).await
    }
}

/// Runs what may wait for the engine or a disk, off the threads that serve everyone.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<Answer<T>, Refused> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(Answer(value)),
        Ok(Err(refusal)) => Err(Refused(refusal.into_failure())),
        Err(error) => {
            let refusal = Refusal::Internal(format!("the call ended unexpectedly: {error}"));
            Err(Refused(refusal.into_failure()))
        }
    }
}

async fn status(State(app): State<App>) -> Result<Answer<cordon_protocol::Status>, Refused> {
    app.read(views::status).await
}

async fn devices(State(app): State<App>) -> Result<Answer<Vec<cordon_protocol::Device>>, Refused> {
    app.read(views::devices).await
}

async fn rules(State(app): State<App>) -> Result<Answer<Vec<cordon_protocol::Rule>>, Refused> {
    app.read(|gateway, _| views::rules(gateway)).await
}

async fn flows(
    State(app): State<App>,
    query: Result<Query<FlowQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Answer<cordon_protocol::Flows>, Refused> {
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => {
            let hint = "`/v1/flows?limit=100` is the 100 busiest; they can be asked for by `device`, `segment`, \
                        `rule` and `state`, which is `half-open` or `established`";
            return Err(bad(rejection.to_string(), hint));
        }
    };
    app.read(move |gateway, observed| flows::flows(gateway, observed, &query))
        .await
}

async fn observed(State(app): State<App>) -> Result<Answer<cordon_protocol::Observed>, Refused> {
    app.read(|gateway, observed| Ok(observed.view(gateway)))
        .await
}

async fn orders(State(app): State<App>) -> Result<Answer<Vec<cordon_protocol::Order>>, Refused> {
    app.read(|gateway, _| gateway.engine().orders()).await
}

async fn order(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Answer<cordon_protocol::Order>, Refused> {
    let received = Instant::now();
    let order = body(request, LONGEST).await?;
    blocking(move || app.gateway.engine().give(order, caller, received)).await
}

async fn explain_packet(
    State(app): State<App>,
    request: Request,
) -> Result<Answer<Vec<cordon_protocol::Explanation>>, Refused> {
    let question = body(request, LONGEST).await?;
    app.read(move |gateway, observed| explain::explain(gateway, observed, &question))
        .await
}

async fn apply(
    State(app): State<App>,
    Extension(Caller(uid)): Extension<Caller>,
    request: Request,
) -> Result<Answer<cordon_protocol::Applied>, Refused> {
    let Some(_seat) = app.applying.take(uid) else {
        return Err(busy("other policies are being applied just now"));
    };
    let policy = body(request, LONGEST_POLICY).await?;
    tracing::info!(uid, "a policy is to be applied");
    let gateway = Arc::clone(&app.gateway);
    blocking(move || gateway.apply(&policy)).await
}

async fn confirm(
    State(app): State<App>,
    Extension(Caller(uid)): Extension<Caller>,
) -> Result<Answer<cordon_protocol::Applied>, Refused> {
    blocking(move || {
        let confirmed = app.gateway.engine().confirm()?;
        tracing::info!(uid, "the policy on trial is to stay");
        Ok(confirmed)
    })
    .await
}

async fn events(
    State(app): State<App>,
    Extension(Caller(uid)): Extension<Caller>,
    Extension(endless): Extension<Endless>,
) -> Result<Response, Refused> {
    let Some(seat) = app.listeners.take(uid) else {
        return Err(busy(
            "as many callers as there may be listen to events already",
        ));
    };
    endless.set();
    // What enforcement would say is to be told from the first event on.
    let (gateway, observed) = (Arc::clone(&app.gateway), Arc::clone(&app.observed));
    blocking(move || {
        let named = gateway.engine().current();
        Ok(named.and_then(|named| observed.twin(&named)).map(drop))
    })
    .await?;
    let lines = BroadcastStream::new(app.tell.subscribe());
    let lines = lines.filter_map(move |line| {
        let _for_as_long_as_it_listens = &seat;
        match line {
            Ok(line) => Some(Ok::<_, std::convert::Infallible>(line)),
            Err(BroadcastStreamRecvError::Lagged(missed)) => {
                app.gateway.missed(missed);
                None
            }
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

async fn no_such_call(request: Request) -> Refused {
    let message = format!("there is no {} {}", request.method(), request.uri().path());
    Refused(Failure {
        code: FailureCode::NotFound,
        message,
        hint: Some("is the command line of the same version as the daemon?".to_owned()),
        problems: Vec::new(),
    })
}

/// Reads a body, within bounds of size and time.
async fn body<T: DeserializeOwned>(request: Request, longest: usize) -> Result<T, Refused> {
    let read = tokio::time::timeout(PATIENCE, to_bytes(request.into_body(), longest)).await;
    let bytes: Bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            let message =
                format!("the request was not read (it may be {longest} bytes long): {error}");
            return Err(bad(message, "send less"));
        }
        Err(_) => {
            let message = format!("the request took more than {} seconds", PATIENCE.as_secs());
            return Err(bad(message, "send it at once"));
        }
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        let hint =
            "the shapes are those of cordon-protocol; is the command line of the same version?";
        bad(format!("the request is not understood: {error}"), hint)
    })
}

fn bad(message: String, hint: &'static str) -> Refused {
    Refused(Refusal::BadRequest { message, hint }.into_failure())
}

fn busy(message: &str) -> Refused {
    let refusal = Refusal::Conflict {
        message: message.to_owned(),
        hint: "try again in a moment".to_owned(),
    };
    Refused(refusal.into_failure())
}

/// An answer, as JSON.
struct Answer<T>(T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A failure, with the status that goes with its kind: the one place where that is decided.
struct Refused(Failure);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused(failure) = self;
        let status = match failure.code {
            FailureCode::BadRequest => StatusCode::BAD_REQUEST,
            FailureCode::PolicyRejected => StatusCode::UNPROCESSABLE_ENTITY,
            FailureCode::NotFound => StatusCode::NOT_FOUND,
            FailureCode::Conflict => StatusCode::CONFLICT,
            FailureCode::NotDurable => StatusCode::INSUFFICIENT_STORAGE,
            FailureCode::Dataplane | FailureCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(code = ?failure.code, "{}", failure.message);
        }
        (status, axum::Json(failure)).into_response()
    }
}
