//! Transactions and compactions over HTTP.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::Map;

use super::api::{Shared, mismatch};
use super::http_error::{Failure, bad, fault};
use super::json_answer;
use super::json_request::{Object, transaction};
use super::key_api::{changed, write};
use crate::kv::store::{Command, MAX_TXN_BYTES, Outcome, Revision, Unfit};

/// A transaction in JSON takes no more: base64 takes four bytes for three, and escapes up to six for one.
pub(crate) const MAX_BODY_BYTES: usize = 6 * MAX_TXN_BYTES;

/// What a body of JSON holds.
pub(crate) fn body(body: Result<Bytes, BytesRejection>) -> Result<Object, Failure> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Unfit::TxnTooLarge(MAX_BODY_BYTES + 1).into(),
        status => Failure::Bad(status, rejection.body_text()),
    })?;
    Object::parse(&body).map_err(unchanged)
}

/// A fault of the request, which was not begun.
pub(crate) fn unchanged(why: String) -> Failure {
    bad(format!("{why}; nothing was changed"))
}

pub(crate) async fn transact(
    State(service): Shared,
    fields: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let txn = transaction(self::body(body)?).map_err(unchanged)?;
    let answer = write(&service, Command::Txn(txn), &fields).await?;
    let revision = answer.revision;
    let Outcome::Txn {
        succeeded,
        outcomes,
    } = answer.outcome.map_err(fault)?
    else {
        return Err(mismatch());
    };
    let body = json_answer::transaction(succeeded, &outcomes);
    Ok(changed(StatusCode::OK, revision, body))
}

pub(crate) async fn compact(
    State(service): Shared,
    fields: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let mut object = self::body(body)?;
    let revision: Option<u64> = object.take("revision").map_err(unchanged)?;
    object.finish().map_err(unchanged)?;
    let Some(revision) = revision.map(Revision) else {
        return Err(unchanged("say which `revision` to compact to".to_owned()));
    };
    let answer = write(&service, Command::Compact { revision }, &fields).await?;
    let latest = answer.revision;
    let Outcome::Compacted = answer.outcome.map_err(fault)? else {
        return Err(mismatch());
    };
    let body = Map::from_iter([("compacted".to_owned(), revision.0.into())]);
    Ok(changed(StatusCode::OK, latest, body))
}
