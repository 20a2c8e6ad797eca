//! A journal that is to be kept in another way than it is: it is written anew, whole, and then put in
//! the place of the one there is, as one step.

use std::path::PathBuf;

use crate::runtime::identity::Identity;
use crate::runtime::journal::{
    DirectoryLock, Entry, Journal, JournalError, Store, is_part_of_journal,
};
use crate::service::data_directory::DirectoryError;
use crate::service::replacement;

/// Moves the journal in a data directory from one store to another. Returns the folder that keeps
/// the one there was.
///
/// # Errors
/// When one cannot be read, or the other not written. Either nothing has changed then, or the next
/// start goes on.
pub(crate) fn move_journal(
    lock: &DirectoryLock,
    identity: &Identity,
    from: Store,
    to: Store,
) -> Result<PathBuf, DirectoryError> {
    let fresh = replacement::begin(lock)?;
    let old = from.journal(lock.clone(), identity.clone());
    let new = to.journal(DirectoryLock::acquire(&fresh)?, identity.clone());
    copy(old, new)?;
    let kept = free_name(lock, from);
    replacement::replace(lock, &kept, &is_part_of_journal)
}

fn copy(mut old: impl Journal, mut new: impl Journal) -> Result<(), JournalError> {
    new.recover(&mut |_| Ok(()))?;
    let mut failure = None;
    let copied = old.recover(&mut |entry| {
        put(entry, &mut new).map_err(|error| {
            let words = error.to_string();
            failure = Some(error);
            words
        })
    });
    match failure {
        Some(error) => Err(error),
        None => copied.map(drop),
    }?;
    new.seal()
}

fn put(entry: Entry<'_>, new: &mut impl Journal) -> Result<(), JournalError> {
    match entry {
        Entry::Step(records) => new.append(records),
        Entry::Checkpoint(state) => {
            let written = new
                .begin_checkpoint()?
                .write(&mut |out| out.write_all(state));
            let failed = |error: crate::runtime::journal::CheckpointError| {
                JournalError::io(error.doing, &error.path)(error.source)
            };
            written.map(drop).map_err(failed)
        }
    }
}

/// A name that no folder has yet.
fn free_name(lock: &DirectoryLock, from: Store) -> String {
    let name = |number| format!("journal-in-{from}-{number}");
    let is_free = |number: &u64| !lock.directory().join(name(*number)).exists();
    name((1..).find(is_free).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use models::{DiskId, NodeId};

    use super::*;
    use crate::runtime::identity::ClusterId;

    fn identity() -> Identity {
        Identity {
            cluster: "blue".into(),
            cluster_id: ClusterId([7; 16]),
            protocol: "counter".into(),
            version: 1,
            node: NodeId(1),
            disk: DiskId([1; 16]),
        }
    }

    /// The state and the steps that a store remembers.
    fn entries(store: Store, lock: &DirectoryLock) -> Vec<(bool, Vec<u8>)> {
        let mut entries = Vec::new();
        let mut journal = store.journal(lock.clone(), identity());
        let recovered = journal.recover(&mut |entry| {
            entries.push(match entry {
                Entry::Checkpoint(state) => (true, state.to_vec()),
                Entry::Step(step) => (false, step.to_vec()),
            });
            Ok(())
        });
        recovered.expect("recovers");
        entries
    }

    #[test]
    fn a_journal_goes_from_files_to_a_database_and_back_and_stays_the_same() {
        let directory = tempfile::tempdir().expect("a folder");
        let lock = DirectoryLock::acquire(directory.path()).expect("free");
        std::fs::write(directory.path().join("members"), "others'").expect("written");
        let mut journal = Store::Files.journal(lock.clone(), identity());
        journal.recover(&mut |_| Ok(())).expect("is new");
        journal.append(b"first").expect("appends");
        let begun = journal.begin_checkpoint().expect("begins");
        begun
            .write(&mut |out| out.write_all(b"state"))
            .expect("writes");
        journal.append(b"second").expect("appends");
        journal.append(b"third").expect("appends");
        journal.seal().expect("seals");
        drop(journal);
        let before = entries(Store::Files, &lock);
        assert_eq!(before.len(), 3);
        for (from, to) in [
            (Store::Files, Store::Database),
            (Store::Database, Store::Files),
        ] {
            let kept = move_journal(&lock, &identity(), from, to).expect("moves");
            assert_eq!(
                Store::of(directory.path()).expect("one"),
                Some((to, identity()))
            );
            assert_eq!(Store::of(&kept).expect("one"), Some((from, identity())));
            assert_eq!(entries(to, &lock), before);
            assert!(directory.path().join("members").exists());
        }
    }
}
