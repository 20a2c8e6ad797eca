//! What can go wrong with a journal, whether anything changed, and what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why a journal refuses.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory is in use.
    #[error(
        "the journal in {directory} is in use by another process; nothing was changed. \
         Stop that process, or give this node a directory of its own"
    )]
    Locked {
        /// The journal's directory.
        directory: PathBuf,
    },

    /// The journal belongs to somebody else.
    #[error(
        "the file {segment} belongs to another node: {difference}; nothing was changed. \
         Point this node at its own directory, or start it under the identity that wrote this one"
    )]
    WrongIdentity {
        /// The segment or checkpoint.
        segment: PathBuf,
        /// What differs.
        difference: String,
    },

    /// Another version of this program wrote the journal.
    #[error(
        "the file {segment} has format {found}, this program reads formats {oldest} to {newest}; \
         nothing was changed. Open it with the program that wrote it"
    )]
    WrongFormat {
        /// The segment or checkpoint.
        segment: PathBuf,
        /// The format of the file.
        found: u16,
        /// The oldest format that this program reads.
        oldest: u16,
        /// The newest, which it writes.
        newest: u16,
    },

    /// Something that was durable once no longer is.
    #[error(
        "the file {segment} is damaged at byte {offset}: {what}; nothing was changed. \
         This is no interrupted write: entries that were durable once are lost or altered, so \
         going on could break promises that this node has made. Restore the directory from a \
         copy, or remove this node from its cluster and add a new one in its place"
    )]
    Damaged {
        /// The segment or checkpoint.
        segment: PathBuf,
        /// Where the damage begins.
        offset: u64,
        /// What is wrong.
        what: String,
    },

    /// Something that was durable once no longer is.
    #[error(
        "the database {path} is damaged: {what}; nothing was changed. Entries that were durable \
         once are lost or altered, so going on could break promises that this node has made. \
         Restore the directory from a copy, or remove this node from its cluster and add a new \
         one in its place"
    )]
    DamagedDatabase {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },

    /// A directory holds two journals.
    #[error(
        "{directory} holds a journal in files and another in a database; nothing was changed. \
         Move away the one that is not this node's"
    )]
    Two {
        /// The directory.
        directory: PathBuf,
    },

    /// An intact entry could not be understood.
    #[error(
        "an intact entry could not be understood: {reason}; nothing was changed. It was written \
         by a program with other record types: open it with that one"
    )]
    NotUnderstood {
        /// What the visitor said.
        reason: String,
    },

    /// An entry is larger than the format allows.
    #[error(
        "an entry of {bytes} bytes is more than the {limit} that a frame can hold; it was not \
         written, and the journal is stopped. Make the steps of this node write less"
    )]
    TooLarge {
        /// The entry's size.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },

    /// The operating system refused.
    #[error(
        "{doing} {path} failed: {source}; what was not confirmed before may or may not be on \
         disk. The journal is stopped: repair the cause and restart, recovery will tell"
    )]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// An earlier error has stopped the journal.
    #[error(
        "the journal was stopped by an earlier error; nothing was written. Restart the node: \
         recovery will tell what is on disk"
    )]
    Dead,

    /// The journal was used before it was recovered, or recovered twice.
    #[error("the journal must be recovered exactly once, and first; nothing was changed")]
    NotRecovered,
}

/// Why a checkpoint was not taken.
#[derive(Debug, thiserror::Error)]
#[error(
    "the checkpoint was not taken, for {doing} {path} failed: {source}; nothing is lost: what it \
     was to replace is kept, and takes space until a checkpoint succeeds"
)]
pub struct CheckpointError {
    /// What was being done.
    pub doing: &'static str,
    /// To which file or directory.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

impl CheckpointError {
    /// For `map_err`: which operation on which path failed.
    pub(super) fn new(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            doing,
            path,
            source,
        }
    }
}

impl JournalError {
    /// For `map_err`: which operation on which path failed.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }

    pub(super) fn damaged_database(path: &Path, what: impl Into<String>) -> Self {
        Self::DamagedDatabase {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    pub(super) fn damaged(segment: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Damaged {
            segment: segment.to_owned(),
            offset,
            what: what.into(),
        }
    }
}
