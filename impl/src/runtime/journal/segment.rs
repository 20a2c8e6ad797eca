//! The journal's files: their names, their headers, and how they come into being.
//!
//! ```text
//! ┌──────────┬────────┬────────┬───────┬────────────────────────────┬────────┬─────
//! │ LOCKSTEP │ format │ length │ crc32 │ stamp: identity, index,    │ frame  │ …
//! │ 8 bytes  │ u16    │ u16    │ u32   │ number of the first frame  │        │
//! └──────────┴────────┴────────┴───────┴────────────────────────────┴────────┴─────
//! ```
//!
//! A segment gets its name only once its header is on disk, so a segment without an intact
//! header is damage, never an interrupted write. Checkpoints, seals and databases have the same
//! header, with another first word each.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::JournalError;
use crate::runtime::codec;
use crate::runtime::identity::{Difference, Identity};

/// 3: a checkpoint may end within a segment. In format 2 it ended where a segment did: what holds
/// for the newer format holds for that too.
const FORMAT: u16 = 3;
/// The oldest format that is read. In format 1 a checkpoint was a segment's first frame, and a stamp
/// had neither a cluster id nor a disk id.
const OLDEST_FORMAT: u16 = 2;
const FIXED: usize = 16;
const UNFINISHED_SUFFIX: &str = "unfinished";

/// The kinds of files that a journal consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Segment,
    Checkpoint,
    Seal,
    Database,
}

impl Kind {
    fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Segment => b"LOCKSTEP",
            Self::Checkpoint => b"LOCKSTAT",
            Self::Seal => b"LOCKSEAL",
            Self::Database => b"LOCKBASE",
        }
    }

    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Segment => "journal",
            Self::Checkpoint => "checkpoint",
            Self::Seal => "seal",
            Self::Database => "redb",
        }
    }
}

/// What a segment, a checkpoint or a seal says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) identity: Identity,
    /// Of the segment; or of the one that follows the checkpoint, or that the seal was put behind.
    pub(super) index: u64,
    /// The number of its first frame; or of the first that the checkpoint or the seal does not
    /// cover.
    pub(super) first: u64,
}

pub(super) fn path(directory: &Path, index: u64) -> PathBuf {
    named(directory, index, Kind::Segment)
}

pub(super) fn named(directory: &Path, index: u64, kind: Kind) -> PathBuf {
    directory.join(format!("{index:016}.{}", kind.suffix()))
}

/// What a file is called until all of it is on disk. A segment and a checkpoint of the same
/// number may be written at the same time.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(UNFINISHED_SUFFIX);
    name.into()
}

/// The indexes of the files of this kind in `directory`, in order.
pub(super) fn list(directory: &Path, kind: Kind) -> Result<Vec<u64>, JournalError> {
    let mut indexes: Vec<u64> = names(directory, kind.suffix())?
        .iter()
        .filter_map(|path| path.file_stem()?.to_str()?.parse().ok())
        .collect();
    indexes.sort_unstable();
    Ok(indexes)
}

/// Removes what a crash left of files that never got their name.
pub(super) fn remove_unfinished(directory: &Path) -> Result<(), JournalError> {
    for path in names(directory, UNFINISHED_SUFFIX)? {
        fs::remove_file(&path).map_err(JournalError::io("removing", &path))?;
    }
    Ok(())
}

fn names(directory: &Path, suffix: &str) -> Result<Vec<PathBuf>, JournalError> {
    let failed = || JournalError::io("listing", directory);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        if path.extension().is_some_and(|found| found == suffix) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Creates a segment, durably, and returns it with the length of its header.
pub(super) fn create(directory: &Path, stamp: &Stamp) -> Result<(File, u64), JournalError> {
    let name = path(directory, stamp.index);
    let unfinished = unfinished(&name);
    let failed = || JournalError::io("creating", &name);
    let header = encode_header(Kind::Segment, stamp).map_err(failed())?;
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&unfinished)
        .map_err(failed())?;
    file.write_all(&header).map_err(failed())?;
    file.sync_all().map_err(failed())?;
    fs::rename(&unfinished, &name).map_err(failed())?;
    sync_directory(directory)?;
    Ok((file, header.len() as u64))
}

/// Makes created, renamed and removed names durable.
pub(super) fn sync_directory(directory: &Path) -> Result<(), JournalError> {
    sync(directory).map_err(JournalError::io("syncing", directory))
}

pub(super) fn sync(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

pub(super) fn encode_header(kind: Kind, stamp: &Stamp) -> std::io::Result<Vec<u8>> {
    let body = codec::encode(stamp).map_err(std::io::Error::other)?;
    let length = u16::try_from(body.len()).map_err(std::io::Error::other)?;
    let mut header = kind.magic().to_vec();
    header.extend_from_slice(&FORMAT.to_le_bytes());
    header.extend_from_slice(&length.to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    header.extend_from_slice(&body);
    Ok(header)
}

/// Whose journal `directory` holds; `None` if it holds none. Reads the newest segment's header
/// alone.
///
/// # Errors
/// When there is a journal, and it cannot be read or has another format.
pub(super) fn owner(directory: &Path) -> Result<Option<Identity>, JournalError> {
    if !directory.is_dir() {
        return Ok(None);
    }
    let Some(&newest) = list(directory, Kind::Segment)?.last() else {
        return Ok(None);
    };
    let path = path(directory, newest);
    let bytes = File::open(&path)
        .and_then(|mut file| take_header(&mut file))
        .map_err(JournalError::io("reading", &path))?;
    owner_of(&path, Kind::Segment, &bytes).map(Some)
}

/// Whom the header that `bytes` begin with belongs to.
pub(super) fn owner_of(path: &Path, kind: Kind, bytes: &[u8]) -> Result<Identity, JournalError> {
    let (stamp, _) = intact_header(path, kind, bytes)?;
    Ok(stamp.identity)
}

/// Takes what may be a header off the beginning of a file: as many bytes as it says that it
/// has, or as there are.
pub(super) fn take_header(reader: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut header = Vec::new();
    reader.take(FIXED as u64).read_to_end(&mut header)?;
    if let Some([.., l0, l1, _, _, _, _]) = header.first_chunk::<FIXED>() {
        let length = u16::from_le_bytes([*l0, *l1]);
        reader.take(length.into()).read_to_end(&mut header)?;
    }
    Ok(header)
}

/// Checks the header of the file `index` of this kind and returns it with its length.
pub(super) fn read_header(
    path: &Path,
    kind: Kind,
    index: u64,
    bytes: &[u8],
    identity: &Identity,
) -> Result<(Stamp, usize), JournalError> {
    let (stamp, length) = read_stamp(path, kind, bytes, identity)?;
    if stamp.index != index {
        let what = format!("its header says that it is number {}", stamp.index);
        return Err(JournalError::damaged(path, 0, what));
    }
    Ok((stamp, length))
}

/// Checks the header of a file, whatever its number, and returns it with its length.
pub(super) fn read_stamp(
    path: &Path,
    kind: Kind,
    bytes: &[u8],
    identity: &Identity,
) -> Result<(Stamp, usize), JournalError> {
    let (stamp, length) = intact_header(path, kind, bytes)?;
    check_identity(path, identity, &stamp.identity)?;
    Ok((stamp, length))
}

/// The header that `bytes` begin with, whoever it belongs to, and its length.
fn intact_header(path: &Path, kind: Kind, bytes: &[u8]) -> Result<(Stamp, usize), JournalError> {
    let (format, stamp, length) = decode_header(kind, bytes)
        .ok_or_else(|| JournalError::damaged(path, 0, "it does not begin with a header"))?;
    if !(OLDEST_FORMAT..=FORMAT).contains(&format) {
        return Err(JournalError::WrongFormat {
            segment: path.to_owned(),
            found: format,
            oldest: OLDEST_FORMAT,
            newest: FORMAT,
        });
    }
    let stamp = stamp.ok_or_else(|| JournalError::damaged(path, 0, "its header is altered"))?;
    Ok((stamp, length))
}

/// The format, the stamp if it is intact and of our format, and the header's length.
fn decode_header(kind: Kind, bytes: &[u8]) -> Option<(u16, Option<Stamp>, usize)> {
    let fixed: &[u8; FIXED] = bytes.first_chunk()?;
    let (magic, rest) = fixed.split_first_chunk::<8>()?;
    let [f0, f1, l0, l1, c0, c1, c2, c3] = *rest.first_chunk::<8>()?;
    if magic != kind.magic() {
        return None;
    }
    let length = FIXED + usize::from(u16::from_le_bytes([l0, l1]));
    let stamp = bytes
        .get(FIXED..length)
        .filter(|body| crc32fast::hash(body) == u32::from_le_bytes([c0, c1, c2, c3]))
        .and_then(|body| codec::decode(body).ok());
    Some((u16::from_le_bytes([f0, f1]), stamp, length))
}

fn check_identity(path: &Path, ours: &Identity, theirs: &Identity) -> Result<(), JournalError> {
    let difference = ours.differs_from(theirs).or_else(|| {
        (ours.node != theirs.node).then(|| Difference {
            what: "the node",
            ours: ours.node.to_string(),
            theirs: theirs.node.to_string(),
        })
    });
    let difference = difference.or_else(|| {
        (ours.disk != theirs.disk).then(|| Difference {
            what: "the disk",
            ours: ours.disk.to_string(),
            theirs: theirs.disk.to_string(),
        })
    });
    match difference {
        None => Ok(()),
        Some(Difference { what, ours, theirs }) => Err(JournalError::WrongIdentity {
            segment: path.to_owned(),
            difference: format!("{what} is `{theirs}` there and `{ours}` here"),
        }),
    }
}
