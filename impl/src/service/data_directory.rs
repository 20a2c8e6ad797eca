//! What a data directory holds before a node starts from it: a member's journal, or nothing yet.
//!
//! An empty directory gets a disk id at once, in a file of its own, before anybody is told of it.
//! Once the journal is there, whose every segment bears the id, the file goes. So a directory
//! that has been emptied gets another id than it had, and one that never held a journal keeps its
//! own, however often its node is restarted.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use models::{DiskId, Durable, Protocol};

use crate::runtime::driver;
use crate::runtime::identity::{Identity, random_disk};
use crate::runtime::journal::{
    DirectoryLock, Entry, FileJournal, FileJournalOptions, Journal, JournalError, Store,
    remove_unused,
};
use crate::service::replacement;

/// The file with the id of a disk that holds no journal yet.
const DISK_FILE: &str = "disk";

/// What a data directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// The journal of a member.
    Journal(Identity),
    /// Nothing: this is the id of the empty disk.
    Nothing(DiskId),
}

/// Why a data directory is of no use.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The journal refuses.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file cannot be read or written.
    #[error("{path}: {source}; nothing was started. Check the permissions and the space there")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file with the disk id is not what was written.
    #[error(
        "{path} does not hold a disk id; nothing was started. If this node has never belonged to \
         a cluster, remove the file; else remove the node from its cluster and add another"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The journal is being replaced by another, and a file cannot be moved.
    #[error(
        "{path}: {source}; nothing was started. The journal in this data directory is being \
         replaced by another, and that is not ended: nothing is lost, and it goes on where it stopped as soon as the node is \
         started again. Check the permissions and the space there"
    )]
    Unfinished {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It cannot be set up for this node.
    #[error("{path}: {reason}; nothing was started")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The first entry could not be written.
    #[error("the journal was not begun: {0}")]
    Format(#[from] driver::FormatError),
}

impl DirectoryError {
    /// The operating system gave no random bytes.
    pub(crate) fn random(source: io::Error) -> Self {
        Self::Io {
            path: PathBuf::from("random bytes"),
            source,
        }
    }
}

/// Looks at a directory, and gives it a disk id if it is empty. A recovery that was cut short is
/// ended first.
///
/// # Errors
/// When it cannot be read or written.
pub fn examine(lock: &DirectoryLock) -> Result<Held, DirectoryError> {
    replacement::finish(lock)?;
    let directory = lock.directory();
    let file = directory.join(DISK_FILE);
    let known = read_disk(&file)?;
    match Store::of(directory)? {
        Some((_, identity)) if known.is_none() => Ok(Held::Journal(identity)),
        // A crash came before the file was removed: from here on the journal alone counts.
        Some((store, identity)) if has_entries(lock, store, &identity)? => {
            forget_disk(directory)?;
            Ok(Held::Journal(identity))
        }
        // A crash came before the first entry of a journal was on disk.
        Some(_) => {
            remove_unused(lock)?;
            known.map_or_else(|| new_disk(&file), |disk| Ok(Held::Nothing(disk)))
        }
        None => known.map_or_else(|| new_disk(&file), |disk| Ok(Held::Nothing(disk))),
    }
}

/// Begins the journal of the member that `identity` names, with what its protocol writes to an empty
/// disk, in a directory that holds nothing.
///
/// # Errors
/// When the directory holds something, or cannot be written. It holds nothing still, then.
pub fn format<P: Protocol>(
    lock: &DirectoryLock,
    identity: Identity,
    protocol: &P,
) -> Result<(), DirectoryError> {
    format_with::<P>(lock, identity, &protocol.format())
}

/// The same, with these records: what the protocol writes to an empty disk, and what its host has
/// added.
///
/// # Errors
/// As [`format`].
pub fn format_with<P: Protocol>(
    lock: &DirectoryLock,
    identity: Identity,
    records: &Vec<<P::Durable as Durable>::Record>,
) -> Result<(), DirectoryError> {
    let directory = lock.directory();
    let options = FileJournalOptions::default();
    let journal = FileJournal::in_locked(lock.clone(), identity, options);
    driver::format_with::<P>(records, journal)?;
    forget_disk(directory)
}

/// Removes the file of a disk that holds a journal: were the journal lost, the disk must not come
/// back under the same id.
fn forget_disk(directory: &Path) -> Result<(), DirectoryError> {
    let file = directory.join(DISK_FILE);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&file)(error)),
        _ => sync_directory(directory),
    }
}

fn has_entries(
    lock: &DirectoryLock,
    store: Store,
    identity: &Identity,
) -> Result<bool, DirectoryError> {
    let mut journal = store.journal(lock.clone(), identity.clone());
    let mut any = false;
    journal.recover(&mut |_: Entry<'_>| {
        any = true;
        Ok(())
    })?;
    Ok(any)
}

fn read_disk(file: &Path) -> Result<Option<DiskId>, DirectoryError> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(failed(file))?,
    };
    let disk = parse_disk(text.trim_end());
    disk.map(Some).ok_or_else(|| DirectoryError::Damaged {
        path: file.to_owned(),
    })
}

/// The disk id that 32 hexadecimal digits are.
pub(crate) fn parse_disk(text: &str) -> Option<DiskId> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = is_hex.then(|| u128::from_str_radix(text, 16).ok())??;
    Some(DiskId(value.to_be_bytes()))
}

/// A disk id for an empty directory, on disk before it is told to anybody.
fn new_disk(file: &Path) -> Result<Held, DirectoryError> {
    let disk = random_disk().map_err(failed(file))?;
    let unfinished = file.with_extension("unfinished");
    File::create(&unfinished)
        .and_then(|mut created| {
            writeln!(created, "{disk}")?;
            created.sync_all()
        })
        .and_then(|()| fs::rename(&unfinished, file))
        .map_err(failed(file))?;
    sync_directory(file.parent().unwrap_or(Path::new(".")))?;
    Ok(Held::Nothing(disk))
}

fn sync_directory(directory: &Path) -> Result<(), DirectoryError> {
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(failed(directory))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    let path = path.to_owned();
    move |source| DirectoryError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_directory_keeps_its_disk_id_and_an_emptied_one_gets_another() {
        let directory = tempfile::tempdir().expect("a folder");
        let lock = DirectoryLock::acquire(directory.path()).expect("free");
        let first = examine(&lock).expect("readable");
        assert_eq!(examine(&lock).expect("readable"), first);
        fs::remove_file(directory.path().join(DISK_FILE)).expect("removed");
        let second = examine(&lock).expect("readable");
        assert_ne!(second, first);
    }

    #[test]
    fn a_recovery_that_was_cut_short_is_ended_before_anything_else() {
        let directory = tempfile::tempdir().expect("a folder");
        let path = |name: &str| directory.path().join(name);
        let lock = DirectoryLock::acquire(directory.path()).expect("free");
        // Neither journal is one: were either looked at, it would be refused.
        fs::write(path("1.journal"), "old").expect("written");
        fs::create_dir(path("recovering")).expect("a folder");
        fs::write(path("recovering").join(DISK_FILE), "0".repeat(32)).expect("written");
        let plan = r#"{"kept":"before-recovery-1","old":["1.journal"]}"#;
        fs::write(path("recovery-plan"), plan).expect("written");
        let held = examine(&lock).expect("readable");
        assert_eq!(held, Held::Nothing(DiskId::default()));
        assert!(path("before-recovery-1").join("1.journal").exists());
        assert!(!path("recovery-plan").exists());
    }

    #[test]
    fn a_damaged_disk_id_is_refused() {
        let directory = tempfile::tempdir().expect("a folder");
        let lock = DirectoryLock::acquire(directory.path()).expect("free");
        fs::write(directory.path().join(DISK_FILE), "0123\n").expect("written");
        let error = examine(&lock).expect_err("refused");
        assert!(matches!(error, DirectoryError::Damaged { .. }), "{error}");
    }
}
