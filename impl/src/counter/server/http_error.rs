//! What goes wrong, as HTTP says it.

use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use models::counter;

use super::service::Refusal;
use crate::service::http_error::unavailable;
use crate::service::looking::Unseen;

/// What is wrong with a request, or with its outcome.
pub(crate) enum Failure {
    /// The request is at fault. The text says that nothing was counted.
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

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        bad(rejection.body_text())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Bad(status, text) => (status, text + "\n").into_response(),
            Self::Unseen(unseen) => unseen.into_response(),
            Self::Refused(refusal) => answer(refusal),
        }
    }
}

fn answer(refusal: Refusal) -> Response {
    use counter::Refusal as Why;
    let status = match refusal {
        Refusal::Unknown => StatusCode::GATEWAY_TIMEOUT,
        Refusal::Counter(Why::ZeroAmount | Why::Overflow) => StatusCode::BAD_REQUEST,
        Refusal::Counter(Why::Superseded) | Refusal::Unheard => StatusCode::CONFLICT,
        Refusal::Busy
        | Refusal::Stopped
        | Refusal::Unanswered
        | Refusal::NotDrained
        | Refusal::Counter(Why::Unidentified | Why::Leaving) => {
            return unavailable(refusal.to_string());
        }
    };
    (status, format!("{refusal}\n")).into_response()
}

/// A fault of the request, which was not begun.
pub(crate) fn bad(text: impl Into<String>) -> Failure {
    let text = text.into();
    Failure::Bad(
        StatusCode::BAD_REQUEST,
        format!("{text}; nothing was counted"),
    )
}
