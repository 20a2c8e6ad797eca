//! The seal of a journal: what a node that stops in order leaves behind, in a file of its own.
//!
//! ```text
//! ┌──────────┬────────┬────────┬───────┬──────────────────────────────────────┐
//! │ LOCKSEAL │ format │ length │ crc32 │ stamp: identity, index of the newest │
//! │ 8 bytes  │ u16    │ u16    │ u32   │ segment, number of the next frame    │
//! └──────────┴────────┴────────┴───────┴──────────────────────────────────────┘
//! ```
//!
//! It says that all frames before that number have been on disk. Without it a bad last frame may be a
//! write that a crash interrupted; a frame that a seal covers was none, so it is damage.
//!
//! What it says stays true whatever the journal does afterwards. So it is never removed, nothing
//! waits for it, and a program that does not know of seals may go on with the journal; the next
//! orderly stop puts a new one in its place. It is a file because a bad block that takes the last
//! frame would take what is written behind it too.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::JournalError;
use super::segment::{self, Kind, Stamp};
use crate::runtime::identity::Identity;

const NAME: &str = "seal";

/// Where the seal of the journal in `directory` is.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// Seals what comes before `stamp.first`, all of which is on disk: durably, and in one step.
pub(super) fn write(directory: &Path, stamp: &Stamp) -> Result<(), JournalError> {
    let path = path(directory);
    let unfinished = segment::unfinished(&path);
    let put = || {
        let bytes = segment::encode_header(Kind::Seal, stamp)?;
        let mut file = File::create(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)
    };
    put().map_err(JournalError::io("writing", &path))?;
    segment::sync_directory(directory)
}

/// The seal of the journal in `directory`, if it has one.
pub(super) fn read(directory: &Path, identity: &Identity) -> Result<Option<Stamp>, JournalError> {
    let path = path(directory);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(JournalError::io("reading", &path))?,
    };
    let (stamp, length) = segment::read_stamp(&path, Kind::Seal, &bytes, identity)?;
    if bytes.len() > length {
        let what = "something follows the seal";
        return Err(JournalError::damaged(&path, length as u64, what));
    }
    Ok(Some(stamp))
}
