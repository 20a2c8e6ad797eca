//! The journal thread: puts frames on disk, many steps with one fsync.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use models::Protocol;

use super::checkpoint_writer::Begun;
use super::node_handle::{Failure, Shared};
use crate::runtime::gate::Ticket;
use crate::runtime::journal::{Journal, JournalError};
use crate::runtime::metrics::Metrics;

/// At most so many batches go with one fsync, so that a busy stepper cannot put it off.
const GROUP: usize = 64;

/// What the stepper wants on disk.
pub(super) struct Work<D> {
    pub(super) frames: Vec<Vec<u8>>,
    /// The durable state after these frames, where a checkpoint of it is to be taken.
    pub(super) checkpoint: Option<D>,
    /// The number of the last frame.
    pub(super) ticket: Ticket,
}

pub(super) struct Journaling<P: Protocol, J> {
    pub(super) journal: J,
    pub(super) work: Receiver<Work<P::Durable>>,
    pub(super) checkpoints: Sender<Begun<P::Durable>>,
    pub(super) shared: Arc<Shared<P>>,
    pub(super) metrics: Arc<Metrics>,
}

impl<P: Protocol, J: Journal> Journaling<P, J> {
    /// Runs until the stepper has ended and everything is on disk; seals the journal then.
    pub(super) fn run(mut self) {
        while let Ok(first) = self.work.recv() {
            self.metrics.flushes.begin();
            let committed = self.commit(first);
            let took = self.metrics.flushes.end();
            self.shared.slow_disk.ended(took, &self.metrics);
            match committed {
                Ok(ticket) => self.shared.gate.advance(ticket),
                Err(error) => return self.shared.fail(Failure::Journal(Arc::new(error))),
            }
        }
        if self.shared.has_not_failed() {
            self.seal();
        }
    }

    /// Everything is on disk already: a seal that cannot be had costs nothing but what it would
    /// show.
    fn seal(&mut self) {
        // Whoever stops the node looks here whether its disk hangs.
        self.metrics.flushes.begin();
        let sealed = self.journal.seal();
        self.metrics.flushes.end();
        if let Err(error) = sealed {
            tracing::warn!(%error, "the journal is on disk, and not sealed");
        }
    }

    /// Group commit: everything that has queued up since the last fsync goes with this one.
    fn commit(&mut self, first: Work<P::Durable>) -> Result<Ticket, JournalError> {
        let mut ticket = self.append(first)?;
        for _ in 1..GROUP {
            let Ok(next) = self.work.try_recv() else {
                break;
            };
            ticket = self.append(next)?;
        }
        self.journal.flush()?;
        self.metrics.journal_flushes.inc();
        Ok(ticket)
    }

    fn append(&mut self, work: Work<P::Durable>) -> Result<Ticket, JournalError> {
        for frame in &work.frames {
            self.journal.append(frame)?;
        }
        if let Some(state) = work.checkpoint {
            let file = self.journal.begin_checkpoint()?;
            // Without its thread there is no checkpoint, and the node has failed already.
            let _ = self.checkpoints.send(Begun { file, state });
        }
        Ok(work.ticket)
    }
}
