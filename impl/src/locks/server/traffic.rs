//! Counts the messages of Maekawa's algorithm, which are what a lock costs.

use models::NodeId;
use prometheus_client::metrics::counter::Counter;

use crate::locks::Message;
use crate::runtime::transport::Transport;
use crate::service::metrics_page::CounterByLabel;

/// The kinds of messages, as in the paper.
const KINDS: [&str; 6] = [
    "request",
    "locked",
    "failed",
    "inquire",
    "relinquish",
    "release",
];

/// How many messages this node has sent to others. (What it says to itself is none.)
#[derive(Debug)]
pub(crate) struct Traffic {
    locks: CounterByLabel,
    membership: Counter,
}

impl Default for Traffic {
    fn default() -> Self {
        let locks = CounterByLabel::default();
        for kind in KINDS {
            // There from the start, as 0: else the first of a kind would be no increase.
            drop(locks.get_or_create(&[("kind", kind)]));
        }
        Self {
            locks,
            membership: Counter::default(),
        }
    }
}

impl Traffic {
    fn count(&self, message: &Message) {
        let kind = match message {
            Message::Request { .. } => "request",
            Message::Locked { .. } => "locked",
            Message::Failed { .. } => "failed",
            Message::Inquire { .. } => "inquire",
            Message::Relinquish { .. } => "relinquish",
            Message::Release { .. } => "release",
            Message::Register { .. }
            | Message::Deregister { .. }
            | Message::Freeze { .. }
            | Message::Frozen { .. }
            | Message::Install { .. }
            | Message::Ping { .. }
            | Message::Pong { .. } => {
                self.membership.inc();
                return;
            }
        };
        self.locks.get_or_create(&[("kind", kind)]).inc();
    }

    /// The paper's messages, by kind.
    pub(crate) fn by_kind(&self) -> &CounterByLabel {
        &self.locks
    }

    /// The paper's messages together.
    pub(crate) fn of_locks(&self) -> u64 {
        let count = |kind| self.locks.get_or_create(&[("kind", kind)]).get();
        KINDS.into_iter().map(count).sum()
    }

    /// Health checks and epoch changes.
    pub(crate) fn of_membership(&self) -> &Counter {
        &self.membership
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
