//! What goes wrong, as HTTP says it.

use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::files::headers;
use crate::files::request::router::Refusal;
use crate::files::store::Fault;
use crate::files::store::command::{MAX_CONTENT_BYTES, Unfit};
use crate::files::store::path::BadPath;
use crate::service::looking::Unseen;

/// What is wrong with a request, or with its outcome.
pub(crate) enum Failure {
    /// The request is at fault. The text says whether anything was changed.
    Bad(StatusCode, String),
    /// The files are not as the request wants them; nothing was changed.
    Fault(Fault),
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
            Unfit::Path { .. } | Unfit::NoOperations => StatusCode::BAD_REQUEST,
            Unfit::TooMuchContent(_) | Unfit::TooManyOperations(_) => StatusCode::PAYLOAD_TOO_LARGE,
        };
        Self::Bad(status, format!("{unfit}; nothing was changed"))
    }
}

impl From<BadPath> for Failure {
    fn from(bad: BadPath) -> Self {
        self::bad(bad.to_string())
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        bad(rejection.body_text())
    }
}

impl From<BytesRejection> for Failure {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Unfit::TooMuchContent(MAX_CONTENT_BYTES + 1).into(),
            status => Self::Bad(
                status,
                format!("{}; nothing was changed", rejection.body_text()),
            ),
        }
    }
}

/// The status that says what is wrong with the files.
pub(crate) fn status_of(fault: &Fault) -> StatusCode {
    match fault {
        Fault::Exists { .. } => StatusCode::CONFLICT,
        Fault::Missing => StatusCode::NOT_FOUND,
        Fault::OtherVersion { .. } => StatusCode::PRECONDITION_FAILED,
        Fault::FileTooLarge { .. } | Fault::Full { .. } => StatusCode::PAYLOAD_TOO_LARGE,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let unavailable = |text: &str| {
            let retry = [(header::RETRY_AFTER, "1")];
            (StatusCode::SERVICE_UNAVAILABLE, retry, format!("{text}\n")).into_response()
        };
        match self {
            Self::Bad(status, text) => (status, text + "\n").into_response(),
            Self::Fault(fault) => {
                let text = format!("{fault}; nothing was changed\n");
                let status = status_of(&fault);
                match fault {
                    Fault::Exists { version } | Fault::OtherVersion { version } => {
                        let version = [(headers::VERSION, version.to_string())];
                        (status, version, text).into_response()
                    }
                    _ => (status, text).into_response(),
                }
            }
            Self::Unseen(unseen) => unavailable(unseen.words()),
            Self::Refused(refusal) => match refusal {
                Refusal::Unknown => {
                    (StatusCode::GATEWAY_TIMEOUT, format!("{refusal}\n")).into_response()
                }
                Refusal::Superseded => {
                    (StatusCode::CONFLICT, format!("{refusal}\n")).into_response()
                }
                Refusal::NoLeader | Refusal::Busy | Refusal::Stopped | Refusal::Unanswered => {
                    unavailable(&refusal.to_string())
                }
            },
        }
    }
}

/// A fault of the request, which was not begun.
pub(crate) fn bad(text: impl Into<String>) -> Failure {
    let text = text.into();
    Failure::Bad(
        StatusCode::BAD_REQUEST,
        format!("{text}; nothing was changed"),
    )
}
