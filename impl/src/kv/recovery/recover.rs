//! The last resort when the disks of a majority are lost for good: makes a cluster of its own of
//! what one node has.
//!
//! **What the others had acknowledged and this node has not is lost**, and what it has and nobody
//! had committed becomes committed: nobody is left who could tell. So the new cluster has an id of
//! its own, and no node of the old one will talk to it. As long as one of these lives, there may be
//! no need for it, or somebody who has more: all are asked first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use models::raft::configuration::Configuration;
use models::raft::log::{Content, Entry, Index};
use models::raft::state::{Persistent, Record};
use models::{DiskId, NodeId};

use crate::kv::config::Config;
use crate::kv::recovery::survivors::survivors;
use crate::kv::store::Command;
use crate::kv::{Kv, KvRaft};
use crate::runtime::codec;
use crate::runtime::driver::{FormatError, recall};
use crate::runtime::identity::{ClusterId, Identity, random_disk};
use crate::runtime::journal::{
    DirectoryLock, FileJournal, FileJournalOptions, Journal, JournalError, Store,
};
use crate::runtime::tls::TlsError;
use crate::service::address::Addresses;
use crate::service::config::Fault;
use crate::service::data_directory::{self, DirectoryError, Held};
use crate::service::http_client::SetUpError;
use crate::service::replacement;

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
    /// The old cluster can go on.
    #[error(
        "{survivors}, and with node {id} they are a majority of the old cluster's voters: start \
         node {id} with `lockstep node`, and the old cluster goes on with nothing lost; nothing \
         was changed"
    )]
    Majority {
        /// Who lives.
        survivors: Survivors,
        /// The node that was to be recovered.
        id: u16,
    },
    /// Others of the old cluster live.
    #[error(
        "{survivors}, as a member of the old cluster, and may have what node {id} has not; nothing \
         was changed. Compare `last_index` in the status of each, recover the node whose log goes \
         furthest, and stop all others first, for good"
    )]
    Minority {
        /// Who lives.
        survivors: Survivors,
        /// The node that was to be recovered.
        id: u16,
    },
    /// The others cannot be asked.
    #[error("the others cannot be asked whether they live: {0}; nothing was changed")]
    SetUp(#[from] SetUpError),
    /// The credentials are of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Nodes of the old cluster that live, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivors(pub BTreeMap<NodeId, String>);

impl fmt::Display for Survivors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = self.0.iter();
        let live: Vec<String> = live
            .map(|(id, at)| format!("node {} lives at {at}", id.0))
            .collect();
        f.write_str(&live.join(", "))
    }
}

/// What was recovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The new cluster.
    pub cluster_id: ClusterId,
    /// The folder in the data directory that keeps what that held before.
    pub kept: PathBuf,
    /// The last entry of the log that the node had: this and all before it is what there is.
    pub last_index: Index,
}

/// Makes node `id` of `config`, which does not run, the only member of a new cluster, with all
/// that it has. Unless `forced`, asks the other members of the old cluster first whether they live.
/// If an earlier try was cut short when the new cluster had begun to count, that is ended.
///
/// # Errors
/// When its data directory is in use, empty, damaged or cannot be written, or the old cluster
/// lives.
pub async fn recover(config: &Config, id: NodeId, forced: bool) -> Result<Recovered, RecoverError> {
    let node = config.node(id)?;
    let directory = &node.data_directory;
    let lock = DirectoryLock::acquire(directory)?;
    let ended = replacement::finish(&lock)?;
    let Held::Journal(old) = data_directory::examine(&lock)? else {
        return Err(RecoverError::Nothing(directory.clone()));
    };
    let store = Store::of(directory)?.map_or_else(Store::default, |(store, _)| store);
    let mut journal = store.journal(lock.clone(), old.clone());
    let durable = recall::<KvRaft>(&mut journal)?.durable;
    drop(journal);
    if let Some(kept) = ended {
        return Ok(Recovered {
            cluster_id: old.cluster_id,
            kept,
            last_index: durable.log.last_index(),
        });
    }
    let before = latest(&durable);
    if !forced {
        refuse_if_others_live(config, &old, &before).await?;
    }
    let new = Identity {
        cluster_id: ClusterId::random().map_err(DirectoryError::random)?,
        disk: random_disk().map_err(DirectoryError::random)?,
        ..old.clone()
    };
    let alone = alone(before, id, new.disk, &Addresses::of(node))?;
    let fresh = replacement::begin(&lock)?;
    write(&fresh, &new, &records(&durable, alone))?;
    let kept = replacement::replace(
        &lock,
        &format!("before-recovery-{}", old.cluster_id),
        &|_| true,
    )?;
    Ok(Recovered {
        cluster_id: new.cluster_id,
        kept,
        last_index: durable.log.last_index(),
    })
}

/// The members of the old cluster, as far as this node knows.
fn latest(durable: &Persistent<Kv>) -> Configuration {
    let latest = durable.configuration_at(durable.log.last_index());
    let latest = latest.map(|in_force| in_force.configuration);
    latest
        .or_else(|| durable.initial.clone())
        .unwrap_or_default()
}

async fn refuse_if_others_live(
    config: &Config,
    old: &Identity,
    before: &Configuration,
) -> Result<(), RecoverError> {
    let credentials = config.security.credentials(old.node)?;
    let alive = survivors(config, old, before, credentials.as_ref()).await?;
    if alive.is_empty() {
        return Ok(());
    }
    let id = old.node.0;
    let mut with_this: BTreeSet<NodeId> = alive.keys().copied().collect();
    with_this.insert(old.node);
    let survivors = Survivors(alive);
    Err(if before.has_quorum(&with_this) {
        RecoverError::Majority { survivors, id }
    } else {
        RecoverError::Minority { survivors, id }
    })
}

/// The configuration in which `id` alone votes. The others stay known, so that none of their ids
/// is given to another disk.
pub(crate) fn alone(
    before: Configuration,
    id: NodeId,
    disk: DiskId,
    addresses: &Addresses,
) -> Result<Configuration, RecoverError> {
    let mut contacts = before.contacts;
    let contact = addresses.contact(disk);
    contacts.insert(id, contact.map_err(encoding)?);
    Ok(Configuration {
        contacts,
        ..Configuration::new([id])
    })
}

/// What makes the same snapshot and log on an empty disk, and in the next term a cluster of one.
pub(crate) fn records(durable: &Persistent<Kv>, alone: Configuration) -> Vec<Record<Kv>> {
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

pub(crate) fn write(
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
