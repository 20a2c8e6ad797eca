//! A recording, read.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use derive_where::derive_where;
use models::Protocol;

use super::format::{FIRST_LINE, Header, decode_frame};
use super::{Recorded, RecordingError};

/// One file of a recording.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub struct Recording<P: Protocol> {
    /// Whose it is.
    pub header: Header,
    /// What happened. The first entry is [`Recorded::Booted`] or [`Recorded::Continued`].
    pub entries: Vec<Recorded<P>>,
}

/// Reads a file of a recording. An entry that was cut short by a crash ends it.
///
/// # Errors
/// When the file cannot be read, is damaged, or holds something else.
pub fn read_recording<P: Protocol>(path: &Path) -> Result<Recording<P>, RecordingError> {
    read(path).map_err(RecordingError::reading(path))
}

fn read<P: Protocol>(path: &Path) -> io::Result<Recording<P>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut first_line = [0; FIRST_LINE.len()];
    let begun = file.read_exact(&mut first_line);
    if begun.is_err() || first_line != FIRST_LINE {
        let words = "it is no recording, or one of another format";
        return Err(io::Error::new(io::ErrorKind::InvalidData, words));
    }
    let Some(header) = decode_frame(&mut file)? else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let mut entries = Vec::new();
    while let Some(entry) = decode_frame(&mut file)? {
        entries.push(entry);
    }
    Ok(Recording { header, entries })
}
