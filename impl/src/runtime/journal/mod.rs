//! The write-ahead log: what a node remembers.
//!
//! A journal stores *entries*: the records of one step, or a checkpoint that replaces all
//! entries before it. It knows nothing of what they mean. [`FileJournal`] keeps them on a
//! disk, [`DatabaseJournal`] in an embedded database, [`MemoryJournal`] in memory, where a simulated crash can lose what was not flushed.
//!
//! **A checkpoint delays no append and no flush**: it is begun in the journal's order and then
//! written beside, by another thread, however large it is. Until it is there, what it is to
//! replace is kept.
//!
//! **A journal that a node leaves in order is sealed**: a bad last entry is damage then, and no
//! interrupted write.

use std::io;

mod checkpoint;
mod database;
mod error;
mod file;
mod frame;
mod memory;
mod recovery;
mod seal;
mod segment;
mod store;

pub use database::DatabaseJournal;
pub use error::{CheckpointError, JournalError};
pub use file::{DirectoryLock, FileJournal, FileJournalOptions};
pub use memory::{MemoryDisk, MemoryJournal};
pub use store::{Store, is_part_of_journal, remove_unused};

/// One entry of a journal, as recovery hands it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The encoded records of one step. All of them survive a crash, or none.
    Step(&'a [u8]),
    /// The encoded durable state. It replaces every entry before it.
    Checkpoint(&'a [u8]),
}

/// What [`Journal::recover`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// How many entries were handed to the visitor.
    pub entries: u64,
    /// How many bytes of a torn tail were cut off: writes that a crash interrupted, and that
    /// nobody was ever told of.
    pub torn_bytes: u64,
}

/// Sees the entries of a journal during recovery, oldest first. A visitor that cannot make
/// sense of an entry says why, and the recovery is refused.
pub type Visitor<'a> = dyn FnMut(Entry<'_>) -> Result<(), String> + 'a;

/// A write-ahead log.
///
/// **After any error a journal is dead**: it refuses everything, because nobody can know
/// what the disk holds. Start again and recover.
pub trait Journal: Send + 'static {
    /// Hands every entry that survived to `visit`, oldest first, and opens the journal for
    /// appending. Must be called once, before anything else.
    ///
    /// # Errors
    /// When the journal is damaged or cannot be read. Nothing was changed then.
    fn recover(&mut self, visit: &mut Visitor<'_>) -> Result<Recovered, JournalError>;

    /// Appends the records of one step. They are not durable before [`Journal::flush`].
    ///
    /// # Errors
    /// When the journal is dead or the disk refuses.
    fn append(&mut self, step: &[u8]) -> Result<(), JournalError>;

    /// Puts everything appended on disk. Durable when it returns.
    ///
    /// # Errors
    /// When the journal is dead or the disk refuses.
    fn flush(&mut self) -> Result<(), JournalError>;

    /// Puts everything appended so far on disk, and begins a checkpoint that replaces it.
    /// Takes no longer for a large state than for a small one: the state is written by
    /// whoever calls [`Checkpoint::write`], on any thread, while the journal goes on. A
    /// checkpoint that is dropped instead leaves everything as it is.
    ///
    /// One is taken at a time: the next is begun when the last was written or dropped.
    ///
    /// # Errors
    /// When the journal is dead or the disk refuses.
    fn begin_checkpoint(&mut self) -> Result<Box<dyn Checkpoint>, JournalError>;

    /// Puts everything appended on disk, and leaves word there that it was: for a node that stops
    /// in order. An entry that is lost or altered from then on is known to be no interrupted write.
    ///
    /// # Errors
    /// When the journal is dead or the disk refuses. What was flushed before is on disk all the
    /// same.
    fn seal(&mut self) -> Result<(), JournalError>;
}

/// Writes the state that a checkpoint consists of.
pub type Encode<'a> = dyn FnMut(&mut dyn io::Write) -> io::Result<()> + 'a;

/// A checkpoint that has been begun.
pub trait Checkpoint: Send {
    /// Writes the state as `encode` gives it, durably, then removes what it replaces. Returns
    /// the state's size in bytes. The state must be the one that all entries make which had
    /// been appended when the checkpoint was begun, and no later one.
    ///
    /// # Errors
    /// When `encode` fails or the disk refuses. Everything that the checkpoint was to replace
    /// is still there, and the journal goes on.
    fn write(self: Box<Self>, encode: &mut Encode<'_>) -> Result<u64, CheckpointError>;
}

impl Journal for Box<dyn Journal> {
    fn recover(&mut self, visit: &mut Visitor<'_>) -> Result<Recovered, JournalError> {
        (**self).recover(visit)
    }
    fn append(&mut self, step: &[u8]) -> Result<(), JournalError> {
        (**self).append(step)
    }
    fn flush(&mut self) -> Result<(), JournalError> {
        (**self).flush()
    }
    fn begin_checkpoint(&mut self) -> Result<Box<dyn Checkpoint>, JournalError> {
        (**self).begin_checkpoint()
    }
    fn seal(&mut self) -> Result<(), JournalError> {
        (**self).seal()
    }
}
