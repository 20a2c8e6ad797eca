//! What goes wrong, as HTTP says it.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::kv::headers;
use crate::kv::request::router::Refusal;
use crate::kv::store::{Fault, Unfit};
use crate::service::http_error::unavailable;
use crate::service::looking::Unseen;

/// What is wrong with a request, or with its outcome.
pub(crate) enum Failure {
    /// The request is at fault.
    Bad(StatusCode, String),
    /// The service has no answer.
    Refused(Refusal),
    /// The node does not show what is asked.
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
            Unfit::EmptyKey | Unfit::TooManyOperations(_) | Unfit::TooDeep | Unfit::BadTtl(_) => {
                StatusCode::BAD_REQUEST
            }
            Unfit::KeyTooLong(_) => StatusCode::URI_TOO_LONG,
            Unfit::ValueTooLarge | Unfit::TxnTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        };
        Self::Bad(status, unfit.to_string())
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        bad(rejection.body_text())
    }
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        bad(format!("{}; nothing was changed", rejection.body_text()))
    }
}

/// Why the store did nothing.
pub(crate) fn fault(fault: Fault) -> Failure {
    let status = match fault {
        Fault::Compacted { .. } => StatusCode::GONE,
        Fault::FutureRevision | Fault::DuplicateKey => StatusCode::BAD_REQUEST,
        Fault::KeyNotFound => StatusCode::PRECONDITION_FAILED,
        Fault::LeaseNotFound => StatusCode::NOT_FOUND,
        Fault::LeaseExists => StatusCode::CONFLICT,
    };
    Failure::Bad(status, format!("{fault}; nothing was changed"))
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Bad(status, text) => (status, line(text)).into_response(),
            Self::Unseen(unseen) => unseen.into_response(),
            Self::Refused(refusal) => {
                let text = line(refusal.to_string());
                match refusal {
                    Refusal::NoLeader
                    | Refusal::Busy
                    | Refusal::Stopped
                    | Refusal::Unanswered
                    | Refusal::NotChanged { again: true, .. } => unavailable(refusal.to_string()),
                    Refusal::Unknown | Refusal::ChangeUnknown => {
                        (StatusCode::GATEWAY_TIMEOUT, text).into_response()
                    }
                    Refusal::Superseded => (StatusCode::CONFLICT, text).into_response(),
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
