//! Keys over HTTP: one by one, and in ranges.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Json, Response};
use percent_encoding::percent_decode;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::api::{Shared, mismatch, session_in};
use super::http_error::{Failure, bad, fault};
use super::json_answer;
use super::range_query::{RangeQuery, delete_query};
use crate::kv::encoding::decode_base64;
use crate::kv::headers;
use crate::kv::request::router::Service;
use crate::kv::store::{
    Command, DeleteRange, KeyRange, KeyValue, LeaseId, Outcome, Put, Range, Revision, Unfit,
    check_command, check_key,
};
use crate::kv::store::{Query as StoreQuery, Response as StoreResponse};

/// The query of a request that reads a key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadQuery {
    #[serde(default)]
    here: bool,
    #[serde(default)]
    key_encoding: KeyEncoding,
    revision: Option<u64>,
}

/// The query of a request that changes a key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteQuery {
    here: Option<bool>,
    #[serde(default)]
    key_encoding: KeyEncoding,
    lease: Option<u64>,
    #[serde(default)]
    keep_lease: bool,
    #[serde(default)]
    previous: bool,
}

/// How the key in the path is written, beneath percent-encoding.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeyEncoding {
    #[default]
    Bytes,
    Base64,
}

pub(crate) async fn get_key(
    State(service): Shared,
    uri: Uri,
    query: Result<Query<ReadQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(ReadQuery {
        here,
        key_encoding,
        revision,
    }) = query?;
    read_key(&service, key_in(&uri, key_encoding)?, revision, here).await
}

/// Answers with the value of a key.
pub(crate) async fn read_key(
    service: &Service,
    key: Bytes,
    revision: Option<u64>,
    here: bool,
) -> Result<Response, Failure> {
    let range = Range {
        revision: revision.map(Revision),
        ..Range::new(KeyRange::key(key))
    };
    let answer = service.read(StoreQuery::Range(range), here).await?;
    let Outcome::Range(found) = answer.outcome.map_err(fault)? else {
        return Err(mismatch());
    };
    let Some((_, held)) = found.entries.into_iter().next() else {
        return Err(Failure::Bad(StatusCode::NOT_FOUND, "no such key".into()));
    };
    Ok(value(held))
}

/// A value as it is, with what is known of it in the header.
fn value(held: KeyValue) -> Response {
    let lease = held
        .lease
        .map(|lease| (headers::LEASE, lease.0.to_string()));
    let fields = [
        (
            header::CONTENT_TYPE.as_str(),
            "application/octet-stream".to_owned(),
        ),
        (headers::REVISION, held.mod_revision.to_string()),
        (headers::CREATE_REVISION, held.create_revision.to_string()),
        (headers::VERSION, held.version.to_string()),
    ];
    let mut answer = (fields, held.value).into_response();
    if let Some((name, Ok(lease))) = lease.map(|(name, lease)| (name, lease.try_into())) {
        answer.headers_mut().insert(name, lease);
    }
    answer
}

pub(crate) async fn put_key(
    State(service): Shared,
    uri: Uri,
    query: Result<Query<WriteQuery>, QueryRejection>,
    fields: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let query = for_write(query)?;
    if query.keep_lease && query.lease.is_some() {
        return Err(bad("give a lease, or keep_lease=true; nothing was changed"));
    }
    let key = key_in(&uri, query.key_encoding)?;
    let value = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Unfit::ValueTooLarge.into(),
        status => Failure::Bad(status, rejection.body_text()),
    })?;
    let put = Put {
        lease: query.lease.map(LeaseId),
        keep_lease: query.keep_lease,
        wants_previous: query.previous,
        ..Put::new(key, value)
    };
    set(&service, put, &fields).await
}

/// Sets a key, and answers with what that came to.
pub(crate) async fn set(
    service: &Service,
    put: Put,
    fields: &HeaderMap,
) -> Result<Response, Failure> {
    let answer = write(service, Command::Put(put), fields).await?;
    let revision = answer.revision;
    let Outcome::Put { replaced, previous } = answer.outcome.map_err(fault)? else {
        return Err(mismatch());
    };
    let body = json_answer::put(replaced, previous.as_ref());
    Ok(changed(StatusCode::OK, revision, body))
}

pub(crate) async fn delete_key(
    State(service): Shared,
    uri: Uri,
    query: Result<Query<WriteQuery>, QueryRejection>,
    fields: HeaderMap,
) -> Result<Response, Failure> {
    let query = for_write(query)?;
    if query.lease.is_some() || query.keep_lease {
        return Err(bad(
            "a key that is removed has no lease; nothing was changed",
        ));
    }
    let delete = DeleteRange {
        range: KeyRange::key(key_in(&uri, query.key_encoding)?),
        wants_previous: query.previous,
    };
    let answer = write(&service, Command::DeleteRange(delete), &fields).await?;
    let revision = answer.revision;
    let Outcome::Deleted {
        replaced, previous, ..
    } = answer.outcome.map_err(fault)?
    else {
        return Err(mismatch());
    };
    let status = replaced.map_or(StatusCode::NOT_FOUND, |_| StatusCode::OK);
    let previous = previous.first().map(|(_, held)| held);
    Ok(changed(
        status,
        revision,
        json_answer::put(replaced, previous),
    ))
}

pub(crate) async fn delete_range(
    State(service): Shared,
    RawQuery(raw): RawQuery,
    fields: HeaderMap,
) -> Result<Response, Failure> {
    let raw = raw.unwrap_or_default();
    let delete = delete_query(&raw).map_err(|why| bad(format!("{why}; nothing was changed")))?;
    let answer = write(&service, Command::DeleteRange(delete), &fields).await?;
    let revision = answer.revision;
    let Outcome::Deleted {
        count, previous, ..
    } = answer.outcome.map_err(fault)?
    else {
        return Err(mismatch());
    };
    let body = json_answer::deleted(count, &previous);
    Ok(changed(StatusCode::OK, revision, body))
}

pub(crate) async fn range(
    State(service): Shared,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    let query = RangeQuery::parse(raw.as_deref().unwrap_or_default()).map_err(bad)?;
    let (here, keys_only) = (query.here, query.keys_only);
    let answer = service.read(query.into_query(), here).await?;
    let revision = answer.revision;
    let Outcome::Range(found) = answer.outcome.map_err(fault)? else {
        return Err(mismatch());
    };
    let body = json_answer::entries(&found, keys_only);
    Ok(changed(StatusCode::OK, revision, body))
}

/// Does a write, in the session that the client brings, if it brings one.
pub(crate) async fn write(
    service: &Service,
    command: Command,
    fields: &HeaderMap,
) -> Result<StoreResponse, Failure> {
    let request = session_in(fields)?;
    check_command(&command)?;
    Ok(service.write(command, request).await?)
}

/// An answer in JSON, with the revision of the store.
pub(crate) fn changed(
    status: StatusCode,
    revision: Revision,
    body: Map<String, Value>,
) -> Response {
    let fields = [(headers::REVISION, revision.to_string())];
    let mut object = Map::from_iter([("revision".to_owned(), revision.0.into())]);
    object.extend(body);
    (status, fields, Json(object)).into_response()
}

/// What a write says of its key. Only a read can be answered by this very node.
fn for_write(query: Result<Query<WriteQuery>, QueryRejection>) -> Result<WriteQuery, Failure> {
    let Query(query) = query?;
    match query.here {
        Some(true) => Err(bad(
            "`here` is for reads: a write goes to the leader. Nothing was changed",
        )),
        _ => Ok(query),
    }
}

/// The key in the path: a byte string, which need not be UTF-8.
fn key_in(uri: &Uri, encoding: KeyEncoding) -> Result<Bytes, Failure> {
    let encoded = uri.path().strip_prefix("/kv/").unwrap_or_default();
    let written: Vec<u8> = percent_decode(encoded.as_bytes()).collect();
    let key = match encoding {
        KeyEncoding::Bytes => written,
        KeyEncoding::Base64 => decode_base64(&String::from_utf8_lossy(&written))
            .map_err(|error| bad(format!("the key {error}; nothing was changed")))?,
    };
    check_key(&key)?;
    Ok(key.into())
}

pub(crate) async fn empty_key() -> Failure {
    Unfit::EmptyKey.into()
}
