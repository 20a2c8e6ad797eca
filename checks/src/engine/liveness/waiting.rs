//! The states that wait to be expanded, as bytes, in the order of their numbers.

use std::collections::VecDeque;

/// How many bytes are taken at a time, or so.
const CHUNK: usize = 1 << 16;

/// States, one behind the other.
#[derive(Default)]
pub(super) struct Waiting {
    chunks: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Waiting {
    /// Appends a state. `write` appends its bytes.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.chunks.back().is_none_or(|last| last.len() >= CHUNK) {
            self.chunks.push_back(Vec::new());
        }
        if let Some(last) = self.chunks.back_mut() {
            let before = last.len();
            write(last);
            self.bytes += last.len() - before;
        }
    }

    /// Takes some whole states from the front, if there are any.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        let chunk = self.chunks.pop_front()?;
        self.bytes -= chunk.len();
        Some(chunk)
    }

    /// The memory taken, or so.
    pub(super) fn memory(&self) -> u64 {
        self.bytes as u64
    }
}
