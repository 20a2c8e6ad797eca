//! What goes wrong, as HTTP says it.

use axum::extract::rejection::QueryRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::kv::headers;
use crate::kv::request::router::Refusal;
use crate::kv::store::Unfit;
use crate::service::looking::Unseen;

/// What is wrong with a request, or with its outcome.
pub(crate) enum Failure {
    /// The request is at fault.
    Bad(StatusCode, String),
    /// The service has no answer.
    Refused(Refusal),
    /// The node shows nothing.
    Unseen(Unseen),
}

impl From<Unseen> for Failure {
    fn from(unseen: Unseen) -> Self {
        Self::Unseen(unseen)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Unfit> for Failure {
    fn from(unfit: Unfit) -> Self {
        let status = match unfit {
            Unfit::EmptyKey => StatusCode::BAD_REQUEST,
            Unfit::KeyTooLong(_) => StatusCode::URI_TOO_LONG,
            Unfit::ValueTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        };
        Self::Bad(status, unfit.to_string())
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        bad(rejection.body_text())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Bad(status, text) => (status, line(text)).into_response(),
            Self::Unseen(unseen) => {
                let text = line(unseen.words().to_owned());
                (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
            }
            Self::Refused(refusal) => {
                let text = line(refusal.to_string());
                match refusal {
                    Refusal::NoLeader | Refusal::Busy | Refusal::Stopped | Refusal::Unanswered => {
                        let retry = [(header::RETRY_AFTER, "1")];
                        (StatusCode::SERVICE_UNAVAILABLE, retry, text).into_response()
                    }
                    Refusal::Unknown | Refusal::ChangeUnknown => {
                        (StatusCode::GATEWAY_TIMEOUT, text).into_response()
                    }
                    Refusal::Superseded => (StatusCode::CONFLICT, text).into_response(),
                    Refusal::NotChanged { again: true, .. } => {
                        let retry = [(header::RETRY_AFTER, "1")];
                        (StatusCode::SERVICE_UNAVAILABLE, retry, text).into_response()
                    }
                    Refusal::NotChanged { again: false, .. } => {
                        (StatusCode::CONFLICT, text).into_response()
                    }
                    Refusal::SessionExpired { since } => {
                        let since = [(headers::SINCE, since.to_string())];
                        (StatusCode::GONE, since, text).into_response()
                    }
                }
            }
        }
    }
}

/// A fault of the request.
pub(crate) fn bad(text: impl Into<String>) -> Failure {
    Failure::Bad(StatusCode::BAD_REQUEST, text.into())
}

fn line(text: String) -> String {
    text + "\n"
}
