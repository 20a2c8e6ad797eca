//! Checkpoint files: the durable state as a stream, written beside the running journal.
//!
//! ```text
//! ┌──────────────────────┬────────────────────────────────┬─────┬──────────────────────┐
//! │ header with a stamp, │ length │ crc32 │ a piece of    │  …  │ 0   │ crc32 │ bytes  │
//! │ as a segment's       │ u32    │ u32   │ the state     │     │ u32 │       │ u64    │
//! └──────────────────────┴────────────────────────────────┴─────┴──────────────────────┘
//! ```
//!
//! A checksum is of the whole state so far, so that no piece can be missing, twice, or in
//! another's place. The stamp names the first frame that comes after the state, and the segment
//! that has it, or will; the file has that segment's number. A later checkpoint in the same segment
//! takes its name over.
//!
//! The order is what makes it safe: the frames before the state's end are on disk before it is
//! written; the file gets its name when all of it is on disk; the name is on disk before
//! anything that the state replaces is removed. So a file that has its name is whole, or the
//! disk has damaged it.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::DirectoryLock;
use super::segment::{self, Kind, Stamp};
use super::{Checkpoint, CheckpointError, Encode, JournalError};
use crate::runtime::identity::Identity;

/// So much of the state has a checksum of its own.
const PIECE: usize = 64 << 10;
/// So much is written before it is put on disk. The journal's fsync may have to wait for as
/// much, and no more.
const UNSYNCED: usize = 1 << 20;
/// The longest rest after that.
const LONGEST_REST: Duration = Duration::from_millis(100);
const PIECE_HEADER: usize = 8;
/// Of a file that is removed, so much space is given back at a time, this often.
const FREED: u64 = 2 << 20;
const FREED_EVERY: Duration = Duration::from_millis(1);

pub(super) fn path(directory: &Path, index: u64) -> PathBuf {
    segment::named(directory, index, Kind::Checkpoint)
}

/// A checkpoint that has been begun, in a journal's directory.
pub(super) struct FileCheckpoint {
    pub(super) directory: PathBuf,
    /// Of the segment, and of its first frame that comes after the state.
    pub(super) stamp: Stamp,
    /// The directory stays this process's until nothing is written to it any more.
    pub(super) _lock: DirectoryLock,
}

impl Checkpoint for FileCheckpoint {
    fn write(self: Box<Self>, encode: &mut Encode<'_>) -> Result<u64, CheckpointError> {
        let path = path(&self.directory, self.stamp.index);
        let unfinished = segment::unfinished(&path);
        let written = self.put_on_disk(&unfinished, &path, encode);
        if written.is_err() {
            // It takes space for nothing. What cannot be removed is removed at the next start.
            let _ = fs::remove_file(&unfinished);
        }
        let bytes = written?;
        remove_older(&self.directory, self.stamp.index);
        Ok(bytes)
    }
}

impl FileCheckpoint {
    fn put_on_disk(
        &self,
        unfinished: &Path,
        path: &Path,
        encode: &mut Encode<'_>,
    ) -> Result<u64, CheckpointError> {
        let header = segment::encode_header(Kind::Checkpoint, &self.stamp)
            .map_err(CheckpointError::new("encoding the header of", unfinished))?;
        let file =
            File::create(unfinished).map_err(CheckpointError::new("creating", unfinished))?;
        let mut writer = Writer::new(file, header);
        let bytes = encode(&mut writer)
            .and_then(|()| writer.finish())
            .map_err(CheckpointError::new("writing", unfinished))?;
        // Of the checkpoint before, where it has the same name.
        let replaced = File::options().write(true).open(path).ok();
        fs::rename(unfinished, path).map_err(CheckpointError::new("naming", path))?;
        segment::sync(&self.directory).map_err(CheckpointError::new("syncing", &self.directory))?;
        if let Some(replaced) = replaced {
            free(&replaced);
        }
        Ok(bytes)
    }
}

/// Writes pieces with their checksums, and puts them on disk a few at a time.
struct Writer {
    file: File,
    /// What is to be written next.
    buffer: Vec<u8>,
    piece: Vec<u8>,
    checksum: crc32fast::Hasher,
    bytes: u64,
    /// How much was written that may not be on disk.
    unsynced: usize,
}

impl Writer {
    fn new(file: File, header: Vec<u8>) -> Self {
        Self {
            file,
            buffer: header,
            piece: Vec::with_capacity(PIECE),
            checksum: crc32fast::Hasher::new(),
            bytes: 0,
            unsynced: 0,
        }
    }

    /// Writes the piece, and rests once enough has been written.
    fn end_piece(&mut self) -> io::Result<()> {
        self.checksum.update(&self.piece);
        self.bytes += self.piece.len() as u64;
        self.add_piece_header(self.piece.len() as u32);
        self.buffer.append(&mut self.piece);
        self.write_buffer()?;
        if self.unsynced >= UNSYNCED {
            self.sync_and_rest()?;
        }
        Ok(())
    }

    fn add_piece_header(&mut self, length: u32) {
        let checksum = self.checksum.clone().finalize();
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(&checksum.to_le_bytes());
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.unsynced += self.buffer.len();
        self.buffer.clear();
        Ok(())
    }

    /// Leaves the disk to the journal for as long as it was busy with this.
    fn sync_and_rest(&mut self) -> io::Result<()> {
        let began = Instant::now();
        self.file.sync_data()?;
        self.unsynced = 0;
        thread::sleep(began.elapsed().min(LONGEST_REST));
        Ok(())
    }

    /// Puts everything on disk, and says how many bytes the state has.
    fn finish(mut self) -> io::Result<u64> {
        if !self.piece.is_empty() {
            self.end_piece()?;
        }
        self.add_piece_header(0);
        self.buffer.extend_from_slice(&self.bytes.to_le_bytes());
        self.write_buffer()?;
        self.file.sync_all()?;
        Ok(self.bytes)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE - self.piece.len();
        let taken = bytes.len().min(room);
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

/// A checkpoint, read back whole.
pub(super) struct Stored {
    pub(super) stamp: Stamp,
    pub(super) state: Vec<u8>,
}

/// The newest checkpoint in `directory`, if there is one. One that is damaged is refused: an
/// older one may have lost the segments that follow it.
pub(super) fn read_newest(
    directory: &Path,
    identity: &Identity,
) -> Result<Option<Stored>, JournalError> {
    let all = segment::list(directory, Kind::Checkpoint)?;
    let Some(&index) = all.last() else {
        return Ok(None);
    };
    let path = path(directory, index);
    let file = File::open(&path).map_err(JournalError::io("opening", &path))?;
    let mut reader = BufReader::with_capacity(PIECE, file);
    let header = segment::take_header(&mut reader).map_err(JournalError::io("reading", &path))?;
    let (stamp, at) = segment::read_header(&path, Kind::Checkpoint, index, &header, identity)?;
    let state = read_state(&mut reader, &path, at as u64)?;
    Ok(Some(Stored { stamp, state }))
}

fn read_state(
    reader: &mut impl Read,
    path: &Path,
    mut offset: u64,
) -> Result<Vec<u8>, JournalError> {
    let mut state = Vec::new();
    let mut checksum = crc32fast::Hasher::new();
    loop {
        let at = offset;
        let damaged = |what: &str| JournalError::damaged(path, at, what);
        let cut_short = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("the state is cut short"),
            _ => JournalError::io("reading", path)(error),
        };
        let mut header = [0; PIECE_HEADER];
        reader.read_exact(&mut header).map_err(cut_short)?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > PIECE {
            return Err(damaged("a piece of the state is longer than pieces are"));
        }
        let start = state.len();
        state.resize(start + length, 0);
        reader.read_exact(&mut state[start..]).map_err(cut_short)?;
        checksum.update(&state[start..]);
        if checksum.clone().finalize() != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(damaged("the state is altered"));
        }
        offset += (PIECE_HEADER + length) as u64;
        if length == 0 {
            let mut bytes = [0; 8];
            reader.read_exact(&mut bytes).map_err(cut_short)?;
            if u64::from_le_bytes(bytes) != state.len() as u64 {
                return Err(damaged("the state has another length than it says"));
            }
            let more = reader.read(&mut [0]).map_err(cut_short)?;
            return if more == 0 {
                Ok(state)
            } else {
                Err(damaged("something follows the state"))
            };
        }
    }
}

/// Removes the segments and the checkpoints that the one numbered `oldest` has replaced,
/// oldest first. A failure costs space only, and the next checkpoint or start tries again.
pub(super) fn remove_older(directory: &Path, oldest: u64) {
    for kind in [Kind::Segment, Kind::Checkpoint] {
        let all = segment::list(directory, kind).unwrap_or_default();
        for index in all.into_iter().filter(|index| *index < oldest) {
            let path = segment::named(directory, index, kind);
            let file = File::options().write(true).open(&path);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(file = %path.display(), %error, "what a checkpoint has replaced could not be removed");
                return;
            }
            if let Ok(file) = file {
                free(&file);
            }
        }
    }
}

/// Gives the space of a file that has no name any more back a little at a time. The file system would
/// give it back in one go when the file is closed: 12 ms for 64 MB on ext4, for which the journal's
/// fsync has to wait.
fn free(file: &File) {
    let mut length = file.metadata().map_or(0, |file| file.len());
    while length > 0 {
        length = length.saturating_sub(FREED);
        if file.set_len(length).is_err() {
            // Then it is given back in one go.
            return;
        }
        thread::sleep(FREED_EVERY);
    }
}
