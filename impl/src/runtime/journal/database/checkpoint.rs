//! A checkpoint in the database.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use redb::Database;

use super::tables::{Position, STATES, STEPS, StoredState, seal_value};
use crate::runtime::journal::{Checkpoint, CheckpointError, DirectoryLock, Encode};

/// So much of the state is one value, and one transaction: the journal's flush may have to wait for as
/// much, and no more.
const PIECE: usize = 1 << 20;
/// So many steps are removed in one transaction.
const REMOVED_AT_ONCE: u64 = 4096;

/// A checkpoint that has been begun.
pub(super) struct DatabaseCheckpoint {
    pub(super) database: Arc<Database>,
    pub(super) path: PathBuf,
    /// The number of the first step that comes after the state.
    pub(super) first: u64,
    pub(super) _lock: DirectoryLock,
}

impl Checkpoint for DatabaseCheckpoint {
    fn write(self: Box<Self>, encode: &mut Encode<'_>) -> Result<u64, CheckpointError> {
        self.put(encode)
            .map_err(CheckpointError::new("writing", &self.path))
    }
}

impl DatabaseCheckpoint {
    fn put(&self, encode: &mut Encode<'_>) -> io::Result<u64> {
        let generation = self.begin_generation().map_err(io::Error::other)?;
        let mut pieces = Pieces {
            database: &self.database,
            generation,
            written: 0,
            bytes: 0,
            piece: Vec::with_capacity(PIECE),
        };
        encode(&mut pieces)?;
        let state = pieces.end()?;
        self.switch_to(state).map_err(io::Error::other)?;
        Ok(state.bytes)
    }

    /// The number of the next state. What a state that was not finished has left is removed.
    fn begin_generation(&self) -> Result<u64, redb::Error> {
        let transaction = self.database.begin_write()?;
        let position = Position::change(&transaction, |_| {})?;
        let current = position.state.map(|state| state.generation);
        { transaction.open_table(STATES)? }
            .retain(|(generation, _), _| Some(generation) == current)?;
        transaction.commit()?;
        Ok(current.map_or(1, |generation| generation + 1))
    }

    /// From the first transaction on the state counts, and what it replaces does not. The rest makes
    /// room, a little at a time.
    fn switch_to(&self, state: StoredState) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        let mut replaced = 0;
        Position::change(&transaction, |position| {
            replaced = position.first;
            position.first = self.first;
            position.state = Some(state);
        })?;
        transaction.commit()?;
        while replaced < self.first {
            let end = self.first.min(replaced + REMOVED_AT_ONCE);
            let transaction = self.database.begin_write()?;
            { transaction.open_table(STEPS)? }.retain_in(replaced..end, |_, _| false)?;
            transaction.commit()?;
            replaced = end;
        }
        let transaction = self.database.begin_write()?;
        { transaction.open_table(STATES)? }
            .retain(|(generation, _), _| generation == state.generation)?;
        Ok(transaction.commit()?)
    }
}

/// Writes a state piece by piece, each on disk before the next.
struct Pieces<'a> {
    database: &'a Database,
    generation: u64,
    written: u64,
    bytes: u64,
    piece: Vec<u8>,
}

impl Pieces<'_> {
    fn end(mut self) -> io::Result<StoredState> {
        if !self.piece.is_empty() {
            self.end_piece()?;
        }
        Ok(StoredState {
            generation: self.generation,
            pieces: self.written,
            bytes: self.bytes,
        })
    }

    fn end_piece(&mut self) -> io::Result<()> {
        self.put_piece().map_err(io::Error::other)?;
        self.bytes += self.piece.len() as u64;
        self.written += 1;
        self.piece.clear();
        Ok(())
    }

    fn put_piece(&self) -> Result<(), redb::Error> {
        let place = (self.generation, self.written);
        let value = seal_value(&[place.0, place.1], &self.piece);
        let transaction = self.database.begin_write()?;
        { transaction.open_table(STATES)? }.insert(place, value.as_slice())?;
        Ok(transaction.commit()?)
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE {
            self.end_piece()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
