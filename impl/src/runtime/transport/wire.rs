//! Frames on a connection: length, checksum, one postcard value.
//!
//! ```text
//! ┌────────────┬────────────┬─────────┐
//! │ length u32 │ crc32 u32  │ payload │   little endian; the checksum is the payload's
//! └────────────┴────────────┴─────────┘
//! ```

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;

pub(super) const HEADER: usize = 8;

/// Says that the sender lives, and nothing else: the header of a frame that is longer than any.
pub(crate) const KEEP_ALIVE: [u8; HEADER] = [0xff, 0xff, 0xff, 0xff, b'L', b'I', b'V', b'E'];

/// Why bytes are no frame, or a value makes none.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Larger than agreed.
    #[error("a frame of {bytes} bytes is larger than the limit of {limit}; it was not taken")]
    TooLarge {
        /// The size of the payload.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The payload is not what was sent.
    #[error("the checksum of a frame does not match; it was not taken")]
    Checksum,
    /// The payload is no such value, or the value has no encoding.
    #[error("a frame holds something else than expected ({0}); it was not taken")]
    Encoding(#[from] postcard::Error),
}

/// Appends a frame with `value` to `buffer`, which is left as it was on an error.
///
/// # Errors
/// When the value takes more than `limit` bytes or cannot be encoded.
pub fn encode_frame(
    value: &impl Serialize,
    limit: usize,
    buffer: &mut Vec<u8>,
) -> Result<(), FrameError> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER]);
    let encoded = postcard::to_io(value, &mut *buffer).map(|_| ());
    let bytes = buffer.len() - start - HEADER;
    if encoded.is_err() || bytes > limit || bytes >= u32::MAX as usize {
        buffer.truncate(start);
        encoded?;
        return Err(FrameError::TooLarge { bytes, limit });
    }
    let checksum = crc32fast::hash(&buffer[start + HEADER..]);
    buffer[start..start + 4].copy_from_slice(&(bytes as u32).to_le_bytes());
    buffer[start + 4..start + HEADER].copy_from_slice(&checksum.to_le_bytes());
    Ok(())
}

/// Takes a [`KEEP_ALIVE`] off the front of `buffer`, if one is there.
pub(crate) fn take_keep_alive(buffer: &mut BytesMut) -> bool {
    let found = buffer.starts_with(&KEEP_ALIVE);
    if found {
        buffer.advance(HEADER);
    }
    found
}

/// Takes the payload of the first frame out of `buffer`, or nothing while it is incomplete.
///
/// # Errors
/// When the buffer does not begin with a frame. The connection is of no use then.
pub fn decode_frame(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(header) = buffer.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let (length, checksum) = split_header(*header);
    if length > limit {
        let bytes = length;
        return Err(FrameError::TooLarge { bytes, limit });
    }
    if buffer.len() < HEADER + length {
        // Room is made as bytes arrive, not because somebody announces them.
        return Ok(None);
    }
    buffer.advance(HEADER);
    let payload = buffer.split_to(length).freeze();
    check(&payload, checksum)?;
    Ok(Some(payload))
}

/// The length of the payload, and its checksum.
pub(super) fn split_header(header: [u8; HEADER]) -> (usize, u32) {
    let [l0, l1, l2, l3, c0, c1, c2, c3] = header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    (length, u32::from_le_bytes([c0, c1, c2, c3]))
}

pub(super) fn check(payload: &[u8], checksum: u32) -> Result<(), FrameError> {
    if crc32fast::hash(payload) == checksum {
        Ok(())
    } else {
        Err(FrameError::Checksum)
    }
}
