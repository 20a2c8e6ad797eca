//! What is in the database, and how it is encoded.

use std::io;
use std::path::Path;

use redb::{ReadableTable, StorageError, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::runtime::codec;
use crate::runtime::journal::JournalError;

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const STEPS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("steps");
pub(super) const STATES: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("states");

const POSITION: &str = "position";
const CHECKSUM: usize = 4;
/// The largest value that the journal writes: well below redb's own limit of 3 GiB.
pub(super) const MAX_VALUE: usize = 1 << 31;

/// Which steps there are, and which state comes before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The number of the first step after the state.
    pub(super) first: u64,
    /// The number of the next step to be written.
    pub(super) next: u64,
    /// The state; none before the first checkpoint.
    pub(super) state: Option<StoredState>,
}

/// A state in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredState {
    /// Counts the states.
    pub(super) generation: u64,
    /// Of how many pieces it is.
    pub(super) pieces: u64,
    /// Of how many bytes.
    pub(super) bytes: u64,
}

impl Position {
    /// That of a journal without an entry.
    pub(super) fn begin(transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let position = Self {
            first: 1,
            next: 1,
            state: None,
        };
        position.write(transaction)
    }

    /// `None` if it is missing or altered.
    pub(super) fn read(
        meta: &impl ReadableTable<&'static str, &'static [u8]>,
    ) -> Result<Option<Self>, redb::Error> {
        let value = meta.get(POSITION)?;
        let position = value.and_then(|value| codec::decode(open_value(&[], value.value())?).ok());
        Ok(position)
    }

    /// Changes it within a transaction.
    pub(super) fn change(
        transaction: &WriteTransaction,
        change: impl FnOnce(&mut Self),
    ) -> Result<Self, redb::Error> {
        let position = Self::read(&transaction.open_table(META)?)?;
        let altered = || StorageError::Corrupted("the position is altered".to_owned());
        let mut position = position.ok_or_else(altered)?;
        change(&mut position);
        position.write(transaction)?;
        Ok(position)
    }

    fn write(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let bytes =
            codec::encode(self).map_err(|error| StorageError::Io(io::Error::other(error)))?;
        let mut meta = transaction.open_table(META)?;
        meta.insert(POSITION, seal_value(&[], &bytes).as_slice())?;
        Ok(())
    }
}

/// A value with a checksum of itself and its place.
pub(super) fn seal_value(place: &[u64], value: &[u8]) -> Vec<u8> {
    let mut sealed = checksum(place, value).to_le_bytes().to_vec();
    sealed.extend_from_slice(value);
    sealed
}

/// The value, if it is the one that was written there.
pub(super) fn open_value<'a>(place: &[u64], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (expected, value) = sealed.split_first_chunk::<CHECKSUM>()?;
    (checksum(place, value) == u32::from_le_bytes(*expected)).then_some(value)
}

fn checksum(place: &[u64], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for number in place {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(value);
    hasher.finalize()
}

/// For `map_err`: which operation failed, or that the database is damaged.
pub(super) fn failed(path: &Path, doing: &'static str) -> impl FnOnce(redb::Error) -> JournalError {
    let path = path.to_owned();
    move |error| match error {
        redb::Error::Corrupted(what) => JournalError::damaged_database(&path, what),
        redb::Error::Io(error) => match error.kind() {
            // So redb says that the file holds no database.
            io::ErrorKind::InvalidData => JournalError::damaged_database(&path, error.to_string()),
            _ => JournalError::io(doing, &path)(error),
        },
        error => JournalError::io(doing, &path)(io::Error::other(error)),
    }
}
