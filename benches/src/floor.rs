//! The floor under every acknowledged write: how fast this disk takes an append.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How the file gets its space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// It grows with each append, so that each sync writes metadata, too.
    Growing,
    /// It is filled with zeros first, as the journal does.
    Preallocated,
}

impl Space {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Growing => "growing",
            Self::Preallocated => "preallocated",
        }
    }
}

/// How long `appends` appends of `bytes` bytes to a file in `folder` take, each followed by
/// an `fdatasync`. Preparing the file is not included.
///
/// # Errors
/// If the disk refuses.
pub fn append_and_sync(
    folder: &Path,
    space: Space,
    appends: u64,
    bytes: usize,
) -> io::Result<Duration> {
    let path = folder.join(space.name());
    let mut file = File::create(&path)?;
    let total = appends * bytes as u64;
    if space == Space::Preallocated {
        io::copy(&mut io::Read::take(io::repeat(0), total), &mut file)?;
        file.seek(SeekFrom::Start(0))?;
    }
    file.sync_all()?;
    let frame = vec![0xA5; bytes];
    let started = Instant::now();
    for _ in 0..appends {
        file.write_all(&frame)?;
        file.sync_data()?;
    }
    let elapsed = started.elapsed();
    let length = file.metadata()?.len();
    if length != total {
        let message = format!("{length} bytes are in the file, not {total}");
        return Err(io::Error::other(message));
    }
    drop(file);
    fs::remove_file(path)?;
    Ok(elapsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_append_is_in_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        for space in [Space::Growing, Space::Preallocated] {
            let elapsed = append_and_sync(folder.path(), space, 3, 256).expect("writes");
            assert!(elapsed > Duration::ZERO);
        }
    }
}
