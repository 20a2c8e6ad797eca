//! Journals in temporary directories, and what can happen to them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lockstep::runtime::journal::{
    Entry, FileJournal, FileJournalOptions, Journal, JournalError, Recovered,
};
use lockstep::{ClusterId, Identity};
use models::{DiskId, NodeId};

pub(crate) fn identity() -> Identity {
    Identity {
        cluster: "blue".into(),
        cluster_id: ClusterId([7; 16]),
        protocol: "counter".into(),
        version: 1,
        node: NodeId(1),
        disk: DiskId([1; 16]),
    }
}

/// Small segments, so that tests rotate; no preallocation, so that a byte offset is a cut.
pub(crate) fn small(segment_bytes: u64, preallocate_bytes: u64) -> FileJournalOptions {
    FileJournalOptions {
        segment_bytes,
        preallocate_bytes,
    }
}

/// An entry that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owned {
    Step(Vec<u8>),
    Checkpoint(Vec<u8>),
}

pub(crate) fn steps(payloads: &[&[u8]]) -> Vec<Owned> {
    payloads
        .iter()
        .map(|bytes| Owned::Step(bytes.to_vec()))
        .collect()
}

/// Opens the journal in `directory` and returns it with everything it remembers.
pub(crate) fn open(
    directory: &Path,
    options: FileJournalOptions,
) -> Result<(FileJournal, Vec<Owned>, Recovered), JournalError> {
    let mut journal = FileJournal::open(directory, identity(), options)?;
    let (entries, recovered) = recover(&mut journal)?;
    Ok((journal, entries, recovered))
}

/// Opens the journal in `directory` for a node, which recovers it itself.
pub(crate) fn open_unrecovered(directory: &Path, options: FileJournalOptions) -> FileJournal {
    FileJournal::open(directory, identity(), options).expect("opens")
}

/// Recovers a journal of any kind.
pub(crate) fn recover(journal: &mut impl Journal) -> Result<(Vec<Owned>, Recovered), JournalError> {
    let mut entries = Vec::new();
    let recovered = journal.recover(&mut |entry| {
        entries.push(match entry {
            Entry::Step(bytes) => Owned::Step(bytes.to_vec()),
            Entry::Checkpoint(bytes) => Owned::Checkpoint(bytes.to_vec()),
        });
        Ok(())
    })?;
    Ok((entries, recovered))
}

/// Takes a checkpoint of a state, and waits for it.
pub(crate) fn checkpoint(journal: &mut impl Journal, state: &[u8]) {
    let begun = journal.begin_checkpoint().expect("begins");
    let written = begun.write(&mut |out| out.write_all(state));
    assert_eq!(written.expect("writes"), state.len() as u64);
}

/// Writes each group of steps with one flush.
pub(crate) fn write_groups(directory: &Path, options: FileJournalOptions, groups: &[Vec<Vec<u8>>]) {
    let (mut journal, _, _) = open(directory, options).expect("opens");
    for group in groups {
        for step in group {
            journal.append(step).expect("appends");
        }
        journal.flush().expect("flushes");
    }
}

/// The segments of a journal, oldest first.
pub(crate) fn segments(directory: &Path) -> Vec<PathBuf> {
    contents(directory)
        .into_keys()
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "journal"))
        .collect()
}

/// A directory with these files, and nothing else.
pub(crate) fn directory_of(contents: &BTreeMap<PathBuf, Vec<u8>>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("tempdir");
    for (path, bytes) in contents {
        let name = path.file_name().expect("a name");
        fs::write(directory.path().join(name), bytes).expect("writes");
    }
    directory
}

pub(crate) fn newest_segment(directory: &Path) -> PathBuf {
    segments(directory).pop().expect("a segment")
}

/// Every file but the lock with its bytes: to show that a refusal changed nothing.
pub(crate) fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| !path.ends_with("lock"))
        .map(|path| (path.clone(), fs::read(path).expect("a file")))
        .collect()
}

/// Asserts that opening refuses, says so in words containing `says`, and changes no file.
pub(crate) fn check_refused(directory: &Path, options: FileJournalOptions, says: &str) {
    let before = contents(directory);
    let error = open(directory, options).map(|_| ()).expect_err("refused");
    assert!(
        error.to_string().contains(says),
        "`{error}` does not say `{says}`"
    );
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    assert!(contents(directory) == before, "a refusal changed files");
}
