//! Looking at a running node, which is not waited for if it does not answer at all.

use std::time::Duration;

use models::{Node, Protocol};
use tokio::time::timeout;

use crate::runtime::driver::{Inbox, NodeStopped};

/// A node that answers no question for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a node shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// It is not there any more.
    Ended,
    /// It is there, and does not answer.
    Silent,
}

impl Unseen {
    /// In words, for a client whose request was not begun.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Ended => "the node has stopped; nothing was changed: ask another node",
            Self::Silent => {
                "the node does not answer; nothing was changed: look at its log, and ask another"
            }
        }
    }
}

/// Looks at the node once all that it shows is on disk.
pub(crate) async fn look<P: Protocol, R: Send + 'static>(
    inbox: &Inbox<P>,
    look: impl FnOnce(&Node<P>) -> R + Send + 'static,
) -> Result<R, Unseen> {
    answered(timeout(PATIENCE, inbox.inspect(look)).await)
}

/// Looks at the node without waiting for its disk: who looks here may look because of that.
pub(crate) async fn look_unflushed<P: Protocol, R: Send + 'static>(
    inbox: &Inbox<P>,
    look: impl FnOnce(&Node<P>) -> R + Send + 'static,
) -> Result<R, Unseen> {
    answered(timeout(PATIENCE, inbox.inspect_unflushed(look)).await)
}

fn answered<R, E>(looked: Result<Result<R, NodeStopped>, E>) -> Result<R, Unseen> {
    match looked {
        Ok(Ok(seen)) => Ok(seen),
        Ok(Err(NodeStopped)) => Err(Unseen::Ended),
        Err(_) => Err(Unseen::Silent),
    }
}
