//! The file that holds a store.
//!
//! ```text
//! ┌──────────┬────────┬────────┬─────────────────────────┬───────────────┬────────┬───────┐
//! │ LOCKSNAP │ format │ length │ header: what it is of   │ the store and │ length │ crc32 │
//! │ 8 bytes  │ u16    │ u32    │                         │ its sessions  │ u64    │ u32   │
//! └──────────┴────────┴────────┴─────────────────────────┴───────────────┴────────┴───────┘
//! ```
//!
//! The last length is of all that comes before it, and the checksum of all that comes before that: a
//! file that was cut short anywhere has neither.

use std::io::{self, Write};

use models::NodeId;
use models::raft::log::Term;
use models::raft::snapshot::Applied;
use serde::{Deserialize, Serialize};

use crate::kv::{Kv, PROTOCOL, VERSION};
use crate::runtime::codec;
use crate::runtime::identity::{ClusterId, Identity};

const MAGIC: &[u8; 8] = b"LOCKSNAP";
const FORMAT: u16 = 1;
/// What comes before the header, and what comes last.
const FIXED: usize = 14;
const TRAILER: usize = 12;

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The name of the cluster that it was taken of.
    pub cluster: String,
    /// Its id.
    pub cluster_id: ClusterId,
    /// The protocol whose encoding the store has.
    pub protocol: String,
    /// The version of that.
    pub version: u32,
    /// The node that has written it.
    pub node: NodeId,
    /// The term of the last entry that is in it.
    pub term: Term,
    /// The index of that entry.
    pub last_applied: u64,
    /// The revision of the store.
    pub revision: u64,
}

/// A store, and what it was taken of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What it is of.
    pub header: Header,
    /// The store with its sessions.
    pub state: Applied<Kv>,
}

/// Why a file holds no store. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It is something else.
    #[error("it is no snapshot of a store: it does not begin as one")]
    Other,
    /// Another version of this program has written it.
    #[error("it has format {0}, and this program reads format {FORMAT}")]
    Format(u16),
    /// It is of a store that has another encoding.
    #[error(
        "it is of {protocol} in version {version}, and this program reads {PROTOCOL} in version {VERSION}"
    )]
    Version {
        /// The protocol.
        protocol: String,
        /// Its version.
        version: u32,
    },
    /// It is not whole.
    #[error("it is cut short or altered: {0}. Take another, or find another copy")]
    Damaged(&'static str),
}

impl Snapshot {
    /// What a node of this identity has applied, up to an entry of this term.
    pub fn of(identity: &Identity, term: Term, state: Applied<Kv>) -> Self {
        Self {
            header: Header {
                cluster: identity.cluster.clone(),
                cluster_id: identity.cluster_id,
                protocol: identity.protocol.clone(),
                version: identity.version,
                node: identity.node,
                term,
                last_applied: state.last_applied.0,
                revision: state.machine.revision().0,
            },
            state,
        }
    }

    /// Writes the file, piece by piece.
    ///
    /// # Errors
    /// When `out` refuses.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut out = Summed {
            out,
            length: 0,
            checksum: crc32fast::Hasher::new(),
        };
        let header = codec::encode(&self.header).map_err(io::Error::other)?;
        let length = u32::try_from(header.len()).map_err(io::Error::other)?;
        out.write_all(MAGIC)?;
        out.write_all(&FORMAT.to_le_bytes())?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(&header)?;
        codec::encode_to(&self.state, &mut out)?;
        let length = out.length.to_le_bytes();
        out.write_all(&length)?;
        let checksum = out.checksum.clone().finalize();
        out.out.write_all(&checksum.to_le_bytes())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it holds no store, or not all of it.
    pub fn read(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (header, state) = parts(bytes)?;
        if header.protocol != PROTOCOL || header.version != VERSION {
            return Err(SnapshotError::Version {
                protocol: header.protocol,
                version: header.version,
            });
        }
        let state: Applied<Kv> = codec::decode(state)
            .map_err(|_| SnapshotError::Damaged("the store is not understood"))?;
        Ok(Self { header, state })
    }
}

/// The header of a file that is whole, and the store as bytes.
///
/// # Errors
/// When it is not whole, or no such file.
pub fn parts(bytes: &[u8]) -> Result<(Header, &[u8]), SnapshotError> {
    if !bytes.starts_with(MAGIC) {
        return Err(SnapshotError::Other);
    }
    let (body, trailer) = bytes
        .split_last_chunk::<TRAILER>()
        .filter(|(body, _)| body.len() >= FIXED)
        .ok_or(SnapshotError::Damaged("it has no end"))?;
    let format = u16::from_le_bytes([body[8], body[9]]);
    if format != FORMAT {
        return Err(SnapshotError::Format(format));
    }
    let [l0, l1, l2, l3, l4, l5, l6, l7, c0, c1, c2, c3] = *trailer;
    if u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]) != body.len() as u64 {
        return Err(SnapshotError::Damaged("it has another length than it says"));
    }
    let summed = &bytes[..bytes.len() - 4];
    if crc32fast::hash(summed) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(SnapshotError::Damaged("its checksum is of something else"));
    }
    let length = u32::from_le_bytes([body[10], body[11], body[12], body[13]]) as usize;
    let header = body[FIXED..].get(..length);
    let header = header.and_then(|header| codec::decode(header).ok());
    let header = header.ok_or(SnapshotError::Damaged("its header is not understood"))?;
    Ok((header, &body[FIXED + length..]))
}

/// Counts and sums what passes.
struct Summed<'a> {
    out: &'a mut dyn Write,
    length: u64,
    checksum: crc32fast::Hasher,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.checksum.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use models::machine::StateMachine;

    use super::*;
    use crate::kv::store::{Command, Put};

    fn file() -> (Snapshot, Vec<u8>) {
        let mut state = Applied::<Kv>::default();
        for n in 0..20_u8 {
            let put = Put::new(vec![n].into(), vec![n; 50].into());
            state.machine.apply(&Command::Put(put));
        }
        let identity = Identity {
            cluster: "blue".to_owned(),
            cluster_id: ClusterId([7; 16]),
            protocol: PROTOCOL.to_owned(),
            version: VERSION,
            node: NodeId(2),
            disk: models::DiskId::default(),
        };
        let snapshot = Snapshot::of(&identity, Term(3), state);
        let mut bytes = Vec::new();
        snapshot.write(&mut bytes).expect("memory takes it");
        (snapshot, bytes)
    }

    #[test]
    fn what_is_written_is_read() {
        let (snapshot, bytes) = file();
        assert_eq!(Snapshot::read(&bytes), Ok(snapshot));
    }

    #[test]
    fn a_file_that_is_cut_short_or_altered_anywhere_is_refused() {
        let (_, bytes) = file();
        for length in 0..bytes.len() {
            assert!(Snapshot::read(&bytes[..length]).is_err(), "{length} bytes");
        }
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 0x10;
            assert!(Snapshot::read(&altered).is_err(), "byte {at}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Snapshot::read(&longer).is_err());
    }

    #[test]
    fn another_version_is_refused_by_name() {
        let (mut snapshot, _) = file();
        snapshot.header.version += 1;
        let mut bytes = Vec::new();
        snapshot.write(&mut bytes).expect("memory takes it");
        let refused = Snapshot::read(&bytes);
        assert!(
            matches!(refused, Err(SnapshotError::Version { .. })),
            "{refused:?}"
        );
    }
}
