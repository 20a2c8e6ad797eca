//! Segment files: their names, their headers, and how they come into being.
//!
//! ```text
//! ┌──────────┬────────┬────────┬───────┬────────────────────────────┬────────┬─────
//! │ LOCKSTEP │ format │ length │ crc32 │ stamp: identity, index,    │ frame  │ …
//! │ 8 bytes  │ u16    │ u16    │ u32   │ number of the first frame  │        │
//! └──────────┴────────┴────────┴───────┴────────────────────────────┴────────┴─────
//! ```
//!
//! A segment gets its name only once its header is on disk, so a segment without an intact
//! header is damage, never an interrupted write.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::JournalError;
use crate::codec;
use crate::identity::{Difference, Identity};

const MAGIC: &[u8; 8] = b"LOCKSTEP";
const FORMAT: u16 = 2;
const FIXED: usize = 16;
/// No header is longer: the length of its stamp is a u16.
const MAX_HEADER: u64 = FIXED as u64 + u16::MAX as u64;
const SUFFIX: &str = "journal";
const UNFINISHED_SUFFIX: &str = "unfinished";

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) identity: Identity,
    pub(super) index: u64,
    /// The number of its first frame.
    pub(super) first: u64,
}

pub(super) fn path(directory: &Path, index: u64) -> PathBuf {
    directory.join(format!("{index:016}.{SUFFIX}"))
}

/// The indexes of the segments in `directory`, in order.
pub(super) fn list(directory: &Path) -> Result<Vec<u64>, JournalError> {
    let mut indexes: Vec<u64> = names(directory, SUFFIX)?
        .iter()
        .filter_map(|path| path.file_stem()?.to_str()?.parse().ok())
        .collect();
    indexes.sort_unstable();
    Ok(indexes)
}

/// Removes what a crash left of segments that never got their name.
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
    let unfinished = name.with_extension(UNFINISHED_SUFFIX);
    let failed = || JournalError::io("creating", &name);
    let header = encode_header(stamp).map_err(failed())?;
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
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(JournalError::io("syncing", directory))
}

fn encode_header(stamp: &Stamp) -> std::io::Result<Vec<u8>> {
    let body = codec::encode(stamp).map_err(std::io::Error::other)?;
    let length = u16::try_from(body.len()).map_err(std::io::Error::other)?;
    let mut header = MAGIC.to_vec();
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
    let Some(&newest) = list(directory)?.last() else {
        return Ok(None);
    };
    let path = path(directory, newest);
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(MAX_HEADER).read_to_end(&mut bytes))
        .map_err(JournalError::io("reading", &path))?;
    let (stamp, _) = intact_header(&path, &bytes)?;
    Ok(Some(stamp.identity))
}

/// Checks the header of the segment `index` and returns it with its length.
pub(super) fn read_header(
    path: &Path,
    index: u64,
    bytes: &[u8],
    identity: &Identity,
) -> Result<(Stamp, usize), JournalError> {
    let (stamp, length) = intact_header(path, bytes)?;
    check_identity(path, identity, &stamp.identity)?;
    if stamp.index != index {
        let what = format!("its header says that it is segment {}", stamp.index);
        return Err(JournalError::damaged(path, 0, what));
    }
    Ok((stamp, length))
}

/// The header that `bytes` begin with, whoever it belongs to, and its length.
fn intact_header(path: &Path, bytes: &[u8]) -> Result<(Stamp, usize), JournalError> {
    let (format, stamp, length) = decode_header(bytes)
        .ok_or_else(|| JournalError::damaged(path, 0, "it does not begin with a header"))?;
    if format != FORMAT {
        return Err(JournalError::WrongFormat {
            segment: path.to_owned(),
            found: format,
            supported: FORMAT,
        });
    }
    let stamp = stamp.ok_or_else(|| JournalError::damaged(path, 0, "its header is altered"))?;
    Ok((stamp, length))
}

/// The format, the stamp if it is intact and of our format, and the header's length.
fn decode_header(bytes: &[u8]) -> Option<(u16, Option<Stamp>, usize)> {
    let fixed: &[u8; FIXED] = bytes.first_chunk()?;
    let (magic, rest) = fixed.split_first_chunk::<8>()?;
    let [f0, f1, l0, l1, c0, c1, c2, c3] = *rest.first_chunk::<8>()?;
    if magic != MAGIC {
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
