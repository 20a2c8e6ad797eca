//! postcard, strictly: bytes left over after a value are an error too.
//!
//! postcard also reads numbers that are longer than they need be, so several byte strings may be one
//! value. Nobody may take encoded bytes for what they encode: what is compared, hashed or remembered
//! is the value, and who needs its bytes encodes it.

use std::io::{self, Write};

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

/// Writes `value` to `out`, piece by piece: nothing holds all of it.
pub(crate) fn encode_to<T: Serialize>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    let mut out = Remembering { out, error: None };
    match postcard::to_io(value, &mut out) {
        Ok(_) => Ok(()),
        // postcard does not say what went wrong below it.
        Err(error) => Err(out.error.unwrap_or_else(|| io::Error::other(error))),
    }
}

/// Keeps the first error.
struct Remembering<'a> {
    out: &'a mut dyn Write,
    error: Option<io::Error>,
}

impl Write for Remembering<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes).map_err(|error| {
            let kind = error.kind();
            self.error = Some(error);
            kind.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
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
