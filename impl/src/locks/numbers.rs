//! Numbers for sessions and claims that are never given out twice, crash or not.
//!
//! A file counts how often the node was started, and is on disk before the first number is given
//! out. A number is that count and, below it, one of its own. So what a client asks in a session
//! from before a crash is told from everything after it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::service::data_directory::DirectoryError;
use crate::service::sealed_file::{SealedError, SealedFile};
use crate::service::start::StartError;

/// The file in the data directory.
const FILE: SealedFile = SealedFile {
    name: "starts",
    remedy: "Without it this node would give numbers out twice. Let another node take its place, \
             under an id that no node has had: start it on an empty data directory, and see \
             `lockstep locks add`",
};
/// A start has so many bits' worth of numbers, and there may be 2^24 starts.
const BITS: u32 = 40;

/// How often the node was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Starts {
    starts: u64,
}

/// Gives out numbers.
#[derive(Debug)]
pub struct Numbers {
    next: AtomicU64,
    first: u64,
}

impl Numbers {
    /// Says on disk that the node was never started.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn begin(directory: &Path) -> Result<(), DirectoryError> {
        FILE.write(directory, &Starts::default())
    }

    /// Counts a start, and gives out its numbers.
    ///
    /// # Errors
    /// When the directory does not say how often there was one before, or cannot be written.
    pub(crate) fn of_this_start(directory: &Path) -> Result<Self, StartError> {
        let read: Result<Starts, SealedError> = FILE.read(directory, |_| Ok(()));
        let before = read.map_err(|error| StartError::Members(error.to_string()))?;
        let starts = before.starts + 1;
        FILE.write(directory, &Starts { starts })?;
        Ok(Self::after(starts))
    }

    fn after(starts: u64) -> Self {
        let first = starts << BITS;
        Self {
            next: AtomicU64::new(first),
            first,
        }
    }

    /// A number that is greater than all before it.
    pub(crate) fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a number is from an earlier start.
    pub(crate) fn is_from_before(&self, number: u64) -> bool {
        number < self.first
    }

    /// Whether a number has been given out since the start.
    pub(crate) fn is_known(&self, number: u64) -> bool {
        (self.first..self.next.load(Ordering::Relaxed)).contains(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_given_out_twice_whenever_the_node_is_started() {
        let folder = tempfile::tempdir().expect("a folder");
        Numbers::begin(folder.path()).expect("written");
        let mut last = 0;
        for _ in 0..3 {
            let numbers = Numbers::of_this_start(folder.path()).expect("counted");
            assert!(numbers.is_from_before(last));
            for _ in 0..3 {
                let number = numbers.next();
                assert!(number > last);
                assert!(numbers.is_known(number) && !numbers.is_known(number + 1));
                last = number;
            }
        }
    }

    #[test]
    fn a_node_that_cannot_count_its_starts_does_not_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = Numbers::of_this_start(folder.path()).expect_err("refused");
        let words = error.to_string();
        assert!(words.contains("starts is missing"), "{words}");
        assert!(words.contains("lockstep locks add"), "{words}");
    }
}
