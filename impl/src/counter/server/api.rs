//! The HTTP API of a node, on its client port.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | 200 and the value, as this node knows it, as text |
//! | `GET`, `POST /inc?amount=` | 200 and the value with it, once it is on this node's disk; 1 where no amount is given |
//! | `GET /window?secs=` | 200, what was counted in the latest so many seconds, as JSON; in the whole window where none are given |
//! | `GET /verbose` | 200, what each replica has counted, and what each member is still to be told, as JSON |
//! | `GET /cluster` | 200, what all members say of themselves, and which members there are, nearest first, as JSON |
//! | `POST /leave` | 200 once every member knows what is on this node's disk: it ends then, and the disk is not needed any more; 503 while they do not |
//! | `GET /status-page/` | a page for people that shows the cluster live |
//! | `GET`, `PUT /log-level` | 200, what this process logs; the body of `PUT` changes it until it ends |
//! | `GET /status` | 200, how this node and its disk fare, as JSON |
//! | `GET /debug/vars` | 200, the variables of the process and of its replica, as Go's expvar shows them |
//! | `GET /healthz`, `GET /readyz` | 200, or 503 and why not |
//!
//! With the headers `Lockstep-Client` and `Lockstep-Sequence` a retry at this node counts once, and
//! `Lockstep-Repeated` says whether it was one.
//!
//! 400, 404, 405 and 409 say what is wrong with the request; nothing was counted then. 503 says that
//! nothing was counted and when to try again; 504 that the outcome is not known.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::http_error::{Failure, bad};
use super::service::Service;
use super::window_query::{self, WindowPage};
use super::{amount, status_page};
use crate::counter::headers;
use crate::service::debug_vars::PATH as DEBUG_VARS_PATH;
use crate::service::log_level_api;
use crate::service::session_fields::session_in;
use crate::service::status_page::{self as people, CLUSTER_PATH};
use crate::service::tokens::{Role, Tokens, protect};

pub(crate) type Shared = State<Arc<Service>>;

/// The value is at `/`, so the page for people is elsewhere.
const PAGE_PATH: &str = "/status-page/";
const ENDPOINTS: &str = "there are GET /, GET and POST /inc?amount=, GET /window?secs=, GET /verbose, \
                         GET /cluster, POST /leave, GET /status, GET /status-page/, GET /healthz, \
                         GET /readyz";

/// The client API.
pub(crate) fn api(service: Arc<Service>, tokens: &Tokens) -> Router {
    let router = Router::new()
        .route("/", get(value))
        .route("/inc", get(increment).post(increment))
        .route("/window", get(window))
        .route("/verbose", get(status_page::verbose))
        .route("/leave", post(leave))
        .route("/status", get(status_page::status))
        .route(DEBUG_VARS_PATH, get(status_page::variables))
        .route("/healthz", get(status_page::healthz))
        .route("/readyz", get(status_page::readyz))
        .route(CLUSTER_PATH, get(status_page::cluster))
        .merge(people::routes_at(PAGE_PATH))
        .merge(log_level_api::routes())
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method);
    protect(router, tokens, needed_role)
        .layer(middleware::from_fn_with_state(service.clone(), sign))
        .with_state(service)
}

/// What a request takes, where clients must show tokens.
fn needed_role(method: &Method, uri: &Uri) -> Option<Role> {
    let path = uri.path();
    match *method {
        // What supervises processes has no token, and the page holds nothing of the cluster.
        _ if ["/healthz", "/readyz"].contains(&path) || path.starts_with(PAGE_PATH) => None,
        // Whatever the method, it counts.
        _ if path == "/inc" => Some(Role::Write),
        Method::GET | Method::HEAD => Some(Role::Read),
        _ if ["/leave", log_level_api::PATH].contains(&path) => Some(Role::Admin),
        _ => Some(Role::Write),
    }
}

/// The metrics, and the variables once more, on a port of their own.
pub(crate) fn metrics(service: Arc<Service>) -> Router {
    Router::new()
        .route("/metrics", get(status_page::metrics))
        .route(DEBUG_VARS_PATH, get(status_page::variables))
        .with_state(service)
}

/// Names the node in every answer. Nobody leads.
async fn sign(State(service): Shared, request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let fields = answer.headers_mut();
    fields.insert(headers::NODE, service.id.0.into());
    answer
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AmountQuery {
    amount: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowQuery {
    secs: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoQuery {}

async fn value(
    State(service): Shared,
    query: Result<Query<NoQuery>, QueryRejection>,
) -> Result<String, Failure> {
    query?;
    Ok(format!("{}\n", service.value().await?))
}

async fn increment(
    State(service): Shared,
    query: Result<Query<AmountQuery>, QueryRejection>,
    fields: HeaderMap,
) -> Result<Response, Failure> {
    let Query(AmountQuery { amount }) = query?;
    let amount = amount::parse(amount.as_deref()).map_err(bad)?;
    let request = session_in(&fields);
    let request = request.map_err(|text| Failure::Bad(StatusCode::BAD_REQUEST, text))?;
    let counted = service.increment(amount, request).await?;
    let repeated = HeaderValue::from_static(if counted.repeated { "true" } else { "false" });
    let fields = [(headers::REPEATED, repeated)];
    Ok((fields, format!("{}\n", counted.value)).into_response())
}

async fn window(
    State(service): Shared,
    query: Result<Query<WindowQuery>, QueryRejection>,
) -> Result<Json<WindowPage>, Failure> {
    let Query(WindowQuery { secs }) = query?;
    let latest = window_query::buckets(secs.as_deref(), service.window).map_err(bad)?;
    Ok(Json(service.window(latest).await?))
}

async fn leave(State(service): Shared) -> Result<&'static str, Failure> {
    service.leave().await?;
    Ok(
        "every member knows what this node knew: it ends, and its data directory is not needed any more\n",
    )
}

async fn unknown_path(uri: Uri) -> Failure {
    let text = format!(
        "nothing is at {}; {ENDPOINTS}; nothing was counted",
        uri.path()
    );
    Failure::Bad(StatusCode::NOT_FOUND, text)
}

async fn wrong_method(method: Method) -> Failure {
    let text = format!("this path has no {method}; {ENDPOINTS}; nothing was counted");
    Failure::Bad(StatusCode::METHOD_NOT_ALLOWED, text)
}
