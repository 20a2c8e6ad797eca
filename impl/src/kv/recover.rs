//! The last resort when the disks of a majority are lost for good: makes a cluster of its own of
//! what one node has.
//!
//! **What the others had acknowledged and this node has not is lost**, and what it has and nobody
//! had committed becomes committed: nobody is left who could tell. So the new cluster has an id of
//! its own, and no node of the old one will talk to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use models::raft::configuration::Configuration;
use models::raft::log::{Content, Entry, Index};
use models::raft::state::{Persistent, Record};
use models::{DiskId, NodeId};

use super::config::{Config, Fault};
use super::data_directory::{self, DirectoryError, Held};
use super::machine::Command;
use super::members::Addresses;
use super::{Kv, KvRaft};
use crate::codec;
use crate::driver::{FormatError, recall};
use crate::identity::{ClusterId, Identity, random_disk};
use crate::journal::{DirectoryLock, FileJournal, FileJournalOptions, Journal, JournalError};

/// Why nothing was recovered. The data directory is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The node is not in the file.
    #[error(transparent)]
    Config(#[from] Fault),
    /// The data directory is of no use.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The journal refuses.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is nothing to recover from.
    #[error("the data directory {0} is empty: there is nothing to recover; nothing was changed")]
    Nothing(PathBuf),
    /// A file cannot be renamed or written.
    #[error("{doing} {path} failed: {source}. The data is in {path}, or beside it, complete")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// What was recovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The new cluster.
    pub cluster_id: ClusterId,
    /// Where the data directory is kept as it was.
    pub kept: PathBuf,
    /// The last entry of the log that the node had: this and all before it is what there is.
    pub last_index: Index,
}

/// Makes node `id` of `config`, which does not run, the only member of a new cluster, with all
/// that it has.
///
/// # Errors
/// When its data directory is in use, empty, damaged or cannot be written.
pub fn recover(config: &Config, id: NodeId) -> Result<Recovered, RecoverError> {
    let node = config.node(id)?;
    let directory = &node.data_directory;
    let lock = DirectoryLock::acquire(directory)?;
    let Held::Journal(old) = data_directory::examine(&lock)? else {
        return Err(RecoverError::Nothing(directory.clone()));
    };
    let options = FileJournalOptions::default();
    let mut journal = FileJournal::in_locked(lock.clone(), old.clone(), options);
    let durable = recall::<KvRaft>(&mut journal)?.durable;
    drop(journal);
    let new = Identity {
        cluster_id: ClusterId::random().map_err(DirectoryError::random)?,
        disk: random_disk().map_err(DirectoryError::random)?,
        ..old.clone()
    };
    let alone = alone(&durable, id, new.disk, &Addresses::of(node))?;
    let fresh = beside(directory, "recovering");
    // What an earlier try has left.
    let _ = fs::remove_dir_all(&fresh);
    write(&fresh, &new, &records(&durable, alone))?;
    let kept = beside(directory, &format!("before-recovery-{}", old.cluster_id));
    fs::rename(directory, &kept).map_err(failed("renaming", directory))?;
    fs::rename(&fresh, directory).map_err(failed("renaming", &fresh))?;
    let parent = directory
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let synced = fs::File::open(parent).and_then(|parent| parent.sync_all());
    synced.map_err(failed("syncing", parent))?;
    Ok(Recovered {
        cluster_id: new.cluster_id,
        kept,
        last_index: durable.log.last_index(),
    })
}

/// The configuration in which `id` alone votes. The others stay known, so that none of their ids
/// is given to another disk.
fn alone(
    durable: &Persistent<Kv>,
    id: NodeId,
    disk: DiskId,
    addresses: &Addresses,
) -> Result<Configuration, RecoverError> {
    let latest = durable.configuration_at(durable.log.last_index());
    let latest = latest.map(|in_force| in_force.configuration);
    let before = latest.or_else(|| durable.initial.clone());
    let mut contacts = before.unwrap_or_default().contacts;
    let contact = addresses.contact(disk);
    contacts.insert(id, contact.map_err(encoding)?);
    Ok(Configuration {
        contacts,
        ..Configuration::new([id])
    })
}

/// What makes the same snapshot and log on an empty disk, and in the next term a cluster of one.
fn records(durable: &Persistent<Kv>, alone: Configuration) -> Vec<Record<Kv>> {
    let snapshot = durable.snapshot.clone();
    let rest = snapshot.last_included_index().next();
    let term = durable.current_term.next();
    let mut records = vec![Record::Initialize {
        configuration: alone.clone(),
    }];
    if snapshot.last_included_index() > Index(0) {
        records.push(Record::Install(snapshot));
    }
    let entries: &[Entry<Command>] = durable.log.from(rest);
    records.extend(entries.iter().cloned().map(Record::Append));
    records.push(Record::Ballot {
        term,
        voted_for: None,
    });
    records.push(Record::Append(Entry {
        term,
        content: Content::Configuration(alone),
    }));
    records
}

fn write(
    directory: &Path,
    identity: &Identity,
    records: &Vec<Record<Kv>>,
) -> Result<(), RecoverError> {
    let options = FileJournalOptions::default();
    let mut journal = FileJournal::open(directory, identity.clone(), options)?;
    journal.recover(&mut |_| Ok(()))?;
    journal.append(&codec::encode(records).map_err(encoding)?)?;
    Ok(journal.flush()?)
}

fn encoding(error: postcard::Error) -> RecoverError {
    DirectoryError::from(FormatError::from(error)).into()
}

/// A name beside `directory`.
fn beside(directory: &Path, suffix: &str) -> PathBuf {
    let mut name = directory.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    directory.with_file_name(name)
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RecoverError {
    let path = path.to_owned();
    move |source| RecoverError::Io {
        doing,
        path,
        source,
    }
}
