//! What goes wrong, as HTTP says it.

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use models::maekawa::Refusal;

use crate::locks::server::node_adder::NotAdded;
use crate::locks::sessions::{Gone, NotClaimed};
use crate::service::looking::Unseen;

/// What is wrong with a request, or with its outcome. Each text says whether anything was changed.
pub(crate) enum Failure {
    /// The request is at fault, or things are not as it wants them.
    Bad(StatusCode, String),
    /// Not now, or not here.
    Unavailable(String),
    /// Nobody knows.
    Unknown(String),
    /// The node shows nothing.
    Unseen(Unseen),
}

impl From<Unseen> for Failure {
    fn from(unseen: Unseen) -> Self {
        Self::Unseen(unseen)
    }
}

impl From<Gone> for Failure {
    fn from(gone: Gone) -> Self {
        let status = match gone {
            Gone::Elsewhere(_) => StatusCode::MISDIRECTED_REQUEST,
            Gone::Restarted | Gone::Over => StatusCode::GONE,
            Gone::Unknown => StatusCode::NOT_FOUND,
        };
        Self::Bad(status, gone.to_string())
    }
}

impl From<NotClaimed> for Failure {
    fn from(not: NotClaimed) -> Self {
        match not {
            NotClaimed::Locks => Self::Bad(StatusCode::CONFLICT, not.to_string()),
            NotClaimed::Ended => Gone::Over.into(),
            NotClaimed::Sessions | NotClaimed::Ask(_) => Self::Unavailable(not.to_string()),
        }
    }
}

impl From<NotAdded> for Failure {
    fn from(not: NotAdded) -> Self {
        match not {
            NotAdded::Refused(_) => Self::Bad(StatusCode::CONFLICT, not.to_string()),
            NotAdded::NotNow(_) => Self::Unavailable(not.to_string()),
        }
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        bad(rejection.body_text())
    }
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        bad(rejection.body_text())
    }
}

impl From<BytesRejection> for Failure {
    fn from(rejection: BytesRejection) -> Self {
        let text = format!("{}; nothing was changed", rejection.body_text());
        Self::Bad(rejection.status(), text)
    }
}

/// That a claim was not taken, or is not taken any more.
pub(crate) fn refused(why: Refusal) -> Failure {
    match why {
        Refusal::NotAMember => Failure::Unavailable(
            "this node is not to be a member, so it claims nothing; nothing is held: ask another \
             node, or register this one (lockstep locks register)"
                .to_owned(),
        ),
        Refusal::Full => Failure::Unavailable(
            "as many claims wait and hold at this node as it bears; nothing is held: ask another \
             node, or try again later"
                .to_owned(),
        ),
        Refusal::InvalidName => bad("no lock may have this name"),
        Refusal::Orchestrator | Refusal::WrongNode => Failure::Bad(
            StatusCode::MISDIRECTED_REQUEST,
            "this node has no locks; nothing is held: ask another node".to_owned(),
        ),
        Refusal::Over | Refusal::Busy => Failure::Bad(
            StatusCode::CONFLICT,
            "the claim was over before it was made; nothing is held: try again".to_owned(),
        ),
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
            Self::Unavailable(text) => unavailable(&text),
            Self::Unknown(text) => (StatusCode::GATEWAY_TIMEOUT, text + "\n").into_response(),
            Self::Unseen(unseen) => unavailable(unseen.words()),
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
