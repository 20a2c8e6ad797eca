//! Counts the messages of Maekawa's algorithm, which are what a lock costs.

use models::NodeId;

use crate::locks::Message;
use crate::runtime::metrics::Counter;
use crate::runtime::transport::Transport;

/// How many messages of each kind this node has sent to others. (What it says to itself is none.)
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    request: Counter,
    locked: Counter,
    failed: Counter,
    inquire: Counter,
    relinquish: Counter,
    release: Counter,
    /// Of the membership: health checks and epoch changes.
    membership: Counter,
}

impl Traffic {
    fn count(&self, message: &Message) {
        let counter = match message {
            Message::Request { .. } => &self.request,
            Message::Locked { .. } => &self.locked,
            Message::Failed { .. } => &self.failed,
            Message::Inquire { .. } => &self.inquire,
            Message::Relinquish { .. } => &self.relinquish,
            Message::Release { .. } => &self.release,
            Message::Register { .. }
            | Message::Deregister { .. }
            | Message::Freeze { .. }
            | Message::Frozen { .. }
            | Message::Install { .. }
            | Message::Ping { .. }
            | Message::Pong { .. } => &self.membership,
        };
        counter.increment();
    }

    /// Each kind of the paper's messages with its number.
    pub(crate) fn by_kind(&self) -> [(&'static str, u64); 6] {
        [
            ("request", self.request.get()),
            ("locked", self.locked.get()),
            ("failed", self.failed.get()),
            ("inquire", self.inquire.get()),
            ("relinquish", self.relinquish.get()),
            ("release", self.release.get()),
        ]
    }

    /// The paper's messages together.
    pub(crate) fn of_locks(&self) -> u64 {
        self.by_kind().iter().map(|(_, count)| count).sum()
    }

    /// The messages of the membership.
    pub(crate) fn of_membership(&self) -> u64 {
        self.membership.get()
    }
}

/// A transport that counts what it is given.
pub(crate) struct Counted<T> {
    pub(crate) transport: T,
    pub(crate) traffic: std::sync::Arc<Traffic>,
}

impl<T: Transport<Message>> Transport<Message> for Counted<T> {
    fn send(&mut self, to: NodeId, message: Message) {
        self.traffic.count(&message);
        self.transport.send(to, message);
    }
}
