//! What a member shows over HTTP, if it is told to: to people, to what supervises processes, and to what
//! collects numbers.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | a page for people: who lives and who leads, as this member knows it, live |
//! | `GET /members` | 200, the same as JSON |
//! | `GET /healthz` | 200, or 503 and why the member takes no more part |
//! | `GET /readyz` | 200 where it knows a leader and is on its list, or 503 and why not |
//! | `GET /metrics` | 200, numbers in Prometheus' text format |
//! | `GET /debug/vars` | 200, the variables of the process and of the member, as Go's expvar shows them |
//!
//! A voter shows what its node of the key-value store counts and how its Raft fares as well.
//!
//! **It only shows.** Nothing can be changed here, so nobody is asked for a token; and it is in the clear.

mod debug_vars;
mod members;
mod metrics_page;
mod report;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::members::ListPage;
pub(crate) use self::report::Shown;
use super::error::HeartbeatError;
use super::sockets::listen_error;
use crate::service::debug_vars::PATH as DEBUG_VARS_PATH;
use crate::service::http_error::unavailable;
use crate::service::serving::{PageServer, Served};
use crate::service::status_page;

/// What an error about the address calls it.
const WHAT: &str = "metrics_address, --metrics";

type Shared = State<Arc<Shown>>;

/// Listens for who asks for the pages, before anything is sent to other members.
///
/// # Errors
/// When the address cannot be had.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, HeartbeatError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| listen_error(WHAT, address, source))
}

/// Serves the pages until what is returned is shut down or dropped.
///
/// # Errors
/// When the listener is of no use.
pub(crate) fn serve(listener: TcpListener, shown: Shown) -> Result<PageServer, HeartbeatError> {
    let metrics = shown.metrics.clone();
    let router = router(Arc::new(shown));
    let page = Served { listener, router };
    let server = PageServer::start(page, &metrics, watch::Sender::new(false));
    server.map_err(|source| listen_error(WHAT, "its address", source))
}

fn router(shown: Arc<Shown>) -> Router {
    Router::new()
        .route("/", get(|| async { Html(include_str!("members.html")) }))
        .route("/status-page/members.js", get(script))
        .merge(status_page::parts())
        .route("/members", get(list))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route(DEBUG_VARS_PATH, get(variables))
        .fallback(unknown_path)
        .with_state(shown)
}

async fn script() -> impl IntoResponse {
    status_page::script(include_str!("members.js"))
}

async fn list(State(shown): Shared) -> Json<ListPage> {
    Json(ListPage::of(&shown.report()))
}

/// Whether the process is alive: one that is not is best started anew.
async fn healthz(State(shown): Shared) -> Response {
    match shown.end() {
        None => "the member answers\n".into_response(),
        Some(why) => unavailable(why),
    }
}

/// Whether the member is in touch with a leader that has taken it.
async fn readyz(State(shown): Shared) -> Response {
    match shown.report().hindrance {
        None => "the member is on the leader's list\n".into_response(),
        Some(why) => unavailable(why),
    }
}

async fn metrics(State(shown): Shared) -> Response {
    metrics_page::answer(&shown).await
}

async fn variables(State(shown): Shared) -> Json<Map<String, Value>> {
    Json(debug_vars::variables(&shown).await)
}

async fn unknown_path(uri: Uri) -> (StatusCode, String) {
    let text = format!(
        "nothing is at {}; there are GET /, GET /members, GET /healthz, GET /readyz, GET /metrics, GET \
         {DEBUG_VARS_PATH}\n",
        uri.path()
    );
    (StatusCode::NOT_FOUND, text)
}
