//! The HTTP API of a node, on its client port.
//!
//! | request | answer |
//! |---|---|
//! | `POST /sessions`, `{"ttl_ms"}` | 201 and a session, which lives for so long after its last sign of life |
//! | `GET /sessions/{session}` | 200 and what it claims |
//! | `POST /sessions/{session}/renew`, `{"wait_ms"}` | 200 and the same, after so long, or as soon as something becomes of a claim |
//! | `DELETE /sessions/{session}` | 200: it is over, and all that it claimed |
//! | `POST /locks/{name}/acquire`, `{"session" or "ttl_ms", "wait_ms", "poll_ms"}` | 200 and the token; 409: not granted in time, and given up; 202: the claim waits on |
//! | `POST /locks/{name}/release`, `{"session"}` | 200: the session does not have the lock any more, and waits for it no more |
//! | `GET /locks?after=&limit=`, `GET /locks/{name}` | 200, what this node knows of locks |
//! | `POST /register`, `POST /deregister` | 200: this node is a member, or none; 202: it is noted on disk, and will be so |
//! | `POST /nodes`, `{"id", "peer_address", "client_address", "register"}` | at the orchestrator, 200: the node belongs to the cluster |
//! | `GET /` | a page for people that shows the cluster live |
//! | `GET /cluster` | 200, what all nodes say of themselves, as JSON |
//! | `GET`, `PUT /log-level` | 200, what this process logs; the body of `PUT` changes it until it ends |
//! | `GET /status`, `GET /debug/vars` | 200, how this node fares, as JSON |
//! | `GET /healthz`, `GET /readyz` | 200, or 503 and why not |
//!
//! A request that waits and whose client is gone gives its claim up. A lock that was granted while its
//! client was on the way out is released with its session, when that has run out.
//!
//! 400, 404, 405, 409 and 413 say what is wrong with the request, or that it was not granted; 410 that
//! the session is over; 421 that another node is to be asked; 503 that nothing was changed and when to
//! try again; 504 that the outcome is not known, and where to look.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};

use super::http_error::Failure;
use super::service::Service;
use super::{lock_pages, membership_api, session_api, status_page};
use crate::service::debug_vars::PATH as DEBUG_VARS_PATH;
use crate::service::headers;
use crate::service::log_level_api;
use crate::service::status_page::{self as people, CLUSTER_PATH};
use crate::service::tokens::{Role, Tokens, protect};

pub(crate) type Shared = State<Arc<Service>>;

const ENDPOINTS: &str = "there are POST /sessions, GET, DELETE /sessions/{session}, POST \
                         /sessions/{session}/renew, POST /locks/{name}/acquire, POST \
                         /locks/{name}/release, GET /locks, GET /locks/{name}, GET /status, GET \
                         /debug/vars, GET /healthz, GET /readyz";
/// No request says more.
const BODY_BYTES: usize = 64 << 10;

/// The client API.
pub(crate) fn api(service: Arc<Service>, tokens: &Tokens) -> Router {
    let router = Router::new()
        .route("/sessions", post(session_api::open))
        .route(
            "/sessions/{session}",
            get(session_api::show).delete(session_api::end),
        )
        .route("/sessions/{session}/renew", post(session_api::renew))
        .route("/locks", get(lock_pages::list))
        .route("/locks/{name}", get(lock_pages::show))
        .route("/locks/{name}/acquire", post(session_api::acquire))
        .route("/locks/{name}/release", post(session_api::release))
        .route("/register", post(membership_api::register))
        .route("/deregister", post(membership_api::deregister))
        .route("/nodes", post(membership_api::add))
        .route("/init", post(membership_api::init))
        .route("/status", get(status_page::status))
        .route(DEBUG_VARS_PATH, get(status_page::variables))
        .route("/healthz", get(status_page::healthz))
        .route("/readyz", get(status_page::readyz))
        .route(CLUSTER_PATH, get(status_page::cluster))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .merge(people::routes_at("/"))
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
    let changes_cluster = [
        "/init",
        "/register",
        "/deregister",
        "/nodes",
        log_level_api::PATH,
    ];
    match *method {
        // What supervises processes has no token.
        _ if ["/healthz", "/readyz"].contains(&path) || people::is_open(path) => None,
        Method::GET | Method::HEAD => Some(Role::Read),
        _ if changes_cluster.contains(&path) => Some(Role::Admin),
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

/// Names the node in every answer, whatever it is, and the orchestrator, which is never unknown.
async fn sign(State(service): Shared, request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let fields = answer.headers_mut();
    fields.insert(headers::NODE, service.id.0.into());
    fields.insert(headers::LEADER, HeaderValue::from(service.orchestrator.0));
    answer
}

async fn unknown_path(uri: Uri) -> Failure {
    let text = format!(
        "nothing is at {}; {ENDPOINTS}; nothing was changed",
        uri.path()
    );
    Failure::Bad(StatusCode::NOT_FOUND, text)
}

async fn wrong_method(method: Method) -> Failure {
    let text = format!("this path has no {method}; {ENDPOINTS}; nothing was changed");
    Failure::Bad(StatusCode::METHOD_NOT_ALLOWED, text)
}
