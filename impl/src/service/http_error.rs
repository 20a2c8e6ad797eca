//! What goes wrong at every service's node, as HTTP says it.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::service::looking::Unseen;

/// 503, with when to try again.
pub(crate) fn unavailable(text: impl Into<String>) -> Response {
    let retry = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, retry, text.into() + "\n").into_response()
}

impl IntoResponse for Unseen {
    fn into_response(self) -> Response {
        unavailable(self.words())
    }
}
