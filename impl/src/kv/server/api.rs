//! The HTTP API of a node, on its client port.
//!
//! | request | answer |
//! |---|---|
//! | `PUT /kv/{key}?lease=&keep_lease=&previous=`, the body is the value | 200, revisions as JSON |
//! | `GET /kv/{key}?revision=&here=` | 200 and the value, or 404; linearizable |
//! | `DELETE /kv/{key}?previous=` | 200, revisions as JSON, or 404 |
//! | `GET /kv?prefix=&after=&limit=&revision=&sort=&descending=&count=&count_only=&keys_only=&here=` | 200, a page of keys and values as JSON; linearizable |
//! | `GET /kv?start=&end=`, `?key=`, `?prefix_base64=&after_base64=` | the same; all keys are byte strings in either form |
//! | `DELETE /kv?prefix=&previous=`, `?start=&end=` | 200, how many keys were removed |
//! | `POST /txn`, `{"compare", "success", "failure"}` | 200, which list was done, and what came of it |
//! | `POST /leases`, `{"ttl_s", "id"}` | 200, the lease |
//! | `GET /leases`, `GET`, `DELETE /leases/{id}`, `POST /leases/{id}/keepalive` | 200, or 404 where there is none |
//! | `POST /compact`, `{"revision"}` | 200: earlier revisions are forgotten |
//! | `GET /watch?key=&prefix=&start=&end=&from=&previous=` | 200 and server-sent events; 410 when the revision is compacted |
//! | `GET /status` | 200, how this node and its disk fare, as JSON |
//! | `GET /debug/vars` | 200, the variables of the process and of its Raft, as Go's expvar shows them |
//! | `GET /` | a page for people that shows the cluster live |
//! | `PUT /`, `{"key", "value"}`; `GET /?key=`; `POST /request` | as `PUT` and `GET /kv/{key}`; see [root](super::root) |
//! | `GET /cluster` | 200, what all members say of themselves, as JSON |
//! | `GET`, `PUT /log-level` | 200, what this process logs; the body of `PUT` changes it until it ends |
//! | `GET /healthz` | 200 while the node answers |
//! | `GET /readyz` | 200 while it knows a leader and its disk is not slow, else 503 and why |
//! | `GET /log?index=&limit=` | 200, a page of this node's committed log as JSON, from the first entry that is not discarded |
//! | `GET /snapshot` | 200, the whole store as a [file](crate::kv::snapshot::file) |
//!
//! `/status` and `/log` do not wait for this node's disk: what they show of it may not be on
//! its disk yet. The [members](super::members_api) have paths of their own.
//!
//! `here=true` asks this very node for the answer, leader or not, and spares the leader most of
//! the work. A key is a byte string, percent-encoded; with `key_encoding=base64` in the query it is
//! base64, which also names the keys `.` and `..` that most HTTP clients cannot send as a path.
//! 400, 404, 405, 412, 413 and 414 say what is wrong with the
//! request; 409 that a later one was applied, or that there is such a lease; 410 that its session has
//! expired, or that a revision is compacted; 503 that nothing was changed and when to try
//! again; 408 that a body came too slowly, and nothing was changed; 504 that the outcome is not known.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use models::raft::log::Index;
use models::raft::session::RequestId;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::http_error::{Failure, bad};
use super::key_api::{delete_key, delete_range, empty_key, get_key, put_key, range};
use super::numbers::Numbers;
use super::txn_api::{self, MAX_BODY_BYTES};
use super::{lease_api, log_page, members_api, root, snapshot_api, watch};
use crate::kv::request::forward;
use crate::kv::request::router::{Limits, MAX_HOPS, Service};
use crate::kv::status::{self, Report};
use crate::kv::store::{MAX_KEY_BYTES, MAX_TXN_BYTES, MAX_VALUE_BYTES, check_command};
use crate::kv::{Kv, headers};
use crate::runtime::codec;
use crate::service::address::Addresses;
use crate::service::cluster_status::ask_with;
use crate::service::debug_vars::{self, PATH as DEBUG_VARS_PATH};
use crate::service::founding::request::{Founded, Founding};
use crate::service::http_error::unavailable;
use crate::service::log_level_api;
use crate::service::looking::look_unflushed;
use crate::service::metrics_page;
use crate::service::status_page::{self, CLUSTER_PATH, ClusterPage};
use crate::service::tokens::{Role, Tokens, protect};
use crate::service::{session_fields, signature};

pub(crate) type Shared = State<Arc<Service>>;

/// What a request takes, where clients must show tokens.
fn needed_role(method: &Method, uri: &Uri) -> Option<Role> {
    let path = uri.path();
    let changes_cluster = path.starts_with("/members")
        || path.starts_with("/leader")
        || ["/init", "/compact", log_level_api::PATH].contains(&path);
    match *method {
        // What supervises processes has no token.
        _ if ["/healthz", "/readyz"].contains(&path) => None,
        Method::GET | Method::HEAD if status_page::is_open(path) && !root::names_key(uri) => None,
        // Also the sessions of others are in it.
        _ if path == snapshot_api::PATH => Some(Role::Admin),
        Method::GET | Method::HEAD => Some(Role::Read),
        _ if changes_cluster || path == forward::PATH => Some(Role::Admin),
        _ => Some(Role::Write),
    }
}

const ENDPOINTS: &str = "there are PUT, GET, DELETE /kv/{key}, GET, DELETE /kv?prefix=, POST /txn, \
                         POST, GET /leases, GET, DELETE /leases/{id}, POST /leases/{id}/keepalive, \
                         POST /compact, GET /watch, GET /status, GET /log?index=, GET /members";
/// Another node has this long to say how it fares.
const PAGE_PATIENCE: Duration = Duration::from_secs(1);
/// Room for everything in a forwarded request beside its value.
const FORWARD_BYTES: usize = MAX_TXN_BYTES + MAX_VALUE_BYTES + MAX_KEY_BYTES + 1024;

/// The client API.
pub(crate) fn api(service: Arc<Service>, tokens: &Tokens) -> Router {
    let forward = post(take_forwarded).layer(DefaultBodyLimit::max(FORWARD_BYTES));
    let key = get(get_key).put(put_key).delete(delete_key);
    let txn = post(txn_api::transact).layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    let lease = get(lease_api::show).delete(lease_api::revoke);
    let router = Router::new()
        .route("/kv", get(range).delete(delete_range))
        .route("/kv/", get(empty_key).put(empty_key).delete(empty_key))
        .route(
            "/kv/{*key}",
            key.layer(DefaultBodyLimit::max(MAX_VALUE_BYTES)),
        )
        .route("/txn", txn)
        .route("/compact", post(txn_api::compact))
        .route("/leases", get(lease_api::list).post(lease_api::grant))
        .route("/leases/{lease}", lease)
        .route("/leases/{lease}/keepalive", post(lease_api::keep_alive))
        .route("/watch", get(watch::watch))
        .route("/status", get(status))
        .route(DEBUG_VARS_PATH, get(show_variables))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route(CLUSTER_PATH, get(cluster))
        .merge(status_page::assets())
        .merge(root::routes())
        .merge(log_level_api::routes())
        .route("/log", get(log))
        .route(snapshot_api::PATH, get(snapshot_api::snapshot))
        .route(forward::PATH, forward)
        .route("/init", post(init))
        .merge(members_api::routes())
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method);
    protect(router, tokens, needed_role)
        .layer(middleware::from_fn_with_state(service.clone(), sign))
        .with_state(service)
}

/// The metrics, and the variables once more, on a port of their own.
pub(crate) fn metrics(service: Arc<Service>) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .route(DEBUG_VARS_PATH, get(show_variables))
        .with_state(service)
}

/// Names the node and its leader in every answer, whatever it is.
async fn sign(State(service): Shared, request: Request, next: Next) -> Response {
    signature::sign(next.run(request).await, service.id, service.leader())
}

/// A session that was used for a request of another kind answers with that kind.
pub(crate) fn mismatch() -> Failure {
    bad(session_fields::OTHER_KIND)
}

async fn status(State(service): Shared) -> Result<Response, Failure> {
    Ok(Json(report(&service).await?).into_response())
}

/// The process lives, and its node answers.
async fn health(State(service): Shared) -> Result<&'static str, Failure> {
    look_unflushed(&service.inbox, |_| ()).await?;
    Ok("ok\n")
}

/// The node can serve: it knows a leader, and its disk is not slow.
async fn readiness(State(service): Shared) -> Result<Response, Failure> {
    let report = report(&service).await?;
    let hindrance = match report.leader {
        None => Some("this node knows no leader"),
        Some(_) if report.disk.slow => Some("this node's disk is slow"),
        Some(_) => None,
    };
    Ok(match hindrance {
        None => "ok\n".into_response(),
        Some(words) => unavailable(words),
    })
}

/// What all members say of themselves, for people who look at this node's page.
async fn cluster(State(service): Shared) -> Json<ClusterPage> {
    let configuration = service.membership.configuration();
    let members = service.membership.members(&configuration).into_iter();
    let addresses: Vec<String> = members.map(|member| member.client_address).collect();
    let (access, http) = service.forwarder.client().current();
    Json(ClusterPage {
        cluster: service.identity.cluster.clone(),
        asked: service.id.0,
        nodes: ask_with(&access, &http, &addresses, PAGE_PATIENCE).await,
    })
}

pub(crate) async fn report(service: &Service) -> Result<Report, Failure> {
    let identity = service.identity.clone();
    let disk = status::disk_report(
        &service.inbox.metrics().flushes,
        service.timing.slow_flush(),
    );
    let looked = look_unflushed(&service.inbox, move |node| {
        status::report(&identity, node, disk)
    });
    let report = looked.await?;
    let configuration = service.membership.configuration();
    let overridden = service.membership.overridden(&configuration);
    Ok(Report {
        addresses_from_file: overridden.into_iter().collect(),
        voters: configuration.voters.into_iter().collect(),
        learners: configuration.learners.into_iter().collect(),
        refused: service.membership.refused(),
        hears: service.membership.heard(),
        uptime_ms: u64::try_from(service.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        ..report
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    index: Option<u64>,
    limit: Option<usize>,
}

async fn log(
    State(service): Shared,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(query) = query?;
    let from = Index(query.index.unwrap_or(1));
    let limit = query.limit.unwrap_or(log_page::MAX_ENTRIES);
    let looked = look_unflushed(&service.inbox, move |node| {
        log_page::read(node, from, limit)
    });
    let page = looked.await?;
    Ok(Json(page.to_json()).into_response())
}

async fn show_metrics(State(service): Shared) -> Response {
    let mut registry = metrics_page::registry(service.inbox.metrics());
    Numbers(service).add_metrics(&mut registry).await;
    metrics_page::answer(&registry)
}

async fn show_variables(State(service): Shared) -> Json<Map<String, Value>> {
    let mut variables = debug_vars::variables(service.inbox.metrics());
    Numbers(service).add_variables(&mut variables).await;
    Json(variables)
}

/// A request that another node has forwarded, and its answer, both in the runtime's encoding.
async fn take_forwarded(
    State(service): Shared,
    fields: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let hops = number_in(&fields, headers::HOPS)?.unwrap_or(u64::from(MAX_HOPS));
    let timeout = number_in(&fields, headers::TIMEOUT)?.unwrap_or(0);
    let command: models::raft::Command<Kv> = codec::decode(&body)
        .map_err(|error| bad(format!("a forwarded request is not understood: {error}")))?;
    if let models::raft::Command::Propose { command, .. } = &command {
        check_command(command)?;
    }
    let limit = service.timing.request_timeout();
    let limits = Limits {
        hops: u8::try_from(hops).unwrap_or(u8::MAX),
        deadline: Instant::now() + Duration::from_millis(timeout).min(limit),
    };
    let answer = service.carry_out(command, limits).await;
    let body = codec::encode(&answer)
        .map_err(|error| Failure::Bad(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(body.into_response())
}

/// A cluster is founded once. Whoever asks for this very one again is told that it is there: the
/// answer to an earlier try may have been lost.
async fn init(State(service): Shared, body: Bytes) -> Result<Json<Founded>, Failure> {
    let identity = &service.identity;
    let initial = service.membership.initial();
    let (id, cluster, cluster_id) = (identity.node.0, &identity.cluster, identity.cluster_id);
    if initial.voters.is_empty() {
        let text = format!(
            "node {id} was added to the cluster `{cluster}`, {cluster_id}, when that was there \
             already; nothing was changed"
        );
        return Err(Failure::Bad(StatusCode::CONFLICT, text));
    }
    let founded = Founding::done(
        cluster,
        { initial.voters.iter() }.map(|id| {
            let known = initial.contacts.get(id).and_then(Addresses::in_contact);
            (*id, known.map(|known| known.peer))
        }),
    );
    let advice = ". Who belongs to it now, `lockstep members` shows and changes";
    let confirmed = founded.confirm(&body, identity, advice);
    confirmed
        .map(Json)
        .map_err(|(status, text)| Failure::Bad(status, text))
}

async fn unknown_path(uri: Uri) -> Failure {
    let text = format!("nothing is at {}; {ENDPOINTS}", uri.path());
    Failure::Bad(StatusCode::NOT_FOUND, text)
}

async fn wrong_method() -> Failure {
    let text = format!("this path has no such method; {ENDPOINTS}");
    Failure::Bad(StatusCode::METHOD_NOT_ALLOWED, text)
}

/// The session that a client brings, if it brings one.
pub(crate) fn session_in(fields: &HeaderMap) -> Result<Option<RequestId>, Failure> {
    session_fields::session_in(fields).map_err(bad)
}

fn number_in(fields: &HeaderMap, name: &str) -> Result<Option<u64>, Failure> {
    session_fields::number_in(fields, name).map_err(bad)
}
