//! The root of the HTTP API: the page for people, and the requests of small programs that know one path.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /?key=` | as `GET /kv/{key}` |
//! | `PUT /`, `{"key", "value"}` | as `PUT /kv/{key}` |
//! | `POST /request`, the body is a message | the same for the key `request`: once it is answered, the message is in `GET /log?index=` |

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::api::Shared;
use super::http_error::{Failure, bad};
use super::key_api::{read_key, set};
use super::range_query::key_query;
use super::txn_api::{self, MAX_BODY_BYTES, unchanged};
use crate::kv::request::router::Service;
use crate::kv::store::{MAX_VALUE_BYTES, Put, Unfit};
use crate::service::status_page;

/// Where messages are put.
const MESSAGES: &[u8] = b"request";

pub(crate) fn routes() -> Router<std::sync::Arc<Service>> {
    Router::new()
        .route(
            "/",
            get(page_or_key)
                .put(put)
                .layer(DefaultBodyLimit::max(MAX_BODY_BYTES)),
        )
        .route(
            "/request",
            post(submit).layer(DefaultBodyLimit::max(MAX_VALUE_BYTES)),
        )
}

/// Whether a request for the root asks for a key, and not for the page.
pub(crate) fn names_key(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| !query.is_empty())
}

async fn page_or_key(
    State(service): Shared,
    uri: Uri,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    if !names_key(&uri) {
        return Ok(status_page::page().into_response());
    }
    let query = key_query(raw.as_deref().unwrap_or_default()).map_err(bad)?;
    read_key(&service, query.key, None, query.here).await
}

async fn put(
    State(service): Shared,
    fields: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let mut object = txn_api::body(body)?;
    let key = object.take_bytes("key").map_err(unchanged)?;
    let value = object.take_bytes("value").map_err(unchanged)?;
    object.finish().map_err(unchanged)?;
    let (Some(key), Some(value)) = (key, value) else {
        return Err(unchanged("say which `key` and which `value`".to_owned()));
    };
    set(&service, Put::new(key, value), &fields).await
}

async fn submit(
    State(service): Shared,
    fields: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let message = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Unfit::ValueTooLarge.into(),
        status => Failure::Bad(status, rejection.body_text()),
    })?;
    set(
        &service,
        Put::new(Bytes::from_static(MESSAGES), message),
        &fields,
    )
    .await
}
