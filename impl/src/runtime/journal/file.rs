//! The journal on a disk.
//!
//! Frames are collected in memory and written with one `write` and one `fdatasync` per
//! flush. Space is filled with zeros ahead of time, so that most flushes change no metadata.

use std::fs::{self, File, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::checkpoint::{FileCheckpoint, remove_older};
use super::frame::{self, Frame};
use super::recovery::{self, Outcome};
use super::seal;
use super::segment::{self, Stamp};
use super::{Checkpoint, Journal, JournalError, Recovered, Visitor};
use crate::runtime::identity::Identity;

/// A directory that another process holds is refused after this time.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_POLL: Duration = Duration::from_millis(2);

/// How a [`FileJournal`] lays out its files.
#[derive(Clone, Copy, Debug)]
pub struct FileJournalOptions {
    /// A segment that has reached this size is followed by another.
    pub segment_bytes: u64,
    /// How much space is filled with zeros at a time, ahead of the writes. 0 for none.
    pub preallocate_bytes: u64,
}

impl Default for FileJournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            preallocate_bytes: 1 << 20,
        }
    }
}

/// A journal in a directory of its own, which it locks.
#[derive(Debug)]
pub struct FileJournal {
    place: Place,
    state: State,
    /// Held for as long as the journal lives, or a checkpoint that it has begun.
    lock: DirectoryLock,
}

/// A directory that no other process uses while this lives. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DirectoryLock {
    directory: PathBuf,
    _file: Arc<File>,
}

impl DirectoryLock {
    /// Locks `directory`, creating it if it does not exist.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be created.
    pub fn acquire(directory: &Path) -> Result<Self, JournalError> {
        create_directory(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            _file: Arc::new(lock(directory)?),
        })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

#[derive(Debug)]
enum State {
    New,
    Open(Tail),
    Dead,
}

/// The newest segment, and what is to be written to it.
#[derive(Debug)]
struct Tail {
    file: File,
    index: u64,
    /// Where the frames end that were written.
    end: u64,
    /// Whether it may have frames. One that has none takes a frame of any size.
    begun: bool,
    /// How far the file is filled with zeros.
    allocated: u64,
    /// Frames that were appended and not yet written.
    pending: Vec<u8>,
    /// The number of the next frame, and of the last one that is on disk.
    next: u64,
    flushed: u64,
}

impl FileJournal {
    /// Locks `directory`, creating it if it does not exist. Nothing is read before
    /// [`Journal::recover`].
    ///
    /// # Errors
    /// When another process holds the directory, or it cannot be created.
    pub fn open(
        directory: impl Into<PathBuf>,
        identity: Identity,
        options: FileJournalOptions,
    ) -> Result<Self, JournalError> {
        let directory = directory.into();
        let lock = DirectoryLock::acquire(&directory)?;
        Ok(Self::in_locked(lock, identity, options))
    }

    /// As [`FileJournal::open`], in a directory that is locked already.
    pub fn in_locked(lock: DirectoryLock, identity: Identity, options: FileJournalOptions) -> Self {
        Self {
            place: Place {
                directory: lock.directory.clone(),
                identity,
                options,
            },
            state: State::New,
            lock,
        }
    }

    /// Whose journal `directory` holds; `None` if it holds none.
    ///
    /// # Errors
    /// When there is a journal, and it cannot be read or has another format.
    pub fn owner(directory: &Path) -> Result<Option<Identity>, JournalError> {
        segment::owner(directory)
    }

    /// Runs `act` on the tail, and stops the journal for good when it fails.
    fn attempt<R>(
        &mut self,
        act: impl FnOnce(&mut Tail, &Place) -> Result<R, JournalError>,
    ) -> Result<R, JournalError> {
        let result = match &mut self.state {
            State::New => return Err(JournalError::NotRecovered),
            State::Dead => return Err(JournalError::Dead),
            State::Open(tail) => act(tail, &self.place),
        };
        if result.is_err() {
            self.state = State::Dead;
        }
        result
    }
}

impl Journal for FileJournal {
    fn recover(&mut self, visit: &mut Visitor<'_>) -> Result<Recovered, JournalError> {
        if !matches!(self.state, State::New) {
            return Err(JournalError::NotRecovered);
        }
        self.state = State::Dead;
        let place = &self.place;
        let outcome = recovery::recover(&place.directory, &place.identity, visit)?;
        segment::remove_unfinished(&place.directory)?;
        let (tail, recovered) = match outcome {
            None => (Tail::create(place, 1, 1)?, Recovered::default()),
            Some(outcome) => {
                let tail = Tail::reopen(place, &outcome)?;
                remove_older(&place.directory, outcome.oldest);
                let recovered = Recovered {
                    entries: outcome.entries,
                    torn_bytes: outcome.torn_bytes,
                };
                (tail, recovered)
            }
        };
        self.state = State::Open(tail);
        Ok(recovered)
    }

    fn append(&mut self, step: &[u8]) -> Result<(), JournalError> {
        self.attempt(|tail, place| {
            let size = (frame::HEADER + step.len()) as u64;
            let full = tail.end + tail.pending.len() as u64 + size > place.options.segment_bytes;
            if full && tail.begun {
                tail.rotate(place)?;
            }
            tail.append(step)
        })
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        self.attempt(Tail::flush)
    }

    /// The checkpoint ends between two frames, wherever the segment has got to: another segment would
    /// have the next write wait for four fsyncs more.
    fn begin_checkpoint(&mut self) -> Result<Box<dyn Checkpoint>, JournalError> {
        let lock = self.lock.clone();
        self.attempt(|tail, place| {
            tail.flush(place)?;
            Ok(Box::new(FileCheckpoint {
                directory: place.directory.clone(),
                stamp: place.stamp(tail.index, tail.next),
                _lock: lock,
            }) as Box<dyn Checkpoint>)
        })
    }

    fn seal(&mut self) -> Result<(), JournalError> {
        self.attempt(|tail, place| {
            tail.flush(place)?;
            seal::write(&place.directory, &place.stamp(tail.index, tail.next))
        })
    }
}

/// Where a journal lives, and whose it is.
#[derive(Debug)]
struct Place {
    directory: PathBuf,
    identity: Identity,
    options: FileJournalOptions,
}

impl Place {
    fn stamp(&self, index: u64, first: u64) -> Stamp {
        Stamp {
            identity: self.identity.clone(),
            index,
            first,
        }
    }
}

impl Tail {
    /// Starts segment `index`, whose first frame will be number `next`.
    fn create(place: &Place, index: u64, next: u64) -> Result<Self, JournalError> {
        let (file, end) = segment::create(&place.directory, &place.stamp(index, next))?;
        Ok(Self {
            file,
            index,
            end,
            begun: false,
            allocated: end,
            pending: Vec::new(),
            next,
            flushed: next - 1,
        })
    }

    /// Goes on after the last intact frame. Cuts what an interrupted write left.
    fn reopen(place: &Place, outcome: &Outcome) -> Result<Self, JournalError> {
        let path = segment::path(&place.directory, outcome.newest);
        let failed = || JournalError::io("reopening", &path);
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed())?;
        if outcome.torn_bytes > 0 {
            file.set_len(outcome.end).map_err(failed())?;
        }
        // What was read, and the segment's very name, may have come from the page cache of a
        // process that died before its fsync. It must be on disk before anything is promised
        // on top of it.
        file.sync_all().map_err(failed())?;
        segment::sync_directory(&place.directory)?;
        let allocated = file.metadata().map_err(failed())?.len();
        Ok(Self {
            file,
            index: outcome.newest,
            end: outcome.end,
            begun: true,
            allocated,
            pending: Vec::new(),
            next: outcome.next,
            flushed: outcome.next - 1,
        })
    }

    fn append(&mut self, payload: &[u8]) -> Result<(), JournalError> {
        if payload.len() > frame::MAX_PAYLOAD {
            return Err(JournalError::TooLarge {
                bytes: payload.len(),
                limit: frame::MAX_PAYLOAD,
            });
        }
        let frame = Frame {
            number: self.next,
            flushed: self.flushed,
            payload,
        };
        frame::encode(&frame, &mut self.pending);
        self.next += 1;
        self.begun = true;
        Ok(())
    }

    fn flush(&mut self, place: &Place) -> Result<(), JournalError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let end = self.end + self.pending.len() as u64;
        self.preallocate(place, end);
        self.write_pending().map_err(JournalError::io(
            "writing",
            &segment::path(&place.directory, self.index),
        ))?;
        self.end = end;
        self.pending.clear();
        self.flushed = self.next - 1;
        Ok(())
    }

    /// Extends `pending` with zeros up to the next multiple of the preallocation size, when
    /// the frames that end at `end` do not fit into the space that is there already.
    fn preallocate(&mut self, place: &Place, end: u64) {
        if end <= self.allocated {
            return;
        }
        let chunk = place.options.preallocate_bytes.max(1);
        let wanted = end.next_multiple_of(chunk).min(place.options.segment_bytes);
        self.allocated = wanted.max(end);
        let zeros = self.pending.len() + (self.allocated - end) as usize;
        self.pending.resize(zeros, 0);
    }

    fn write_pending(&mut self) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&self.pending)?;
        self.file.sync_data()
    }

    /// Completes this segment and starts the next. A segment is complete and trimmed before its
    /// successor exists: recovery relies on it.
    fn rotate(&mut self, place: &Place) -> Result<(), JournalError> {
        self.flush(place)?;
        let path = segment::path(&place.directory, self.index);
        self.file
            .set_len(self.end)
            .and_then(|()| self.file.sync_all())
            .map_err(JournalError::io("trimming", &path))?;
        *self = Self::create(place, self.index + 1, self.next)?;
        Ok(())
    }
}

fn create_directory(directory: &Path) -> Result<(), JournalError> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(JournalError::io("creating", directory))?;
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => segment::sync_directory(parent),
        _ => segment::sync_directory(Path::new(".")),
    }
}

fn lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join("lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(JournalError::io("opening", &path))?;
    // A process that this one has just started holds a copy of each of its open files until
    // it becomes another program, and so a lock that was given back here: for a moment.
    let end = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(LOCK_POLL),
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::Locked {
                    directory: directory.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => {
                return Err(JournalError::io("locking", &path)(error));
            }
        }
    }
}
