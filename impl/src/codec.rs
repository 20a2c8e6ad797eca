//! postcard, strictly: bytes left over after a value are an error too.
//!
//! postcard also reads numbers that are longer than they need be, so several byte strings may be one
//! value. Nobody may take encoded bytes for what they encode: what is compared, hashed or remembered
//! is the value, and who needs its bytes encodes it.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Appends `value` to `buffer`.
pub(crate) fn encode_into<T: Serialize>(
    value: &T,
    buffer: Vec<u8>,
) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_extend(value, buffer)
}

/// A new buffer with `value`.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, postcard::Error> {
    encode_into(value, Vec::new())
}

/// The one value that `bytes` hold, all of them.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    let (value, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(postcard::Error::DeserializeBadEncoding)
    }
}
