//! What a node remembers: the journal's entries, folded.

use models::{Durable, Protocol};
use serde::de::DeserializeOwned;

use crate::runtime::codec;
use crate::runtime::journal::{Entry, Journal, JournalError};

/// What a journal held.
pub(crate) struct Memory<D> {
    pub(crate) durable: D,
    /// The size of the last checkpoint, and of the steps since.
    pub(crate) checkpoint_bytes: u64,
    pub(crate) step_bytes: u64,
}

/// Sets up an empty disk for `protocol`: writes what a node of it starts from for the first time
/// ([`Protocol::format`]), as one entry. Happens once in the life of a disk, on purpose; a node
/// never does it by itself, for an empty disk may be one that has lost what it held.
///
/// # Errors
/// When the journal refuses, or is not empty.
pub fn format<P: Protocol>(protocol: &P, journal: impl Journal) -> Result<(), FormatError> {
    format_with::<P>(&protocol.format(), journal)
}

/// The same, with these records: what a node of the protocol starts from, and what its host has
/// added.
///
/// # Errors
/// As [`format`].
pub fn format_with<P: Protocol>(
    records: &Vec<<P::Durable as Durable>::Record>,
    mut journal: impl Journal,
) -> Result<(), FormatError> {
    let recovered = journal.recover(&mut |_| Ok(()))?;
    if recovered.entries > 0 {
        return Err(FormatError::NotEmpty);
    }
    if !records.is_empty() {
        journal.append(&codec::encode(records)?)?;
        journal.flush()?;
    }
    Ok(())
}

/// Why a disk was not set up.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// There is something on it.
    #[error("the journal holds entries already; nothing was changed")]
    NotEmpty,
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The records have no encoding.
    #[error("the first records could not be encoded ({0}); nothing was written")]
    Encoding(#[from] postcard::Error),
}

/// Folds the journal with the same `apply` that the checker exercised.
pub(crate) fn recall<P: Protocol>(
    journal: &mut impl Journal,
) -> Result<Memory<P::Durable>, JournalError> {
    let mut memory = Memory {
        durable: P::Durable::default(),
        checkpoint_bytes: 0,
        step_bytes: 0,
    };
    let recovered = journal.recover(&mut |entry| fold(&mut memory, entry))?;
    if recovered.torn_bytes > 0 {
        // A last write that was damaged after it was flushed looks just like one that was
        // interrupted, and has no later frame to bear witness.
        tracing::warn!(
            bytes = recovered.torn_bytes,
            "cut an incomplete write off the end of the journal; if the node was interrupted, \
             nobody was told of it; if its disk is damaged, its last write is lost: remove the \
             node for good and add another in its place"
        );
    }
    tracing::info!(entries = recovered.entries, "the journal is recovered");
    Ok(memory)
}

fn fold<D: Durable>(memory: &mut Memory<D>, entry: Entry<'_>) -> Result<(), String> {
    match entry {
        Entry::Checkpoint(bytes) => {
            memory.durable = decode(bytes)?;
            memory.checkpoint_bytes = bytes.len() as u64;
            memory.step_bytes = 0;
        }
        Entry::Step(bytes) => {
            let records: Vec<D::Record> = decode(bytes)?;
            for record in &records {
                memory.durable.apply(record);
            }
            memory.step_bytes += bytes.len() as u64;
        }
    }
    Ok(())
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    codec::decode(bytes).map_err(|error| error.to_string())
}
