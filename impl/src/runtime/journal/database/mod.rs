//! The journal in an embedded database: one file of [redb], a copy-on-write B-tree.
//!
//! ```text
//! meta    "header"    whose journal it is, as a segment's header says it
//!         "position"  which steps there are, and which state comes before them
//! steps   number      a step's records
//! states  generation, number of the piece: a piece of a state
//! ```
//!
//! A flush is one transaction. What a checkpoint consists of is written in many small ones, so that no
//! flush waits for long, and becomes valid in one more, with the position. Whatever the position does
//! not name is left over from something that a crash cut short, and is removed.
//!
//! redb finds an interrupted transaction by checksums and goes back to the one before. So a damaged
//! last transaction looks like an interrupted one, as a damaged last frame does in a file: the
//! [seal](super::seal) tells the two apart. Everything else that is damaged is refused: each value has
//! a checksum of its own, with its place in it.
//!
//! Unlike the journal in files, this one is dead when the disk refuses a checkpoint: after an error of
//! the disk a database can only be opened anew.
//!
//! What redb costs, beside fjall 3.1.13 in the same run (redb 4.6.0, a commit forced to disk for each
//! step of 256 bytes, and in brackets for each 64): 267 µs of CPU time against 140 (538 against 317), and
//! 127 bytes written for each byte of a step against 17 (3.3 against 1.4), with as much memory; fjall is
//! cheaper, and what the difference buys is one file, all pages of which are checked when it is opened, and
//! no threads beside the journal's.

mod checkpoint;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadableDatabase};

use self::checkpoint::DatabaseCheckpoint;
use self::tables::{META, Position, STATES, STEPS, failed, open_value, seal_value};
use super::segment::{self, Kind, Stamp};
use super::{Checkpoint, DirectoryLock, Entry, Journal, JournalError, Recovered, Visitor, seal};
use crate::runtime::identity::Identity;

const NAME: &str = "journal.redb";
/// A journal is written once and read at the start: more than this helps nobody.
const CACHE_BYTES: usize = 16 << 20;

/// Where the database of the journal in `directory` is.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// A journal in a database, in a directory that it locks.
#[derive(Debug)]
pub struct DatabaseJournal {
    path: PathBuf,
    identity: Identity,
    state: State,
    /// Held for as long as the journal lives, or a checkpoint that it has begun.
    lock: DirectoryLock,
}

#[derive(Debug)]
enum State {
    New,
    Open(Open),
    Dead,
}

#[derive(Debug)]
struct Open {
    database: Arc<Database>,
    /// Steps that were appended and not yet written.
    pending: Vec<Vec<u8>>,
    /// The number of the next step that is written.
    next: u64,
}

impl DatabaseJournal {
    /// Locks `directory`, creating it if it does not exist. Nothing is read before
    /// [`Journal::recover`].
    ///
    /// # Errors
    /// When another process holds the directory, or it cannot be created.
    pub fn open(directory: &Path, identity: Identity) -> Result<Self, JournalError> {
        Ok(Self::in_locked(
            DirectoryLock::acquire(directory)?,
            identity,
        ))
    }

    /// As [`DatabaseJournal::open`], in a directory that is locked already.
    pub fn in_locked(lock: DirectoryLock, identity: Identity) -> Self {
        Self {
            path: path(lock.directory()),
            identity,
            state: State::New,
            lock,
        }
    }

    /// Whose journal it is that `directory` holds a database of; `None` if it holds none. Nothing
    /// is checked but that.
    ///
    /// # Errors
    /// When there is a database, and it cannot be read or has another format.
    pub(super) fn owner(directory: &Path) -> Result<Option<Identity>, JournalError> {
        let path = path(directory);
        if !path.exists() {
            return Ok(None);
        }
        let database = open_database(&path)?;
        let header = read_header(&database, &path)?;
        segment::owner_of(&path, Kind::Database, &header).map(Some)
    }

    /// Runs `act`, and stops the journal for good when it fails.
    fn attempt<R>(
        &mut self,
        act: impl FnOnce(&mut Open) -> Result<R, redb::Error>,
    ) -> Result<R, JournalError> {
        let result = match &mut self.state {
            State::New => return Err(JournalError::NotRecovered),
            State::Dead => return Err(JournalError::Dead),
            State::Open(open) => act(open),
        };
        result.map_err(|error| {
            self.state = State::Dead;
            failed(&self.path, "writing")(error)
        })
    }

    fn read(
        &self,
        database: &Database,
        visit: &mut Visitor<'_>,
    ) -> Result<(Position, Recovered), JournalError> {
        let header = read_header(database, &self.path)?;
        segment::read_stamp(&self.path, Kind::Database, &header, &self.identity)?;
        let position = self.position(database)?;
        self.check_seal(&position)?;
        let mut recovered = Recovered::default();
        let mut visit = |entry: Entry<'_>| {
            recovered.entries += 1;
            visit(entry).map_err(|reason| JournalError::NotUnderstood { reason })
        };
        if let Some(state) = self.read_state(database, &position)? {
            visit(Entry::Checkpoint(&state))?;
        }
        self.read_steps(database, &position, &mut visit)?;
        Ok((position, recovered))
    }

    fn position(&self, database: &Database) -> Result<Position, JournalError> {
        let read = || -> Result<_, redb::Error> {
            let meta = database.begin_read()?.open_table(META)?;
            Position::read(&meta)
        };
        let position = read().map_err(failed(&self.path, "reading"))?;
        position.ok_or_else(|| self.damaged("its position is altered or missing"))
    }

    fn check_seal(&self, position: &Position) -> Result<(), JournalError> {
        let seal = seal::read(self.lock.directory(), &self.identity)?;
        match seal {
            Some(seal) if seal.first > position.next => {
                Err(self.damaged("its last entries are missing, which a seal says were there"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn read_state(
        &self,
        database: &Database,
        position: &Position,
    ) -> Result<Option<Vec<u8>>, JournalError> {
        let Some(stored) = position.state else {
            return Ok(None);
        };
        let mut state = Vec::new();
        let mut read = || -> Result<_, redb::Error> {
            let pieces = database.begin_read()?.open_table(STATES)?;
            for number in 0..stored.pieces {
                let place = (stored.generation, number);
                let Some(piece) = pieces.get(place)? else {
                    return Ok(false);
                };
                let piece = piece.value();
                let Some(piece) = open_value(&[place.0, place.1], piece) else {
                    return Ok(false);
                };
                state.extend_from_slice(piece);
            }
            Ok(true)
        };
        let is_whole = read().map_err(failed(&self.path, "reading"))?;
        if !is_whole || state.len() as u64 != stored.bytes {
            return Err(self.damaged("its state is altered or cut short"));
        }
        Ok(Some(state))
    }

    fn read_steps(
        &self,
        database: &Database,
        position: &Position,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let failed = || failed(&self.path, "reading");
        let open = || -> Result<_, redb::Error> { Ok(database.begin_read()?.open_table(STEPS)?) };
        let steps = open().map_err(failed())?;
        let mut numbers = position.first..position.next;
        for step in steps
            .range(position.first..)
            .map_err(|error| failed()(error.into()))?
        {
            let (number, value) = step.map_err(|error| failed()(error.into()))?;
            let number = number.value();
            let value = open_value(&[number], value.value());
            let (Some(value), true) = (value, numbers.next() == Some(number)) else {
                return Err(self.damaged(format!(
                    "step {number} is altered, or one before it missing"
                )));
            };
            visit(Entry::Step(value))?;
        }
        match numbers.next() {
            Some(missing) => Err(self.damaged(format!("step {missing} is missing"))),
            None => Ok(()),
        }
    }

    fn damaged(&self, what: impl Into<String>) -> JournalError {
        JournalError::damaged_database(&self.path, what)
    }
}

impl Journal for DatabaseJournal {
    fn recover(&mut self, visit: &mut Visitor<'_>) -> Result<Recovered, JournalError> {
        if !matches!(self.state, State::New) {
            return Err(JournalError::NotRecovered);
        }
        self.state = State::Dead;
        if !self.path.exists() {
            if seal::read(self.lock.directory(), &self.identity)?.is_some() {
                return Err(self.damaged("it is missing, and a seal says that it was there"));
            }
            create(&self.path, &self.identity)?;
        }
        let database = open_database(&self.path)?;
        let (position, recovered) = self.read(&database, visit)?;
        self.state = State::Open(Open {
            database: Arc::new(database),
            pending: Vec::new(),
            next: position.next,
        });
        Ok(recovered)
    }

    fn append(&mut self, step: &[u8]) -> Result<(), JournalError> {
        let limit = tables::MAX_VALUE;
        if step.len() > limit {
            self.state = State::Dead;
            let bytes = step.len();
            return Err(JournalError::TooLarge { bytes, limit });
        }
        self.attempt(|open| {
            open.pending.push(step.to_vec());
            Ok(())
        })
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        self.attempt(Open::flush)
    }

    fn begin_checkpoint(&mut self) -> Result<Box<dyn Checkpoint>, JournalError> {
        let (lock, path) = (self.lock.clone(), self.path.clone());
        self.attempt(|open| {
            open.flush()?;
            Ok(Box::new(DatabaseCheckpoint {
                database: open.database.clone(),
                path,
                first: open.next,
                _lock: lock,
            }) as Box<dyn Checkpoint>)
        })
    }

    fn seal(&mut self) -> Result<(), JournalError> {
        let next = self.attempt(|open| {
            open.flush()?;
            Ok(open.next)
        })?;
        let stamp = Stamp {
            identity: self.identity.clone(),
            index: 0,
            first: next,
        };
        seal::write(self.lock.directory(), &stamp)
    }
}

impl Open {
    fn flush(&mut self) -> Result<(), redb::Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let transaction = self.database.begin_write()?;
        let mut number = self.next;
        {
            let mut steps = transaction.open_table(STEPS)?;
            for step in self.pending.drain(..) {
                steps.insert(number, seal_value(&[number], &step).as_slice())?;
                number += 1;
            }
            Position::change(&transaction, |position| position.next = number)?;
        }
        transaction.commit()?;
        self.next = number;
        Ok(())
    }
}

/// Makes the database of a journal that has no entry. It gets its name when it is whole.
fn create(path: &Path, identity: &Identity) -> Result<(), JournalError> {
    let unfinished = segment::unfinished(path);
    let io = || JournalError::io("creating", path);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io()(error)),
        _ => {}
    }
    let stamp = Stamp {
        identity: identity.clone(),
        index: 0,
        first: 1,
    };
    let header = segment::encode_header(Kind::Database, &stamp).map_err(io())?;
    let fill = || -> Result<(), redb::Error> {
        let database = Database::create(&unfinished)?;
        let transaction = database.begin_write()?;
        transaction
            .open_table(META)?
            .insert("header", header.as_slice())?;
        transaction.open_table(STEPS)?;
        transaction.open_table(STATES)?;
        Position::begin(&transaction)?;
        transaction.commit()?;
        Ok(database.close()?)
    };
    fill().map_err(failed(path, "creating"))?;
    fs::rename(&unfinished, path).map_err(io())?;
    segment::sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Opens a database that is there, every page of it checked.
fn open_database(path: &Path) -> Result<Database, JournalError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder.set_check_integrity_on_open(true);
    builder
        .open(path)
        .map_err(|error| failed(path, "opening")(error.into()))
}

fn read_header(database: &Database, path: &Path) -> Result<Vec<u8>, JournalError> {
    let read = || -> Result<_, redb::Error> {
        let meta = database.begin_read()?.open_table(META)?;
        Ok(meta.get("header")?.map(|header| header.value().to_vec()))
    };
    let header = read().map_err(failed(path, "reading"))?;
    header.ok_or_else(|| JournalError::damaged_database(path, "it does not say whose it is"))
}
