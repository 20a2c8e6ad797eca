//! A file of a recording: a line that says what it is, then frames.
//!
//! ```text
//! lockstep recording 1\n
//! ┌──────────┬──────────┬─────────┐
//! │ length   │ crc32    │ payload │   little endian; the checksum is the payload's
//! │ u32      │ u32      │ length  │
//! └──────────┴──────────┴─────────┘
//! ```
//!
//! The first frame is the [`Header`], each other an entry.

use std::io::{self, Read};

use models::NodeId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::runtime::codec;

/// With the format's version.
pub(super) const FIRST_LINE: &[u8] = b"lockstep recording 1\n";
const FRAME_HEADER: usize = 8;

/// Whose recording a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// What the node does: the service's name.
    pub service: String,
    /// The version of the program that wrote it.
    pub version: String,
    /// The node.
    pub node: NodeId,
}

/// Appends `value` to `buffer` as a frame.
pub(super) fn encode_frame<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> io::Result<()> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; FRAME_HEADER]);
    let encoded = codec::encode_into(value, std::mem::take(buffer));
    *buffer = encoded.map_err(io::Error::other)?;
    let payload = &buffer[start + FRAME_HEADER..];
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let checksum = crc32fast::hash(payload);
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    buffer[start + 4..start + FRAME_HEADER].copy_from_slice(&checksum.to_le_bytes());
    Ok(())
}

/// The next frame's value; nothing at the end, or where the last frame was cut short.
pub(super) fn decode_frame<T: DeserializeOwned>(file: &mut impl Read) -> io::Result<Option<T>> {
    let Some(header) = read_up_to(file, FRAME_HEADER)? else {
        return Ok(None);
    };
    let field = |at: usize| [0, 1, 2, 3].map(|byte| header[at + byte]);
    let length = u32::from_le_bytes(field(0));
    let checksum = u32::from_le_bytes(field(4));
    let Some(payload) = read_up_to(file, length as usize)? else {
        return Ok(None);
    };
    if crc32fast::hash(&payload) != checksum {
        let damaged = "an entry is damaged: its checksum is another";
        return Err(io::Error::new(io::ErrorKind::InvalidData, damaged));
    }
    codec::decode(&payload).map(Some).map_err(|error| {
        let words = format!("an entry is of another protocol or another version: {error}");
        io::Error::new(io::ErrorKind::InvalidData, words)
    })
}

/// So many bytes, or nothing if there are fewer. Not allocated ahead: the number may be garbage.
fn read_up_to(file: &mut impl Read, count: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(count as u64).read_to_end(&mut bytes)?;
    Ok((bytes.len() == count).then_some(bytes))
}
