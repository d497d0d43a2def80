//! The local API: the calls of `cordon_protocol`, over HTTP on a Unix socket.

mod admission;
mod concurrency;
mod disconnect;
pub mod roles;
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
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cordon_protocol::{Failure, FailureCode, FlowQuery, NewOrder, OrderKind};
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

use admission::{Admission, Lane};
use concurrency::ConcurrencyLimit;
use roles::{Access, Role};
use server::Streaming;

/// The largest policy, in JSON. One of 100,000 devices takes 10 MiB; this is twice the largest file.
const MAX_POLICY_BYTES: usize = 96 << 20;
/// The largest body of any other call.
const MAX_BODY_BYTES: usize = 64 << 10;
/// How long a caller may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// Subscribers to events at a time: of one caller, and of all.
const MAX_LISTENERS: (usize, usize) = (8, 32);
/// Calls at a time that read much of the engine, so that an order waits for one of them at most.
const MAX_READERS: usize = 1;
/// Policies in memory at a time: of one caller, and of all.
const MAX_APPLYING: (usize, usize) = (1, 2);

/// The state that every call uses.
#[derive(Clone)]
pub struct App {
    gateway: Arc<Gateway>,
    observed: Arc<Observed>,
    events: broadcast::Sender<Line>,
    listeners: ConcurrencyLimit,
    readers: Arc<Semaphore>,
    applying: ConcurrencyLimit,
}

impl App {
    /// The API of a gateway. Subscribers get the events that are sent on `events`.
    pub fn new(
        gateway: Arc<Gateway>,
        observed: Arc<Observed>,
        events: broadcast::Sender<Line>,
    ) -> App {
        App {
            gateway,
            observed,
            events,
            listeners: ConcurrencyLimit::new(MAX_LISTENERS.0, MAX_LISTENERS.1),
            readers: Arc::new(Semaphore::new(MAX_READERS)),
            applying: ConcurrencyLimit::new(MAX_APPLYING.0, MAX_APPLYING.1),
        }
    }

    /// The routes.
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
            .layer(middleware::from_fn(check_role))
            .with_state(self)
    }

    /// Runs a call that reads much, one at a time.
    async fn read<T: Send + 'static>(
        self,
        work: impl FnOnce(&Gateway, &Observed) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<JsonResponse<T>, ErrorResponse> {
        let _permit = self.readers.acquire().await;
        let (gateway, observed) = (Arc::clone(&self.gateway), Arc::clone(&self.observed));
        blocking(move || work(&gateway, &observed)).await
    }
}

/// Runs a call that may wait for the engine or a disk, on a blocking thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<JsonResponse<T>, ErrorResponse> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(JsonResponse(value)),
        Ok(Err(refusal)) => Err(refusal.into()),
        Err(error) => {
            let refusal = Refusal::Internal(format!("the call ended unexpectedly: {error}"));
            Err(refusal.into())
        }
    }
}

/// Refuses a call that the caller's role does not include, before its body is read.
async fn check_role(
    Extension(access): Extension<Access>,
    request: Request,
    next: Next,
) -> Result<Response, ErrorResponse> {
    access.require(Role::of(&request))?;
    Ok(next.run(request).await)
}

async fn status(
    State(app): State<App>,
) -> Result<JsonResponse<cordon_protocol::Status>, ErrorResponse> {
    app.read(views::status).await
}

async fn devices(
    State(app): State<App>,
) -> Result<JsonResponse<Vec<cordon_protocol::Device>>, ErrorResponse> {
    app.read(views::devices).await
}

async fn rules(
    State(app): State<App>,
) -> Result<JsonResponse<Vec<cordon_protocol::Rule>>, ErrorResponse> {
    app.read(|gateway, _| views::rules(gateway)).await
}

async fn flows(
    State(app): State<App>,
    query: Result<Query<FlowQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<JsonResponse<cordon_protocol::Flows>, ErrorResponse> {
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => {
            let hint = "`/v1/flows?limit=100` returns the 100 flows with the most bytes; filter by `device`, `segment`, \
                        `rule` and `state`, which is `half-open` or `established`";
            return Err(bad(rejection.to_string(), hint));
        }
    };
    app.read(move |gateway, observed| flows::flows(gateway, observed, &query))
        .await
}

async fn observed(
    State(app): State<App>,
) -> Result<JsonResponse<cordon_protocol::Observed>, ErrorResponse> {
    app.read(|gateway, observed| Ok(observed.view(gateway)))
        .await
}

async fn orders(
    State(app): State<App>,
) -> Result<JsonResponse<Vec<cordon_protocol::Order>>, ErrorResponse> {
    app.read(|gateway, _| gateway.engine().orders()).await
}

async fn order(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(access): Extension<Access>,
    request: Request,
) -> Result<JsonResponse<cordon_protocol::Order>, ErrorResponse> {
    let received = Instant::now();
    let order: NewOrder = body(request, MAX_BODY_BYTES, Lane::Order).await?;
    access.require(match order.kind {
        OrderKind::Quarantine => Role::Contain,
        OrderKind::Release => Role::All,
    })?;
    blocking(move || app.gateway.give(order, caller, received)).await
}

async fn explain_packet(
    State(app): State<App>,
    request: Request,
) -> Result<JsonResponse<Vec<cordon_protocol::Explanation>>, ErrorResponse> {
    let question = body(request, MAX_BODY_BYTES, Lane::Ordinary).await?;
    app.read(move |gateway, observed| explain::explain(gateway, observed, &question))
        .await
}

async fn apply(
    State(app): State<App>,
    Extension(Caller(uid)): Extension<Caller>,
    request: Request,
) -> Result<JsonResponse<cordon_protocol::Applied>, ErrorResponse> {
    let Some(_permit) = app.applying.acquire(uid) else {
        return Err(busy("other policies are being applied"));
    };
    let policy = body(request, MAX_POLICY_BYTES, Lane::Ordinary).await?;
    tracing::info!(uid, "applying a policy");
    let gateway = Arc::clone(&app.gateway);
    blocking(move || gateway.apply(&policy)).await
}

async fn confirm(
    State(app): State<App>,
    Extension(Caller(uid)): Extension<Caller>,
    Extension(admission): Extension<Admission>,
) -> Result<JsonResponse<cordon_protocol::Applied>, ErrorResponse> {
    complete(&admission, Lane::Ordinary).await?;
    blocking(move || {
        let confirmed = app.gateway.engine().confirm()?;
        tracing::info!(uid, "policy confirmed");
        Ok(confirmed)
    })
    .await
}

async fn events(
    State(app): State<App>,
    Extension(Caller(uid)): Extension<Caller>,
    Extension(streaming): Extension<Streaming>,
) -> Result<Response, ErrorResponse> {
    let Some(permit) = app.listeners.acquire(uid) else {
        return Err(busy("the maximum number of event subscribers is reached"));
    };
    streaming.set();
    // Compiles the shadow policy first, so that every event has its verdict.
    let (gateway, observed) = (Arc::clone(&app.gateway), Arc::clone(&app.observed));
    blocking(move || {
        let active = gateway.engine().current();
        Ok(active
            .and_then(|active| observed.shadow_policy(&active))
            .map(drop))
    })
    .await?;
    let lines = BroadcastStream::new(app.events.subscribe());
    let lines = lines.filter_map(move |line| {
        let _held_while_streaming = &permit;
        match line {
            Ok(line) => Some(Ok::<_, std::convert::Infallible>(line)),
            Err(BroadcastStreamRecvError::Lagged(missed)) => {
                app.gateway.add_missed_events(missed);
                None
            }
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

async fn no_such_call(request: Request) -> ErrorResponse {
    let message = format!(
        "there is no call {} {}",
        request.method(),
        request.uri().path()
    );
    ErrorResponse::from(Failure {
        code: FailureCode::NotFound,
        message,
        hint: Some("do command line and daemon have the same version?".to_owned()),
        problems: Vec::new(),
    })
}

/// The request is complete: waits for the permit to run it.
async fn complete(admission: &Admission, lane: Lane) -> Result<(), ErrorResponse> {
    let run = admission.complete(lane).await;
    run.map_err(|_| ErrorResponse::too_many_calls())
}

/// Reads a body, limited in size and time, and waits for the permit to run the call.
async fn body<T: DeserializeOwned>(
    request: Request,
    max_bytes: usize,
    lane: Lane,
) -> Result<T, ErrorResponse> {
    let admission = request.extensions().get::<Admission>().cloned();
    let read = tokio::time::timeout(BODY_TIMEOUT, to_bytes(request.into_body(), max_bytes)).await;
    let bytes: Bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            let message =
                format!("the request body cannot be read (limit {max_bytes} bytes): {error}");
            return Err(bad(message, "send a smaller body"));
        }
        Err(_) => {
            let message = format!(
                "the request took more than {} seconds",
                BODY_TIMEOUT.as_secs()
            );
            return Err(bad(message, "send the body without delay"));
        }
    };
    if let Some(admission) = admission {
        complete(&admission, lane).await?;
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let hint =
            "the request must have the type that cordon-protocol defines; do command line and daemon have the same version?";
        bad(format!("the request is malformed: {error}"), hint)
    })
}

fn bad(message: String, hint: &'static str) -> ErrorResponse {
    Refusal::BadRequest { message, hint }.into()
}

fn busy(message: &str) -> ErrorResponse {
    let refusal = Refusal::Conflict {
        message: message.to_owned(),
        hint: "try again in a moment".to_owned(),
    };
    refusal.into()
}

/// A successful answer, as JSON.
struct JsonResponse<T>(T);

impl<T: Serialize> IntoResponse for JsonResponse<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A failure, with its HTTP status.
struct ErrorResponse {
    status: StatusCode,
    failure: Failure,
}

impl ErrorResponse {
    /// The caller has too many calls in progress.
    fn too_many_calls() -> ErrorResponse {
        ErrorResponse {
            status: StatusCode::SERVICE_UNAVAILABLE,
            failure: server::too_many_calls(),
        }
    }
}

impl From<Refusal> for ErrorResponse {
    fn from(refusal: Refusal) -> ErrorResponse {
        ErrorResponse::from(refusal.into_failure())
    }
}

impl From<Failure> for ErrorResponse {
    fn from(failure: Failure) -> ErrorResponse {
        let status = match failure.code {
            FailureCode::BadRequest => StatusCode::BAD_REQUEST,
            FailureCode::PolicyRejected => StatusCode::UNPROCESSABLE_ENTITY,
            FailureCode::NotFound => StatusCode::NOT_FOUND,
            FailureCode::Forbidden => StatusCode::FORBIDDEN,
            FailureCode::Conflict => StatusCode::CONFLICT,
            FailureCode::NotDurable => StatusCode::INSUFFICIENT_STORAGE,
            FailureCode::Dataplane | FailureCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(code = ?failure.code, "{}", failure.message);
        }
        ErrorResponse { status, failure }
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        (self.status, axum::Json(self.failure)).into_response()
    }
}
