//! Journals whose fsync returns when the test says so, or takes its time, or hangs; and
//! checkpoints that do.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use lockstep::runtime::journal::{
    Checkpoint, CheckpointError, Encode, Journal, JournalError, MemoryDisk, MemoryJournal,
    Recovered, Visitor,
};

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

    fn begin_checkpoint(&mut self) -> Result<Box<dyn Checkpoint>, JournalError> {
        self.inner.begin_checkpoint()
    }

    fn seal(&mut self) -> Result<(), JournalError> {
        self.inner.seal()
    }
}

/// How a [`TroubledJournal`] behaves. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Trouble(Arc<(Mutex<Troubles>, Condvar)>);

#[derive(Clone, Copy, Default)]
struct Troubles {
    /// Each flush takes so long.
    fsync: Duration,
    /// Flushes do not return.
    hangs: bool,
    /// Checkpoints wait before they write anything.
    checkpoint_waits: bool,
    /// Checkpoints fail instead.
    checkpoint_fails: bool,
    checkpoints_begun: usize,
    /// Seals fail.
    seal_fails: bool,
    seals: usize,
}

impl Trouble {
    pub(crate) fn set_fsync(&self, takes: Duration) {
        self.change(|troubles| troubles.fsync = takes);
    }

    pub(crate) fn set_hanging(&self, hangs: bool) {
        self.change(|troubles| troubles.hangs = hangs);
    }

    pub(crate) fn set_checkpoint_waiting(&self, waits: bool) {
        self.change(|troubles| troubles.checkpoint_waits = waits);
    }

    pub(crate) fn set_checkpoint_failing(&self, fails: bool) {
        self.change(|troubles| troubles.checkpoint_fails = fails);
    }

    pub(crate) fn set_seal_failing(&self, fails: bool) {
        self.change(|troubles| troubles.seal_fails = fails);
    }

    /// How often the journal was to be sealed.
    pub(crate) fn seals(&self) -> usize {
        self.0.0.lock().expect("no panic").seals
    }

    pub(crate) fn checkpoints_begun(&self) -> usize {
        self.0.0.lock().expect("no panic").checkpoints_begun
    }

    fn change(&self, change: impl FnOnce(&mut Troubles)) {
        change(&mut self.0.0.lock().expect("no panic"));
        self.0.1.notify_all();
    }

    fn wait_while(&self, condition: impl Fn(&Troubles) -> bool) -> Troubles {
        let troubles = self.0.0.lock().expect("no panic");
        let waited = self
            .0
            .1
            .wait_while(troubles, |troubles| condition(troubles));
        *waited.expect("no panic")
    }
}

/// A journal in front of which something is wrong.
pub(crate) struct TroubledJournal<J> {
    inner: J,
    trouble: Trouble,
}

impl<J: Journal> TroubledJournal<J> {
    pub(crate) fn new(inner: J, trouble: Trouble) -> Self {
        Self { inner, trouble }
    }
}

impl<J: Journal> Journal for TroubledJournal<J> {
    fn recover(&mut self, visit: &mut Visitor<'_>) -> Result<Recovered, JournalError> {
        self.inner.recover(visit)
    }

    fn append(&mut self, step: &[u8]) -> Result<(), JournalError> {
        self.inner.append(step)
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        let troubles = self.trouble.wait_while(|troubles| troubles.hangs);
        std::thread::sleep(troubles.fsync);
        self.inner.flush()
    }

    fn begin_checkpoint(&mut self) -> Result<Box<dyn Checkpoint>, JournalError> {
        let inner = self.inner.begin_checkpoint()?;
        let trouble = self.trouble.clone();
        trouble.change(|troubles| troubles.checkpoints_begun += 1);
        Ok(Box::new(TroubledCheckpoint { inner, trouble }))
    }

    fn seal(&mut self) -> Result<(), JournalError> {
        let troubles = self.trouble.wait_while(|troubles| troubles.hangs);
        self.trouble.change(|troubles| troubles.seals += 1);
        if troubles.seal_fails {
            return Err(JournalError::Io {
                doing: "writing",
                path: "the seal".into(),
                source: io::Error::other("no space left"),
            });
        }
        self.inner.seal()
    }
}

struct TroubledCheckpoint {
    inner: Box<dyn Checkpoint>,
    trouble: Trouble,
}

impl Checkpoint for TroubledCheckpoint {
    fn write(self: Box<Self>, encode: &mut Encode<'_>) -> Result<u64, CheckpointError> {
        let waits = |troubles: &Troubles| troubles.checkpoint_waits;
        if self.trouble.wait_while(waits).checkpoint_fails {
            return Err(CheckpointError {
                doing: "writing",
                path: "the troubled checkpoint".into(),
                source: io::Error::other("ENOSPC"),
            });
        }
        self.inner.write(encode)
    }
}
