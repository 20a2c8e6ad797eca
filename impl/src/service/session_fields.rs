//! The session that a request brings, in its header fields.

use axum::http::HeaderMap;
use models::session::{ClientId, Position, RequestId, Sequence};

use crate::service::headers;
use crate::service::session_pool::FIRST_RESERVED;

/// What a client is told whose session was used for a request of another kind: it is answered with
/// that kind.
pub(crate) const OTHER_KIND: &str = "this Lockstep-Client and Lockstep-Sequence were used for a \
     request of another kind, which was done; this one was not. Give each request a sequence of its own";

/// The session that a client brings, if it brings one.
///
/// # Errors
/// In words, when it is none.
pub(crate) fn session_in(fields: &HeaderMap) -> Result<Option<RequestId>, String> {
    let client = number_in(fields, headers::CLIENT)?;
    let sequence = number_in(fields, headers::SEQUENCE)?;
    let since = number_in(fields, headers::SINCE)?.map(Position);
    match (client, sequence) {
        (None, None) => Ok(None),
        (Some(client), Some(_)) if client >= FIRST_RESERVED => Err(format!(
            "Lockstep-Client must be below 2^63, and is {client}; nothing was changed"
        )),
        (Some(client), Some(sequence)) => Ok(Some(RequestId {
            client: ClientId::new(client).anew(since.unwrap_or_default()),
            sequence: Sequence(sequence),
        })),
        (Some(_), None) | (None, Some(_)) => {
            Err("Lockstep-Client and Lockstep-Sequence go together; nothing was changed".to_owned())
        }
    }
}

/// A number in a header field, if it is there.
///
/// # Errors
/// In words, when it is none.
pub(crate) fn number_in(fields: &HeaderMap, name: &str) -> Result<Option<u64>, String> {
    let mut values = fields.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    match number {
        Some(number) if values.next().is_none() => Ok(Some(number)),
        _ => Err(format!(
            "the header {name} must be one whole number from 0 to 2^64 - 1; nothing was changed"
        )),
    }
}
