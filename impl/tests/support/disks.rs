//! A journal whose fsync returns when the test says so.

use std::sync::mpsc::{self, Receiver, Sender};

use lockstep::journal::{Journal, JournalError, MemoryDisk, MemoryJournal, Recovered, Visitor};

/// Lets fsyncs of a [`SlowJournal`] return, one by one.
pub(crate) struct Fsyncs {
    outcomes: Sender<bool>,
    started: Receiver<()>,
}

/// A journal in memory whose flushes wait to be told how they end.
pub(crate) struct SlowJournal {
    inner: MemoryJournal,
    outcomes: Receiver<bool>,
    started: Sender<()>,
}

pub(crate) fn slow_journal(disk: MemoryDisk) -> (SlowJournal, Fsyncs) {
    let (outcomes, told) = mpsc::channel();
    let (tell, started) = mpsc::channel();
    let journal = SlowJournal {
        inner: MemoryJournal::new(disk),
        outcomes: told,
        started: tell,
    };
    (journal, Fsyncs { outcomes, started })
}

impl Fsyncs {
    /// Waits until an fsync has begun.
    pub(crate) fn wait_for_one(&self) {
        self.started.recv().expect("a journal");
    }

    pub(crate) fn succeed(&self) {
        self.outcomes.send(true).expect("a journal");
    }

    pub(crate) fn fail(&self) {
        self.outcomes.send(false).expect("a journal");
    }
}

impl Journal for SlowJournal {
    fn recover(&mut self, visit: &mut Visitor<'_>) -> Result<Recovered, JournalError> {
        self.inner.recover(visit)
    }

    fn append(&mut self, step: &[u8]) -> Result<(), JournalError> {
        self.inner.append(step)
    }

    /// Fails too when the test is over and nobody says how it ends.
    fn flush(&mut self) -> Result<(), JournalError> {
        let _ = self.started.send(());
        if self.outcomes.recv() == Ok(true) {
            self.inner.flush()
        } else {
            Err(JournalError::Io {
                doing: "flushing",
                path: "the slow journal".into(),
                source: std::io::Error::other("EIO"),
            })
        }
    }

    fn checkpoint(&mut self, state: &[u8]) -> Result<(), JournalError> {
        self.inner.checkpoint(state)
    }
}
