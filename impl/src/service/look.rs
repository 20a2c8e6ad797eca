//! Looks at the protocol's node of this process, for what is shown of it.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use models::{Node, Protocol};
use tokio::time::timeout;

use crate::runtime::driver::{Inbox, NodeStopped};

/// A node that answers no question for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a node shows nothing of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unseen {
    /// It is not there any more.
    #[error("the node has stopped; nothing was changed: ask another node")]
    Ended,
    /// It is there, and does not answer.
    #[error("the node does not answer; nothing was changed: look at its log, and ask another")]
    Silent,
}

impl IntoResponse for Unseen {
    fn into_response(self) -> Response {
        unavailable(self.to_string())
    }
}

/// 503, with when to try again.
pub(crate) fn unavailable(text: impl Into<String>) -> Response {
    let retry = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, retry, text.into() + "\n").into_response()
}

/// Looks once all that the node shows is on disk.
///
/// # Errors
/// When the node does not answer.
pub(crate) async fn flushed<P: Protocol, R: Send + 'static>(
    inbox: &Inbox<P>,
    look: impl FnOnce(&Node<P>) -> R + Send + 'static,
) -> Result<R, Unseen> {
    seen(timeout(PATIENCE, inbox.inspect(look)).await)
}

/// Looks without waiting for the node's disk: who looks here may look because of that.
///
/// # Errors
/// When the node does not answer.
pub(crate) async fn unflushed<P: Protocol, R: Send + 'static>(
    inbox: &Inbox<P>,
    look: impl FnOnce(&Node<P>) -> R + Send + 'static,
) -> Result<R, Unseen> {
    seen(timeout(PATIENCE, inbox.inspect_unflushed(look)).await)
}

fn seen<R, E>(looked: Result<Result<R, NodeStopped>, E>) -> Result<R, Unseen> {
    match looked {
        Ok(Ok(seen)) => Ok(seen),
        Ok(Err(NodeStopped)) => Err(Unseen::Ended),
        Err(_) => Err(Unseen::Silent),
    }
}
