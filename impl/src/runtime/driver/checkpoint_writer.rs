//! Checkpoints: when one is worth taking, and the thread that writes it beside the node.
//!
//! The stepper hands over a clone of the durable state, which is cheap where the state shares
//! its parts; the journal begins the checkpoint between two frames; this thread does what takes
//! as long as the state is large: encoding it, writing it, and dropping the clone.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use models::Protocol;

use super::node_handle::Shared;
use super::recovery::Memory;
use crate::runtime::codec;
use crate::runtime::journal::{Checkpoint, CheckpointError};
use crate::runtime::metrics::Metrics;

/// A checkpoint that failed is tried again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Decides when the durable state is worth writing out whole. One checkpoint at a time.
pub(super) struct Checkpoints {
    /// No checkpoint before the steps since the last one take this many bytes. 0 for never.
    after_bytes: u64,
    last_bytes: u64,
    step_bytes: u64,
    /// While one is being taken: what the steps took that it replaces.
    under_way: Option<u64>,
    not_before: Duration,
    outcomes: Receiver<Outcome>,
}

/// What became of a checkpoint: the bytes that the state takes, or none where it failed.
pub(super) type Outcome = Option<u64>;

impl Checkpoints {
    pub(super) fn new<D>(
        after_bytes: u64,
        memory: &Memory<D>,
        outcomes: Receiver<Outcome>,
    ) -> Self {
        Self {
            after_bytes,
            last_bytes: memory.checkpoint_bytes,
            step_bytes: memory.step_bytes,
            under_way: None,
            not_before: Duration::ZERO,
            outcomes,
        }
    }

    /// Counts what a step appends to the journal.
    pub(super) fn count(&mut self, bytes: u64) {
        self.step_bytes += bytes;
    }

    /// Whether to begin one now; it counts as begun then. Waits for twice the last checkpoint,
    /// so that a large state is not written over and over.
    pub(super) fn begin_if_due(&mut self, now: Duration) -> bool {
        self.learn(now);
        let due = self.after_bytes > 0
            && self.under_way.is_none()
            && now >= self.not_before
            && self.step_bytes >= self.after_bytes.max(2 * self.last_bytes);
        if due {
            self.under_way = Some(std::mem::take(&mut self.step_bytes));
        }
        due
    }

    fn learn(&mut self, now: Duration) {
        let Ok(outcome) = self.outcomes.try_recv() else {
            return;
        };
        let replaced = self.under_way.take().unwrap_or(0);
        match outcome {
            Some(bytes) => self.last_bytes = bytes,
            None => {
                self.step_bytes += replaced;
                self.not_before = now + RETRY_AFTER;
            }
        }
    }
}

/// A checkpoint that the journal has begun, and the state that it is to hold.
pub(super) struct Begun<D> {
    pub(super) file: Box<dyn Checkpoint>,
    pub(super) state: D,
}

/// The checkpoint thread.
pub(super) struct Checkpointing<P: Protocol> {
    pub(super) work: Receiver<Begun<P::Durable>>,
    pub(super) outcomes: Sender<Outcome>,
    pub(super) shared: Arc<Shared<P>>,
    pub(super) metrics: Arc<Metrics>,
}

impl<P: Protocol> Checkpointing<P> {
    /// Runs until the journal thread has ended.
    pub(super) fn run(self) {
        while let Ok(begun) = self.work.recv() {
            let outcome = self.take(begun);
            // A stepper that has ended does not care.
            let _ = self.outcomes.send(outcome);
        }
    }

    fn take(&self, begun: Begun<P::Durable>) -> Outcome {
        let started = Instant::now();
        let Begun { file, state } = begun;
        let written = file.write(&mut |out| self.encode(&state, out));
        // As long as the stepper has changed the state meanwhile, this frees what is left of
        // it: here, where nobody waits.
        drop(state);
        match written {
            Ok(bytes) => {
                self.metrics.checkpoints.inc();
                tracing::info!(bytes, took = ?started.elapsed(), "a checkpoint is taken");
                Some(bytes)
            }
            Err(_) if self.shared.is_stopping() => None,
            Err(error) => {
                self.complain(&error);
                None
            }
        }
    }

    fn encode(&self, state: &P::Durable, out: &mut dyn Write) -> io::Result<()> {
        let mut out = UntilStopped {
            out,
            shared: &self.shared,
        };
        codec::encode_to(state, &mut out)
    }

    fn complain(&self, error: &CheckpointError) {
        self.metrics.checkpoints_failed.inc();
        tracing::error!(%error, again_in = ?RETRY_AFTER, "a checkpoint has failed");
    }
}

/// Fails once the node is to stop, which should not take as long as the state is large.
struct UntilStopped<'a, P: Protocol> {
    out: &'a mut dyn Write,
    shared: &'a Shared<P>,
}

impl<P: Protocol> Write for UntilStopped<'_, P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.shared.is_stopping() {
            return Err(io::Error::other("the node stops"));
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_checkpoint_is_due_again_when_as_much_has_changed_or_a_failure_is_some_time_ago() {
        let (tell, outcomes) = mpsc::channel();
        let memory = Memory {
            durable: (),
            checkpoint_bytes: 0,
            step_bytes: 0,
        };
        let mut checkpoints = Checkpoints::new(100, &memory, outcomes);
        let at = Duration::from_secs;
        assert!(!checkpoints.begin_if_due(at(0)));
        checkpoints.count(100);
        assert!(checkpoints.begin_if_due(at(0)));
        checkpoints.count(1000);
        assert!(!checkpoints.begin_if_due(at(1)), "one is under way");
        tell.send(Some(700)).expect("listens");
        assert!(!checkpoints.begin_if_due(at(1)), "less than twice 700");
        checkpoints.count(400);
        assert!(checkpoints.begin_if_due(at(1)));
        tell.send(None).expect("listens");
        assert!(!checkpoints.begin_if_due(at(2)), "it has just failed");
        assert!(!checkpoints.begin_if_due(at(11)));
        assert!(checkpoints.begin_if_due(at(12)), "nothing more was written");
    }
}
