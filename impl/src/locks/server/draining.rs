//! How long the end of an epoch waits for who holds locks at a node that leaves.
//!
//! Who holds a lock at a member that stays one holds it in the next epoch. But a node that has asked to be
//! none is waited for, and from the orchestrator's FREEZE on nobody is granted any lock. One client that
//! keeps its lock there would keep everybody waiting, so the holders of a node that leaves have a limited
//! time, and then lose their locks: they are told so, and the fencing token guards what they do too late.

use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use models::maekawa::message::Epoch;
use tokio::time::Instant;

use crate::locks::{Maekawa, Message};
use crate::runtime::driver::Inbox;
use crate::runtime::sync::Mutex;
use crate::runtime::transport::{Deliver, Transport};

/// Sees epochs begin to end, and whether this node leaves.
#[derive(Debug)]
pub(crate) struct Draining {
    orchestrator: NodeId,
    patience: Duration,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The epoch that this node is in.
    current: Epoch,
    /// The epoch that is ending, and since when.
    ending: Option<(Epoch, Instant)>,
    /// The epoch in which this node has asked to be no member any more, and since when.
    leaving: Option<(Epoch, Instant)>,
}

impl Draining {
    pub(crate) fn new(orchestrator: NodeId, patience: Duration) -> Self {
        Self {
            orchestrator,
            patience,
            seen: Mutex::default(),
        }
    }

    fn hear(&self, from: NodeId, message: &Message) {
        if let Message::Freeze { epoch } = message
            && from == self.orchestrator
        {
            note(&mut self.seen.lock().ending, *epoch);
        }
    }

    fn say(&self, message: &Message) {
        if let Message::Deregister { epoch } = message {
            note(&mut self.seen.lock().leaving, *epoch);
        }
    }

    /// The node is in this epoch now.
    pub(crate) fn joined(&self, epoch: Epoch) {
        self.seen.lock().current = epoch;
    }

    /// Whether this node leaves, and those who hold locks have had the time to release them.
    pub(crate) fn is_over(&self) -> bool {
        let seen = self.seen.lock();
        [seen.ending, seen.leaving].into_iter().all(|noted| {
            let noted = noted.filter(|(epoch, _)| *epoch == seen.current);
            noted.is_some_and(|(_, since)| since.elapsed() >= self.patience)
        })
    }
}

/// Notes when the epoch was named for the first time.
fn note(noted: &mut Option<(Epoch, Instant)>, epoch: Epoch) {
    if noted.is_none_or(|(earlier, _)| earlier < epoch) {
        *noted = Some((epoch, Instant::now()));
    }
}

/// Hands messages to the node, and looks at them as they pass.
#[derive(Clone)]
pub(crate) struct Observed {
    pub(crate) inbox: Inbox<Maekawa>,
    pub(crate) draining: Arc<Draining>,
}

impl Deliver<Message> for Observed {
    fn deliver(&self, from: NodeId, message: Message) {
        self.draining.hear(from, &message);
        self.inbox.deliver(from, message);
    }
}

/// A transport that looks at what it is given.
pub(crate) struct ObservedTransport<T> {
    pub(crate) transport: T,
    pub(crate) draining: Arc<Draining>,
}

impl<T: Transport<Message>> Transport<Message> for ObservedTransport<T> {
    fn send(&mut self, to: NodeId, message: Message) {
        self.draining.say(&message);
        self.transport.send(to, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freeze(epoch: u64) -> Message {
        let epoch = Epoch(epoch);
        Message::Freeze { epoch }
    }

    fn deregister(epoch: u64) -> Message {
        let epoch = Epoch(epoch);
        Message::Deregister { epoch }
    }

    #[test]
    fn only_the_orchestrator_ends_an_epoch_and_only_the_one_that_is_in_force() {
        let draining = Draining::new(NodeId(0), Duration::ZERO);
        draining.joined(Epoch(2));
        draining.say(&deregister(2));
        draining.hear(NodeId(1), &freeze(2));
        draining.hear(NodeId(0), &freeze(1));
        assert!(!draining.is_over());
        draining.hear(NodeId(0), &freeze(2));
        assert!(draining.is_over());
        draining.joined(Epoch(3));
        draining.hear(NodeId(0), &freeze(2));
        assert!(!draining.is_over());
        let patient = Draining::new(NodeId(0), Duration::from_secs(60));
        patient.joined(Epoch(2));
        patient.say(&deregister(2));
        patient.hear(NodeId(0), &freeze(2));
        assert!(!patient.is_over());
    }

    #[test]
    fn who_stays_a_member_keeps_its_locks() {
        let draining = Draining::new(NodeId(0), Duration::ZERO);
        draining.joined(Epoch(2));
        draining.hear(NodeId(0), &freeze(2));
        assert!(!draining.is_over());
        draining.say(&deregister(1));
        assert!(!draining.is_over());
        draining.say(&deregister(2));
        assert!(draining.is_over());
    }
}
