//! Small files of a data directory beside the journal: JSON with a checksum, written whole or not at
//! all. What is damaged is refused, never guessed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::service::data_directory::DirectoryError;

/// Why such a file says nothing. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// It is not there.
    #[error(
        "{path} is missing, though there is a journal beside it: something has removed it. Nothing \
         was started. {remedy}"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
    },
    /// It is not what was written.
    #[error("{path} is damaged: {reason}. Nothing was started. {remedy}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// It cannot be read.
    #[error("{path}: {source}; nothing was started. Check the permissions there")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A file of a data directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SealedFile {
    /// Its name.
    pub(crate) name: &'static str,
    /// What an operator does when it is lost or damaged: a sentence.
    pub(crate) remedy: &'static str,
}

impl SealedFile {
    /// Reads what it holds, if `check` finds nothing wrong with that.
    ///
    /// # Errors
    /// When it is not what was written.
    pub(crate) fn read<T: DeserializeOwned>(
        self,
        directory: &Path,
        check: impl FnOnce(&T) -> Result<(), String>,
    ) -> Result<T, SealedError> {
        let path = directory.join(self.name);
        let remedy = self.remedy;
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SealedError::Missing { path, remedy });
            }
            Err(source) => return Err(SealedError::Io { path, source }),
        };
        parse(&text)
            .and_then(|value| check(&value).map(|()| value))
            .map_err(|reason| SealedError::Damaged {
                path,
                reason,
                remedy,
            })
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written. What it held before is still there then.
    pub(crate) fn write<T: Serialize>(
        self,
        directory: &Path,
        value: &T,
    ) -> Result<(), DirectoryError> {
        let path = directory.join(self.name);
        let failed = |source| DirectoryError::Io {
            path: path.clone(),
            source,
        };
        let json = serde_json::to_string_pretty(value).map_err(|error| failed(error.into()))?;
        let unfinished = path.with_extension("unfinished");
        File::create(&unfinished)
            .and_then(|mut file| {
                file.write_all(sealed(&json).as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&unfinished, &path))
            .and_then(|()| File::open(directory)?.sync_all())
            .map_err(failed)
    }
}

/// The text with its checksum.
fn sealed(json: &str) -> String {
    format!("{json}\ncrc32 {:08x}\n", crc32fast::hash(json.as_bytes()))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text")?;
    let (json, rest) = text.rsplit_once("\ncrc32 ").ok_or("it has no checksum")?;
    let expected = format!("{:08x}\n", crc32fast::hash(json.as_bytes()));
    if rest != expected {
        return Err("its checksum is another".to_owned());
    }
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: SealedFile = SealedFile {
        name: "numbers",
        remedy: "Write it anew.",
    };

    fn read(directory: &Path) -> Result<Vec<u64>, SealedError> {
        NUMBERS.read(directory, |numbers: &Vec<u64>| {
            let is_right = !numbers.contains(&0);
            is_right.then_some(()).ok_or("there is a 0".to_owned())
        })
    }

    #[test]
    fn what_was_written_is_read_and_what_is_damaged_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = read(folder.path()).expect_err("not there").to_string();
        assert!(missing.contains("is missing"), "{missing}");
        NUMBERS.write(folder.path(), &[17, 4]).expect("written");
        assert_eq!(read(folder.path()).expect("whole"), [17, 4]);
        let path = folder.path().join("numbers");
        let text = fs::read_to_string(&path).expect("text");
        for damaged in [
            text.replace("17", "18").into_bytes(),
            text.replace("crc32", "crc33").into_bytes(),
            text.as_bytes()[..text.len() / 2].to_vec(),
            Vec::new(),
            vec![0xff; 20],
            sealed("{}x").into_bytes(),
            sealed("[0]").into_bytes(),
        ] {
            fs::write(&path, &damaged).expect("written");
            let error = read(folder.path()).expect_err("refused").to_string();
            assert!(error.contains("is damaged"), "{damaged:?}: {error}");
            assert!(
                error.contains("Nothing was started. Write it anew."),
                "{error}"
            );
        }
    }
}
