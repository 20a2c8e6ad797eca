//! How long an epoch that ends waits for those who hold locks.
//!
//! From the orchestrator's FREEZE on nobody is granted any lock until all members have left the epoch's
//! critical sections. One client that keeps its lock would keep everybody waiting, so holders have a
//! limited time, and then lose their locks: they are told so, and the fencing token guards what they do
//! too late.

use std::time::Duration;

use models::NodeId;
use models::maekawa::message::Epoch;
use tokio::time::Instant;

use crate::locks::{Maekawa, Message};
use crate::runtime::driver::Inbox;
use crate::runtime::sync::Mutex;
use crate::runtime::transport::Deliver;

/// Sees epochs begin to end.
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
            let mut seen = self.seen.lock();
            if seen.ending.is_none_or(|(ending, _)| ending < *epoch) {
                seen.ending = Some((*epoch, Instant::now()));
            }
        }
    }

    /// The node is in this epoch now.
    pub(crate) fn joined(&self, epoch: Epoch) {
        self.seen.lock().current = epoch;
    }

    /// Whether those who hold locks have had the time to release them.
    pub(crate) fn is_over(&self) -> bool {
        let seen = self.seen.lock();
        let ending = seen.ending.filter(|(epoch, _)| *epoch == seen.current);
        ending.is_some_and(|(_, since)| since.elapsed() >= self.patience)
    }
}

/// Hands messages to the node, and looks at them as they pass.
#[derive(Clone)]
pub(crate) struct Observed {
    pub(crate) inbox: Inbox<Maekawa>,
    pub(crate) draining: std::sync::Arc<Draining>,
}

impl Deliver<Message> for Observed {
    fn deliver(&self, from: NodeId, message: Message) {
        self.draining.hear(from, &message);
        self.inbox.deliver(from, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_orchestrator_ends_an_epoch_and_only_the_one_that_is_in_force() {
        let freeze = |epoch| Message::Freeze {
            epoch: Epoch(epoch),
        };
        let draining = Draining::new(NodeId(0), Duration::ZERO);
        draining.joined(Epoch(2));
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
        patient.hear(NodeId(0), &freeze(2));
        assert!(!patient.is_over());
    }
}
