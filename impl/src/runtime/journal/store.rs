//! How a journal is kept on a disk, and which a directory holds.

use std::fmt::{self, Display};
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::database::{self, DatabaseJournal};
use super::segment::{self, Kind};
use super::{DirectoryLock, FileJournal, FileJournalOptions, Journal, JournalError, seal};
use crate::runtime::identity::Identity;

/// How a journal is kept on a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// In files of its own format: [`FileJournal`].
    #[default]
    Files,
    /// In an embedded database: [`DatabaseJournal`].
    Database,
}

impl Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "files",
            Self::Database => "database",
        })
    }
}

impl Store {
    /// How the journal in `directory` is kept, and whose it is; `None` if there is none.
    ///
    /// # Errors
    /// When there is one that cannot be read or has another format, or there are two.
    pub fn of(directory: &Path) -> Result<Option<(Self, Identity)>, JournalError> {
        let files = FileJournal::owner(directory)?.map(|owner| (Self::Files, owner));
        let database = DatabaseJournal::owner(directory)?.map(|owner| (Self::Database, owner));
        match (files, database) {
            (Some(_), Some(_)) => Err(JournalError::Two {
                directory: directory.to_owned(),
            }),
            (files, database) => Ok(files.or(database)),
        }
    }

    /// The journal that is kept so in a directory. Nothing is read yet.
    pub fn journal(self, lock: DirectoryLock, identity: Identity) -> Box<dyn Journal> {
        match self {
            Self::Files => {
                let options = FileJournalOptions::default();
                Box::new(FileJournal::in_locked(lock, identity, options))
            }
            Self::Database => Box::new(DatabaseJournal::in_locked(lock, identity)),
        }
    }
}

/// Whether a file of this name in a data directory is part of the journal there.
pub fn is_part_of_journal(name: &str) -> bool {
    let path = Path::new(name);
    let kinds = [Kind::Segment, Kind::Checkpoint];
    let is_numbered = |kind: Kind| path.extension().is_some_and(|found| found == kind.suffix());
    let place = Path::new("");
    kinds.into_iter().any(is_numbered) || path == seal::path(place) || path == database::path(place)
}

/// Removes a journal that has no entry: nobody was ever told of it. The caller has seen that there
/// is none, and holds the lock.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove_unused(lock: &DirectoryLock) -> Result<(), JournalError> {
    let directory = lock.directory();
    let failed = || JournalError::io("removing the journal in", directory);
    for entry in fs::read_dir(directory).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if entry.file_name().to_str().is_some_and(is_part_of_journal) {
            fs::remove_file(entry.path()).map_err(failed())?;
        }
    }
    segment::sync_directory(directory)
}
