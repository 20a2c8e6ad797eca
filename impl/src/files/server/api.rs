//! The HTTP API of a node, on its client port.
//!
//! | request | answer |
//! |---|---|
//! | `PUT /files/{path}`, the body is the content | 201: the file is made; 409 if it is there |
//! | `PUT /files/{path}?if_version=` | 200: the file has this content; 412 if it had another version |
//! | `POST /files/{path}?if_version=` | 200: the body is added to the end; 404, 412 |
//! | `GET /files/{path}?offset=&length=&sync=` | 200 or 206 and the content; `Range` is heeded; 404, 416 |
//! | `HEAD /files/{path}`, `GET /stat/{path}?sync=` | 200 and what is said of the file; 404 |
//! | `DELETE /files/{path}?if_version=` | 200: the file is gone; 404, 412 |
//! | `GET /files?prefix=&after=&limit=&sync=` | 200 and a page of paths as JSON |
//! | `POST /batch` | 200: all operations are done; else none is, and it is said which one failed, and why |
//! | `GET /watch?from=&prefix=` | 200 and server-sent events; 410 when the position is too old |
//! | `GET /` | a page for people that shows the cluster live |
//! | `GET /cluster` | 200, what all members say of themselves, as JSON |
//! | `GET`, `PUT /log-level` | 200, what this process logs; the body of `PUT` changes it until it ends |
//! | `GET /status` | 200, how this node and its disk fare, as JSON |
//! | `GET /debug/vars` | 200, the variables of the process and of its ZAB, as Go's expvar shows them |
//! | `GET /healthz`, `GET /readyz` | 200, or 503 and why not |
//!
//! A read answers what is delivered here: committed, but perhaps not the latest. `sync=true` has it wait
//! until this node has delivered all that was committed before. Any node takes a write. With the
//! headers `Lockstep-Client` and `Lockstep-Sequence` a retry, here or elsewhere, is done once.
//!
//! 400, 404, 405, 409, 412, 413 and 416 say what is wrong with the request, or with the files; nothing
//! was changed then. 503 says that nothing was changed and when to try again; 408 that a body came too
//! slowly, and nothing was changed; 504 that the outcome is not known.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use models::session::RequestId;
use percent_encoding::percent_decode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::batch::Batch;
use super::file_body::FileBody;
use super::http_error::{Failure, bad, status_of};
use super::range::{self, Wanted};
use super::{status_page, watch};
use crate::files::headers;
use crate::files::request::router::Service;
use crate::files::store::command::{MAX_CONTENT_BYTES, check_command};
use crate::files::store::path::{BadPath, MAX_PATH_BYTES, check_path};
use crate::files::store::{self, Command, MAX_LIST_ENTRIES, Operation, Part, Stat};
use crate::service::debug_vars::PATH as DEBUG_VARS_PATH;
use crate::service::founding::request::{Founded, Founding};
use crate::service::log_level_api;
use crate::service::session_fields::{self, session_in};
use crate::service::signature;
use crate::service::status_page::{self as people, CLUSTER_PATH};
use crate::service::tokens::{Role, Tokens, protect};

pub(crate) type Shared = State<Arc<Service>>;

const ENDPOINTS: &str = "there are PUT, POST, GET, HEAD, DELETE /files/{path}, GET /files?prefix=, \
                         GET /stat/{path}, POST /batch, GET /watch, GET /status, GET /healthz, \
                         GET /readyz";
/// Content in base64, and as many paths as a batch may have.
const BATCH_BYTES: usize = 2 * MAX_CONTENT_BYTES + (256 << 10);

/// The client API.
pub(crate) fn api(service: Arc<Service>, tokens: &Tokens) -> Router {
    let file = get(read).head(head).put(put).post(append).delete(delete);
    let batch_limit = DefaultBodyLimit::max(BATCH_BYTES);
    let router = Router::new()
        .route("/files", get(list))
        .route("/files/", get(list))
        .route(
            "/files/{*path}",
            file.layer(DefaultBodyLimit::max(MAX_CONTENT_BYTES)),
        )
        .route("/stat/{*path}", get(stat))
        .route("/batch", post(batch).layer(batch_limit))
        .route("/watch", get(watch::watch))
        .route("/status", get(status_page::status))
        .route(DEBUG_VARS_PATH, get(status_page::variables))
        .route("/healthz", get(status_page::healthz))
        .route("/readyz", get(status_page::readyz))
        .route("/init", post(init))
        .route(CLUSTER_PATH, get(status_page::cluster))
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
    match *method {
        // What supervises processes has no token.
        _ if ["/healthz", "/readyz"].contains(&path) || people::is_open(path) => None,
        Method::GET | Method::HEAD => Some(Role::Read),
        _ if ["/init", log_level_api::PATH].contains(&path) => Some(Role::Admin),
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

/// Names the node and its leader in every answer, whatever it is.
async fn sign(State(service): Shared, request: Request, next: Next) -> Response {
    signature::sign(next.run(request).await, service.id, service.leader())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadQuery {
    offset: Option<u64>,
    length: Option<u64>,
    #[serde(default)]
    sync: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatQuery {
    #[serde(default)]
    sync: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteQuery {
    if_version: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default)]
    prefix: String,
    after: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    sync: bool,
}

async fn read(
    State(service): Shared,
    uri: Uri,
    query: Result<Query<ReadQuery>, QueryRejection>,
    fields: HeaderMap,
) -> Result<Response, Failure> {
    let Query(query) = query?;
    let path = path_in(&uri, "/files/")?;
    let by_query = query.offset.is_some() || query.length.is_some();
    let wanted = match fields.get(header::RANGE) {
        _ if by_query => Wanted::From {
            offset: query.offset.unwrap_or(0),
            length: query.length.unwrap_or(u64::MAX),
        },
        Some(value) => range::of_header(value.to_str().unwrap_or_default()),
        None => Wanted::Whole,
    };
    let question = match wanted {
        Wanted::Last { length } => store::Query::ReadLast { path, length },
        Wanted::From { offset, length } => store::Query::Read {
            path,
            offset,
            length,
        },
        Wanted::Whole => store::Query::Read {
            path,
            offset: 0,
            length: u64::MAX,
        },
    };
    let store::Response::Content(found) = service.read(question, query.sync).await? else {
        return Err(mismatch());
    };
    let part = found.ok_or_else(no_such_file)?;
    content(part, wanted, by_query)
}

/// The answer with a part of a file.
fn content(part: Part, wanted: Wanted, by_query: bool) -> Result<Response, Failure> {
    let Part {
        stat,
        offset,
        segments,
    } = part;
    let body = FileBody::new(segments);
    let bytes = body.len();
    let size = stat.size;
    let mut answer = Response::new(Body::new(body));
    let kind = HeaderValue::from_static("application/octet-stream");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    describe(&mut answer, &stat);
    let range = match wanted {
        Wanted::Whole => None,
        // HTTP has no way to name an empty range. Who asks by the query gets what there is.
        _ if bytes == 0 && by_query && offset <= size => None,
        _ if bytes == 0 => {
            let text = format!(
                "the file has {size} bytes, and nothing of it is in the range that was asked for; \
                 nothing was changed\n"
            );
            let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range, text).into_response());
        }
        _ => Some(format!("bytes {offset}-{}/{size}", offset + bytes - 1)),
    };
    if let Some(range) = range.and_then(|range| HeaderValue::from_str(&range).ok()) {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        answer.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    Ok(answer)
}

fn describe(answer: &mut Response, stat: &Stat) {
    let fields = answer.headers_mut();
    fields.insert(headers::VERSION, stat.version.into());
    fields.insert(headers::CREATED, stat.created.into());
    fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", stat.version)) {
        fields.insert(header::ETAG, tag);
    }
}

async fn head(
    State(service): Shared,
    uri: Uri,
    query: Result<Query<StatQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(StatQuery { sync }) = query?;
    let path = path_in(&uri, "/files/")?;
    let stat = stat_of(&service, path, sync).await?;
    let mut answer = Response::new(Body::empty());
    describe(&mut answer, &stat);
    answer
        .headers_mut()
        .insert(header::CONTENT_LENGTH, stat.size.into());
    Ok(answer)
}

async fn stat(
    State(service): Shared,
    uri: Uri,
    query: Result<Query<StatQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(StatQuery { sync }) = query?;
    let path = path_in(&uri, "/stat/")?;
    let stat = stat_of(&service, path.clone(), sync).await?;
    let mut answer = Json(entry(&path, &stat)).into_response();
    describe(&mut answer, &stat);
    Ok(answer)
}

async fn stat_of(service: &Service, path: String, sync: bool) -> Result<Stat, Failure> {
    match service.read(store::Query::Stat { path }, sync).await? {
        store::Response::Stat(found) => found.ok_or_else(no_such_file),
        _ => Err(mismatch()),
    }
}

async fn list(
    State(service): Shared,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(ListQuery {
        prefix,
        after,
        limit,
        sync,
    }) = query?;
    let longest = prefix.len().max(after.as_ref().map_or(0, String::len));
    if longest > MAX_PATH_BYTES {
        return Err(bad(format!(
            "prefix and after have at most {MAX_PATH_BYTES} bytes"
        )));
    }
    if limit == Some(0) {
        // No entry and "more": who pages by it would never come to an end.
        return Err(bad("limit must be at least 1"));
    }
    let question = store::Query::List {
        prefix,
        after,
        limit: limit.unwrap_or(MAX_LIST_ENTRIES),
    };
    let store::Response::List { entries, more } = service.read(question, sync).await? else {
        return Err(mismatch());
    };
    let entries: Vec<Value> = entries
        .iter()
        .map(|(path, stat)| entry(path, stat))
        .collect();
    Ok(Json(json!({ "entries": entries, "more": more })).into_response())
}

fn entry(path: &str, stat: &Stat) -> Value {
    json!({
        "path": path,
        "version": stat.version,
        "created": stat.created,
        "size": stat.size,
        "created_ms": stat.created_ms,
        "modified_ms": stat.modified_ms,
    })
}

async fn put(
    State(service): Shared,
    uri: Uri,
    query: Result<Query<WriteQuery>, QueryRejection>,
    fields: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let Query(WriteQuery { if_version }) = query?;
    let path = path_in(&uri, "/files/")?;
    let content = body?;
    let (operation, status) = match if_version {
        Some(if_version) => {
            let replace = Operation::Replace {
                path,
                content,
                if_version,
            };
            (replace, StatusCode::OK)
        }
        None => (Operation::Create { path, content }, StatusCode::CREATED),
    };
    change(&service, operation, &fields, status).await
}

async fn append(
    State(service): Shared,
    uri: Uri,
    query: Result<Query<WriteQuery>, QueryRejection>,
    fields: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let Query(WriteQuery { if_version }) = query?;
    let append = Operation::Append {
        path: path_in(&uri, "/files/")?,
        content: body?,
        if_version,
    };
    change(&service, append, &fields, StatusCode::OK).await
}

async fn delete(
    State(service): Shared,
    uri: Uri,
    query: Result<Query<WriteQuery>, QueryRejection>,
    fields: HeaderMap,
) -> Result<Response, Failure> {
    let Query(WriteQuery { if_version }) = query?;
    let path = path_in(&uri, "/files/")?;
    let delete = Operation::Delete { path, if_version };
    change(&service, delete, &fields, StatusCode::OK).await
}

/// Does a single operation.
async fn change(
    service: &Service,
    operation: Operation,
    fields: &HeaderMap,
    status: StatusCode,
) -> Result<Response, Failure> {
    match write(service, vec![operation], fields).await? {
        store::Response::Done { position, sizes } if sizes.len() == 1 => {
            let size = sizes.first().copied().flatten();
            let body = json!({ "version": position, "size": size });
            Ok((
                status,
                [(headers::VERSION, position.to_string())],
                Json(body),
            )
                .into_response())
        }
        store::Response::Failed { fault, .. } => Err(Failure::Fault(fault)),
        _ => Err(mismatch()),
    }
}

async fn batch(
    State(service): Shared,
    fields: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let operations = Batch::parse(&body?)
        .and_then(Batch::operations)
        .map_err(bad)?;
    match write(&service, operations, &fields).await? {
        store::Response::Done { position, sizes } => {
            let body = json!({ "version": position, "sizes": sizes });
            Ok(([(headers::VERSION, position.to_string())], Json(body)).into_response())
        }
        store::Response::Failed { index, fault, .. } => {
            let error = format!("operation {index} failed: {fault}; nothing was changed");
            let body = json!({ "failed": index, "error": error });
            Ok((status_of(&fault), Json(body)).into_response())
        }
        _ => Err(mismatch()),
    }
}

async fn write(
    service: &Service,
    operations: Vec<Operation>,
    fields: &HeaderMap,
) -> Result<store::Response, Failure> {
    let request: Option<RequestId> =
        session_in(fields).map_err(|text| Failure::Bad(StatusCode::BAD_REQUEST, text))?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let command = Command {
        operations,
        time_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
    };
    check_command(&command)?;
    Ok(service.write(command, request).await?)
}

async fn init(State(service): Shared, body: Bytes) -> Result<Json<Founded>, Failure> {
    let identity = &service.identity;
    let founded = Founding::done(&identity.cluster, service.ensemble.founded_at());
    let confirmed = founded.confirm(&body, identity, ": its members are fixed");
    confirmed
        .map(Json)
        .map_err(|(status, text)| Failure::Bad(status, text))
}

/// A session that was used for a request of another kind answers with that kind.
fn mismatch() -> Failure {
    bad(session_fields::OTHER_KIND)
}

fn no_such_file() -> Failure {
    Failure::Fault(store::Fault::Missing)
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

/// The path of a file, behind `prefix` in the URL.
fn path_in(uri: &Uri, prefix: &str) -> Result<String, Failure> {
    let encoded = uri.path().strip_prefix(prefix).unwrap_or_default();
    let bytes: Vec<u8> = percent_decode(encoded.as_bytes()).collect();
    let path = String::from_utf8(bytes).map_err(|_| BadPath::NotUtf8)?;
    check_path(&path)?;
    Ok(path)
}
